"""A checkpoint holds all that a trial needs to go on as if it had never stopped.

A checkpoint is one ``.npz`` file, written under a temporary name, synced and renamed. The one
before it stays until the new one has been read back. A damaged file is recognised by the checksums
inside the archive, and the one before it is used.
"""

from __future__ import annotations

import json
import logging
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.arrays import Array
from gridfold.atomic import replacing

log = logging.getLogger(__name__)

_HEADER = "header"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a trial after a number of epochs.

    Attributes
    ----------
    epoch : int
        Finished epochs.
    variables : list of array
        Model variables, in the model's order (weights, statistics, seeds of random layers).
    optimizer : list of array
        Optimiser variables, in its order.
    best_weights : list of array or None
        Weights of the best epoch, when early stopping keeps them.
    meta : dict
        JSON-like: history, early-stopping state, segments, fingerprint.
    """

    epoch: int
    variables: list[Array]
    optimizer: list[Array]
    best_weights: list[Array] | None
    meta: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> Path:
        """Write to `folder`, verify, and drop all but this and the one before it."""
        file = folder / f"checkpoint-{self.epoch:05d}.npz"
        arrays = {
            **_numbered("variables", self.variables),
            **_numbered("optimizer", self.optimizer),
            **_numbered("best", self.best_weights or []),
        }
        text = json.dumps({"epoch": self.epoch, "arrays": list(arrays), "meta": self.meta})
        header = np.frombuffer(text.encode(), np.uint8)
        with replacing(file) as temporary:
            np.savez(temporary, allow_pickle=False, **{_HEADER: header}, **arrays)
        if _is_sound(file):
            earlier = [f for f in _files(folder) if _epoch(f) < self.epoch]
            for outdated in earlier[1:]:
                outdated.unlink(missing_ok=True)
        return file


def newest(folder: Path, epochs: int) -> Checkpoint | None:
    """Return the newest sound checkpoint of at most `epochs` epochs."""
    for file in _files(folder):
        if _epoch(file) > epochs:
            continue
        try:
            return _read(file)
        # One flipped bit can look like encryption, an unknown compression or a huge array.
        except Exception as error:
            log.warning("%s is damaged (%s); using the one before it", file, error)
    return None


def prune(folder: Path) -> None:
    """Keep only the newest checkpoint; for finished trials."""
    for outdated in _files(folder)[1:]:
        outdated.unlink(missing_ok=True)


def _read(file: Path) -> Checkpoint:
    if not _is_sound(file):
        raise ValueError("a checksum is wrong")
    with np.load(file, allow_pickle=False) as archive:
        header = json.loads(archive[_HEADER].tobytes())
        # A damaged table of contents can lose members without a trace.
        if sorted(archive.files) != sorted([_HEADER, *header["arrays"]]):
            raise ValueError("arrays are missing")
        groups: dict[str, list[Array]] = {"variables": [], "optimizer": [], "best": []}
        for key in header["arrays"]:
            groups[key.partition("/")[0]].append(archive[key])
    return Checkpoint(
        header["epoch"],
        groups["variables"],
        groups["optimizer"],
        groups["best"] or None,
        header["meta"],
    )


def _is_sound(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def _numbered(group: str, arrays: list[Array]) -> dict[str, Array]:
    return {f"{group}/{index:05d}": array for index, array in enumerate(arrays)}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.npz"), reverse=True)


def _epoch(file: Path) -> int:
    return int(file.stem.rpartition("-")[2])

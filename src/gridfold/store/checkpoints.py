"""A checkpoint holds all that a trial needs to go on as if it had never stopped.

A checkpoint is one ``.npz`` file, written under a temporary name, synced and renamed. The one
before it stays until the new one has been read back. A damaged file is recognised by the checksums
inside the archive, another trial's by the name in its head; either is set aside, and the one before
it is used.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.arrays import Array
from gridfold.atomic import replacing
from gridfold.store.seals import set_aside

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
        JSON-like: history, early-stopping state, segments.
    identity : str
        Which trial it belongs to, with the digest of its fingerprint.
    """

    epoch: int
    variables: list[Array]
    optimizer: list[Array]
    best_weights: list[Array] | None
    meta: dict[str, Any] = field(default_factory=dict)
    identity: str = ""

    def save(self, folder: Path) -> Path:
        """Write to `folder`, verify, and drop all but this and the one before it."""
        file = folder / f"checkpoint-{self.epoch:05d}.npz"
        arrays = {
            **_numbered("variables", self.variables),
            **_numbered("optimizer", self.optimizer),
            **_numbered("best", self.best_weights or []),
        }
        head = {
            "epoch": self.epoch,
            "arrays": list(arrays),
            "meta": self.meta,
            "identity": self.identity,
        }
        text = json.dumps(head)
        header = np.frombuffer(text.encode(), np.uint8)
        with replacing(file) as temporary:
            np.savez(temporary, allow_pickle=False, **{_HEADER: header}, **arrays)
        if _is_sound(file):
            earlier = [f for f in _files(folder) if _epoch(f) < self.epoch]
            for outdated in earlier[1:]:
                outdated.unlink(missing_ok=True)
        return file


def newest(folder: Path, epochs: int, identity: str = "") -> Checkpoint | None:
    """Return the newest sound checkpoint of at most `epochs` epochs.

    Parameters
    ----------
    folder : Path
        Of the trial.
    epochs : int
    identity : str
        Which trial it must belong to; of whatever trial when left out.
    """
    for file in _files(folder):
        if _epoch(file) > epochs:
            continue
        try:
            found = _read(file)
            if identity and found.identity != identity:
                raise ValueError(f"it is of another trial: {found.identity or 'it names none'}")
            if found.epoch != _epoch(file):
                raise ValueError(f"it is of epoch {found.epoch}")
            return found
        # All that was written has been read by then, so that the file is not the reason.
        except MemoryError:
            raise
        # One flipped bit can look like encryption or an unknown compression.
        except Exception as error:
            # Who only looks on may meet a file that the job has just removed after a newer one.
            if os.path.lexists(file):
                set_aside(file, error, "the one before it is used")
    return None


def identities(folder: Path) -> Iterator[str]:
    """Yield which trials the checkpoints in a folder say that they belong to, the newest first.

    Of each, only its head is read; one that can't be is left out.
    """
    for file in _files(folder):
        found = ""
        # Damage leads to errors of all kinds, as in :func:`newest`, which also tells it.
        with contextlib.suppress(Exception), np.load(file, allow_pickle=False) as archive:
            found = _head(archive)["identity"]
        if found:
            yield found


def prune(folder: Path) -> None:
    """Keep only the newest checkpoint; for finished trials."""
    for outdated in _files(folder)[1:]:
        if not outdated.is_dir():
            outdated.unlink(missing_ok=True)


def _read(file: Path) -> Checkpoint:
    if not _is_sound(file):
        raise ValueError("a checksum is wrong")
    with np.load(file, allow_pickle=False) as archive:
        header = _head(archive)
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
        header["identity"],
    )


def _head(archive: Any) -> dict[str, Any]:
    head: dict[str, Any] = json.loads(archive[_HEADER].tobytes())
    return head


def _is_sound(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def _numbered(group: str, arrays: list[Array]) -> dict[str, Array]:
    return {f"{group}/{index:05d}": array for index, array in enumerate(arrays)}


def _files(folder: Path) -> list[Path]:
    found = folder.glob("checkpoint-*.npz")
    return sorted((f for f in found if f.stem.rpartition("-")[2].isdecimal()), reverse=True)


def _epoch(file: Path) -> int:
    return int(file.stem.rpartition("-")[2])

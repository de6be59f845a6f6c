"""Image files: found in folders or in a list, with what they show."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.csvfiles.format import Format
from gridfold.data.columns import label
from gridfold.data.description import Role
from gridfold.data.sources import tablefile
from gridfold.data.sources.columnchecks import refuse, require_complete, stray_complaints
from gridfold.data.sources.decoding import (
    Decoded,
    decode,
    left_out_of,
    notes_on,
    range_of,
    refuse_dark,
    shown,
    upright,
)
from gridfold.data.sources.described import described
from gridfold.data.sources.raw import Raw
from gridfold.data.sources.studytable import require_columns
from gridfold.data.sources.table import tell
from gridfold.errors import DataError

log = logging.getLogger(__name__)

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)


def read(data: Mapping[str, Any], folder: Path | None = None, *, classes: bool = False) -> Raw:
    """Read the images of a study.

    Parameters
    ----------
    data : mapping
        The ``data`` section, of source ``images``.
    folder : Path, optional
        Where there is room for pixels that are too many for memory.
    classes : bool
        Whether targets are classes.

    Raises
    ------
    DataError
        When files are missing or damaged, all of them named, or sizes differ; says what to change.
    """
    own = _listed(data["path"], data, classes=classes)
    test = _listed(data["test_path"], data, classes=classes) if data["test_path"] else None
    parts = [part for part in (own, test) if part is not None]
    # Without a size, images of another one are refused instead of resized.
    exact = data["size"] is None
    how: dict[str, Any] = {
        "size": data["size"] or _first_size(own.features),
        "color": data["color"],
        "fit": data["fit"],
    }
    decoded = [decode(part.features, how, exact=exact, folder=folder) for part in parts]
    refuse_dark(decoded)
    if limits := range_of(decoded):
        how["range"] = [*limits]
        for one in decoded:
            one.scale(how, exact=exact)
    for part, one in zip(parts, decoded, strict=True):
        own.left_out += _put_pixels(part, one, data["damaged"])
    own.reading = {"images": how}
    own.notes += notes_on(decoded, how.get("range"))
    own.left_out += left_out_of(decoded)
    tell(own.left_out, own.notes)
    own.rows = sum(len(one.files) for one in decoded)
    if test is not None:
        if own.targets.dtype != test.targets.dtype and classes:
            # One list has texts where the other one has numbers.
            for part in (own, test):
                part.targets = np.array([label(value) for value in part.targets], object)
        own.test_features, own.test_targets = test.features, test.targets
    return own


def _listed(path: str, data: Mapping[str, Any], *, classes: bool) -> Raw:
    """Return paths as features, with targets and what else a CSV file says."""
    if os.path.isdir(path):
        return _listed_in_folders(Path(path))
    roles = {"image": [data["image"]], "targets": data["targets"]}
    roles |= {role: [data[role]] for role in ("groups", "weight") if data[role]}
    asked = [name for names in roles.values() for name in names]
    categories = {*(data["targets"] if classes else ()), *filter(None, [data["groups"]])}
    read = tablefile.read(
        path,
        "csv",
        Format(),
        texts=categories,
        names=[data["image"]],
        asked=asked,
    )
    table = read.frame
    require_columns(path, table, roles)
    for name in asked:
        require_complete(path, name, table[name])
    numbers = [*filter(None, [data["weight"]]), *(() if classes else data["targets"])]
    refuse(path, [*stray_complaints(read, numbers, Format())])
    files = [Path(path).parent / name for name in table[data["image"]].astype(str)]
    absent = [str(file) for file in files if not file.is_file()]
    if absent:
        raise DataError(f"{path}: {len(absent)} files are not there: {shown(absent)}")
    targets = table[data["targets"]]
    return Raw(
        files,
        (targets.iloc[:, 0] if targets.shape[1] == 1 else targets).to_numpy(),
        groups=table[data["groups"]].to_numpy() if data["groups"] else None,
        weights=table[data["weight"]].to_numpy() if data["weight"] else None,
        target_names=list(data["targets"]),
        written=True,
        described=described(table, _roles(data, table), categories),
        left_out=[*read.head.left_out],
    )


def _roles(data: Mapping[str, Any], table: Any) -> dict[str, tuple[Role, ...]]:
    """Return the role of each column of a list of images."""
    roles: dict[str, tuple[Role, ...]] = {data["image"]: ("feature",)}
    roles |= dict.fromkeys(data["targets"], ("target",))
    named: tuple[Role, ...] = ("groups", "weight")
    roles |= {data[role]: (role,) for role in named if data[role]}
    return {str(name): roles.get(name, ("ignored",)) for name in table.columns}


def class_folders(folder: Path) -> list[Path]:
    """Return the folders of the classes, by name."""
    return sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def _listed_in_folders(folder: Path) -> Raw:
    files: list[Path] = []
    classes: list[str] = []
    for class_folder in class_folders(folder):
        found = sorted(
            file
            for file in class_folder.rglob("*")
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        )
        if not found:
            raise DataError(
                f"{class_folder}: no images; remove the folder, or put files in it that end in "
                f"{', '.join(sorted(SUFFIXES))}"
            )
        files += found
        classes += [class_folder.name] * len(found)
    if not files:
        raise DataError(f"{folder}: no folders; one of each class with its images is needed")
    return Raw(files, np.array(classes))


def _first_size(files: Sequence[Path]) -> list[int]:
    """Return height and width of the first file that is an image."""
    from PIL import Image

    for file in files:
        try:
            with Image.open(file) as image:
                turned = upright(image)
                return [turned.height, turned.width]
        except Exception as error:
            # Named with all the others when they are decoded.
            log.debug("%s: %s", file, error)
    raise DataError(f"none of {len(files)} files is an image; the first is {files[0]}")


def _put_pixels(part: Raw, decoded: Decoded, damaged: str) -> list[str]:
    """Put pixels in the place of paths; leave out what can't be decoded, if that is wanted."""
    files, errors = decoded.files, decoded.errors
    part.features = decoded.pixels
    if not errors:
        return []
    named = [f"{files[row]} ({text})" for row, text in sorted(errors.items())]
    if damaged == "refuse":
        raise DataError(
            f"{len(errors)} of {len(files)} images can't be used: {shown(named)}; mend or "
            "remove them, or set data.damaged: skip"
        )
    kept = np.setdiff1d(np.arange(len(files)), list(errors))
    for name in ("features", "targets", "groups", "weights"):
        values = getattr(part, name)
        if values is not None:
            setattr(part, name, values[kept])
    log.warning("%d of %d images left out: %s", len(errors), len(files), "; ".join(named))
    return [f"{len(errors)} of {len(files)} images, which can't be decoded: {shown(named)}"]

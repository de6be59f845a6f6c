"""Image files: found in folders or in a list, with what they show."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.csvfiles.format import Format
from gridfold.csvfiles.numbers import in_order
from gridfold.data.columns import label
from gridfold.data.description import Count, DataDescription, Role, name_of
from gridfold.data.sources import tablefile
from gridfold.data.sources.columnchecks import refuse, require_complete, stray_complaints
from gridfold.data.sources.decoding import (
    NAMES_SHOWN,
    Decoded,
    decode,
    left_out_of,
    notes_on,
    range_of,
    refuse_dark,
    upright,
)
from gridfold.data.sources.described import described
from gridfold.data.sources.raw import Raw
from gridfold.data.sources.studytable import require_columns
from gridfold.data.sources.table import tell
from gridfold.errors import DataError
from gridfold.imagefolders import SUFFIXES, Listing, parts_of
from gridfold.wording import first_of

log = logging.getLogger(__name__)


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
    own, test = _sets(data, classes=classes)
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
        own.test_features, own.test_targets = test.features, test.targets
    return own


def look(data: Mapping[str, Any], *, classes: bool = False) -> DataDescription:
    """Describe images by their folders, or by the file that lists them; none is decoded.

    Parameters
    ----------
    data : mapping
        The ``data`` section, of source ``images``.
    classes : bool
        Whether targets are classes.

    Raises
    ------
    DataError
        When files are missing, or classes have none; says what to change.
    """
    own, test = _sets(data, classes=classes)
    counts = Counter(map(label, own.targets)) if classes else Counter[str]()
    test_counts = Counter(map(label, test.targets)) if classes and test else Counter[str]()
    return DataDescription(
        name_of(data),
        len(own.features) + (len(test.features) if test else 0),
        is_whole=True,
        columns=own.described,
        classes=tuple(Count(name, counts[name], test_counts[name]) for name in in_order(counts))
        if classes
        else None,
        left_out=tuple(own.left_out),
        notes=tuple(own.notes),
    )


def _sets(data: Mapping[str, Any], *, classes: bool) -> tuple[Raw, Raw | None]:
    """Return the images that are split, and those of the source's own test set.

    Paths stand in the place of features. What was left out of both sets is told with the first.
    """
    own, test = _listed("path", data, classes=classes)
    if data["test_path"]:
        test, _ = _listed("test_path", data, classes=classes)
    if test is None:
        return own, None
    own.left_out += test.left_out
    if classes:
        if own.targets.dtype != test.targets.dtype:
            # One list has texts where the other one has numbers.
            for part in (own, test):
                part.targets = np.array([label(value) for value in part.targets], object)
        unknown = np.setdiff1d(test.targets, own.targets)
        if len(unknown):
            shown = first_of(map(label, unknown), NAMES_SHOWN)
            raise DataError(
                f"the test set has classes that no other image has: {shown}; give its images the "
                "classes of the others, or leave the test set out"
            )
    return own, test


def _listed(key: str, data: Mapping[str, Any], *, classes: bool) -> tuple[Raw, Raw | None]:
    """Return the images of a folder or a file, and the test set that a folder may have."""
    path = data[key]
    if not os.path.isdir(path):
        return _listed_in_file(path, data, classes=classes), None
    parts = parts_of(Path(path))
    problems = parts.problems(key=key, has_test_path=data["test_path"] is not None)
    refuse(f"data.{key}", [f"{found}; {allowed}" for found, allowed in problems])
    own = _listed_in_folders(parts.own)
    own.notes += filter(None, [parts.note])
    return own, _listed_in_folders(parts.test) if parts.test else None


def _listed_in_folders(folders: Sequence[Path]) -> Raw:
    """Return the files in the folders of the classes."""
    listing = Listing.of(folders)
    if listing.empty:
        shown = first_of(map(str, listing.empty), NAMES_SHOWN)
        raise DataError(
            f"{shown}: no images; remove the folder, or put files in it that end in "
            f"{', '.join(sorted(SUFFIXES))}"
        )
    return Raw(
        listing.files,
        np.array(listing.classes),
        left_out=listing.left_out,
        notes=listing.notes,
    )


def _listed_in_file(path: str, data: Mapping[str, Any], *, classes: bool) -> Raw:
    """Return the files that a CSV file lists, with targets and what else it says."""
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
        shown = first_of(absent, NAMES_SHOWN)
        raise DataError(f"{path}: {len(absent)} files are not there: {shown}")
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


def _size_of(file: Path | str) -> list[int]:
    """Return height and width of an image file, held as its camera was."""
    from PIL import Image

    with Image.open(file) as image:
        turned = upright(image)
        return [turned.height, turned.width]


def _first_size(files: Sequence[Path]) -> list[int]:
    """Return height and width of the first file that is an image."""
    for file in files:
        try:
            return _size_of(file)
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
    shown = first_of(named, NAMES_SHOWN)
    if damaged == "refuse":
        raise DataError(
            f"{len(errors)} of {len(files)} images can't be used: {shown}; mend or remove them, "
            "or set data.damaged: skip"
        )
    kept = np.setdiff1d(np.arange(len(files)), list(errors))
    for name in ("features", "targets", "groups", "weights"):
        values = getattr(part, name)
        if values is not None:
            setattr(part, name, values[kept])
    log.warning("%d of %d images left out: %s", len(errors), len(files), "; ".join(named))
    return [f"{len(errors)} of {len(files)} images, which can't be decoded: {shown}"]

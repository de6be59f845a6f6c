"""Image files: found, decoded in parallel, and brought to one size once."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from gridfold import arrays
from gridfold.arrays import Array
from gridfold.csvfiles.format import Format
from gridfold.data.columns import label
from gridfold.data.sources import tablefile
from gridfold.data.sources.raw import Raw
from gridfold.data.sources.table import refuse_strays, require_columns, require_complete, tell
from gridfold.errors import DataError, summary_of

log = logging.getLogger(__name__)

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
_CHANNELS = {"rgb": 3, "grayscale": 1}
_NAMES_SHOWN = 20
_PROGRESS_SECONDS = 5.0


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
    size = data["size"] or _first_size(own.features)
    how = {"size": size, "color": data["color"], "fit": data["fit"]}
    # Without a size, images of another one are refused instead of resized.
    exact = data["size"] is None
    for part in (own, test):
        if part is not None:
            _decode_part(part, how, exact, data["damaged"], folder)
    own.reading = {"images": how}
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
    read = tablefile.read(
        path,
        "csv",
        Format(),
        texts={*(data["targets"] if classes else ()), *filter(None, [data["groups"]])},
        names=[data["image"]],
        asked=asked,
    )
    table = read.frame
    require_columns(path, table, roles)
    tell(read, [])
    for name in asked:
        require_complete(path, name, table[name])
    numbers = [*filter(None, [data["weight"]]), *(() if classes else data["targets"])]
    refuse_strays(path, read, numbers, Format())
    files = [Path(path).parent / name for name in table[data["image"]].astype(str)]
    absent = [str(file) for file in files if not file.is_file()]
    if absent:
        raise DataError(f"{path}: {len(absent)} files are not there: {_shown(absent)}")
    targets = table[data["targets"]]
    return Raw(
        files,
        (targets.iloc[:, 0] if targets.shape[1] == 1 else targets).to_numpy(),
        groups=table[data["groups"]].to_numpy() if data["groups"] else None,
        weights=table[data["weight"]].to_numpy() if data["weight"] else None,
        target_names=list(data["targets"]),
        written=True,
    )


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


def size_of(file: Path | str) -> list[int]:
    """Return height and width of an image file, held as its camera was."""
    from PIL import Image

    with Image.open(file) as image:
        upright = _upright(image)
        return [upright.height, upright.width]


def _first_size(files: Sequence[Path]) -> list[int]:
    """Return height and width of the first file that is an image."""
    for file in files:
        try:
            return size_of(file)
        except Exception as error:
            # Named with all the others when they are decoded.
            log.debug("%s: %s", file, error)
    raise DataError(f"none of {len(files)} files is an image; the first is {files[0]}")


def _decode_part(
    part: Raw, how: Mapping[str, Any], exact: bool, damaged: str, folder: Path | None
) -> None:
    """Put pixels in the place of paths; leave out what can't be decoded, if that is wanted."""
    files = part.features
    pixels, errors = decode(files, how, exact=exact, folder=folder)
    if errors:
        named = [f"{files[row]} ({text})" for row, text in sorted(errors.items())]
        if damaged == "refuse":
            raise DataError(
                f"{len(errors)} of {len(files)} images can't be used: {_shown(named)}; mend or "
                "remove them, or set data.damaged: skip"
            )
        log.warning("%d of %d images left out: %s", len(errors), len(files), "; ".join(named))
        kept = np.setdiff1d(np.arange(len(files)), list(errors))
        pixels = pixels[kept]
        for name in ("targets", "groups", "weights"):
            values = getattr(part, name)
            if values is not None:
                setattr(part, name, values[kept])
    part.features = pixels


def decode(
    files: Sequence[Path | str],
    how: Mapping[str, Any],
    *,
    exact: bool = False,
    folder: Path | None = None,
) -> tuple[Array, dict[int, str]]:
    """Decode image files, several at a time.

    Pillow lets other threads run while it decodes, so threads do and no process is started.

    Parameters
    ----------
    files : sequence of path
    how : mapping
        ``size`` (height and width), ``color`` and ``fit``, as in the ``data`` section.
    exact : bool
        Refuse images of another size instead of resizing them.
    folder : Path, optional
        Where there is room for pixels that are too many for memory.

    Returns
    -------
    pixels : array of shape (files, height, width, channels), uint8
        In the order of `files`.
    errors : dict of int to str
        What is wrong with the files that could not be decoded, by their position.
    """
    # Imported here: the tables' jobs read no images and should start fast.
    from gridfold.environment.machine import cpu

    height, width = how["size"]
    shape = (len(files), height, width, _CHANNELS[how["color"]])
    pixels = arrays.empty(shape, np.uint8, folder)
    errors: dict[int, str] = {}
    said = time.monotonic()

    def decode_one(row: int) -> tuple[int, str]:
        try:
            pixels[row] = _decoded(files[row], how, exact)
        except Exception as error:
            # Damaged files raise nearly anything.
            return row, summary_of(error)
        return row, ""

    with ThreadPoolExecutor(cpu().usable_cores) as threads:
        for row, error in threads.map(decode_one, range(len(files))):
            if error:
                errors[row] = error
            if time.monotonic() - said > _PROGRESS_SECONDS:
                said = time.monotonic()
                log.info("decoded %d of %d images", row + 1, len(files))
    log.info("decoded %d images", len(files) - len(errors))
    return pixels, errors


def _decoded(file: Path | str, how: Mapping[str, Any], exact: bool) -> Array:
    from PIL import Image, ImageOps

    height, width = how["size"]
    with Image.open(file) as opened:
        image = _upright(opened)
        if exact and (image.height, image.width) != (height, width):
            raise ValueError(
                f"{image.height} x {image.width} pixels, the first image has {height} x {width}; "
                "set data.size"
            )
        image = _in_eight_bits(image).convert("RGB" if how["color"] == "rgb" else "L")
        wanted, filter_ = (width, height), Image.Resampling.BILINEAR
        if image.size == wanted:
            pass
        elif how["fit"] == "crop":
            image = ImageOps.fit(image, wanted, filter_)
        elif how["fit"] == "pad":
            image = ImageOps.pad(image, wanted, filter_)
        else:
            image = image.resize(wanted, filter_)
        return np.asarray(image, np.uint8).reshape(height, width, -1)


def _upright(image: Any) -> Any:
    """Turn an image as its camera was held."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _in_eight_bits(image: Any) -> Any:
    """Return grey values of 16 bit in 8 bit, which Pillow would cut off instead."""
    from PIL import Image

    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image, np.float64) / 257).round().astype(np.uint8))


def _shown(names: Sequence[str]) -> str:
    text = ", ".join(names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{text} and {more} more" if more > 0 else text

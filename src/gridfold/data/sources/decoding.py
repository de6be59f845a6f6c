"""Image files become pixels: decoded in parallel, brought to one size and to 8 bits a colour."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gridfold import arrays
from gridfold.arrays import Array
from gridfold.errors import DataError, summary_of
from gridfold.wording import counted, first_of

log = logging.getLogger(__name__)

_CHANNELS = {"rgb": 3, "grayscale": 1}
# Files that a refusal names, and those that a note names.
NAMES_SHOWN = 20
_EXAMPLES = 3
_PROGRESS_SECONDS = 5.0
# What the 16 bits of a camera, a microscope or a scanner are filled with.
_USUAL_BITS = (8, 10, 12, 14, 16)
# Of 16-bit colours Pillow hands on the upper 8 bits; all darker than this, and most of it is lost.
_DARK = 64
# Tags of TIFF, and what they say.
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_SAMPLE_FORMAT, _UNSIGNED = 339, 1
SIXTEEN_BITS = (0.0, 65535.0)


@dataclass(frozen=True)
class Found:
    """What is remarkable about an image file.

    Attributes
    ----------
    error : str
        Why it can't be decoded.
    frames : int
        Pages or frames, of which the first is read.
    is_transparent : bool
        Whether some of it lets through what is behind.
    greys : tuple of float or None
        Smallest and largest grey value, of files with more than 8 bits.
    is_float : bool
        Whether these are no whole numbers by their type.
    brightest : int or None
        Largest value of colours of 16 bits, of which the upper 8 are read.
    """

    error: str = ""
    frames: int = 1
    is_transparent: bool = False
    greys: tuple[float, float] | None = None
    is_float: bool = False
    brightest: int | None = None


@dataclass(frozen=True)
class Decoded:
    """Image files that were decoded.

    Attributes
    ----------
    files : sequence of path
    pixels : array of shape (files, height, width, channels), uint8
        Those of files with an error, and of files that :meth:`scale` has still to decode, are
        undefined.
    found : dict of int to Found
        What is remarkable about files, by their position.
    is_resized : array of shape (files,), bool
        Which of them had another size, and were fitted to the one of `pixels`.
    """

    files: Sequence[Path | str]
    pixels: Array
    found: dict[int, Found]
    is_resized: Array

    @property
    def errors(self) -> dict[int, str]:
        """What is wrong with the files that could not be decoded, by their position."""
        return {row: found.error for row, found in self.found.items() if found.error}

    @property
    def greys(self) -> dict[int, tuple[float, float]]:
        """Smallest and largest grey value of the files with more than 8 bits."""
        return {row: found.greys for row, found in self.found.items() if found.greys is not None}

    def scale(self, how: Mapping[str, Any], *, exact: bool) -> None:
        """Decode the files with more than 8 bits, once ``how["range"]`` is known."""
        _decode_rows(self, [*self.greys], how, exact=exact)


def decode(
    files: Sequence[Path | str],
    how: Mapping[str, Any],
    *,
    exact: bool = False,
    folder: Path | None = None,
) -> Decoded:
    """Decode image files, several at a time.

    Pillow lets other threads run while it decodes, so threads do and no process is started.

    Parameters
    ----------
    files : sequence of path
    how : mapping
        ``size`` (height and width), ``color`` and ``fit``, as in the ``data`` section. ``range``:
        the grey values that become black and white in files with more than 8 bits; without it
        these are looked at and not decoded.
    exact : bool
        Refuse images of another size instead of resizing them.
    folder : Path, optional
        Where there is room for pixels that are too many for memory.
    """
    height, width = how["size"]
    shape = (len(files), height, width, _CHANNELS[how["color"]])
    pixels, is_resized = arrays.empty(shape, np.uint8, folder), np.zeros(len(files), bool)
    decoded = Decoded(files, pixels, {}, is_resized)
    _decode_rows(decoded, range(len(files)), how, exact=exact)
    log.info("decoded %d images", len(files) - len(decoded.errors))
    return decoded


def _decode_rows(
    decoded: Decoded, rows: Sequence[int], how: Mapping[str, Any], *, exact: bool
) -> None:
    """Decode some of the files, and take note of what is remarkable about them."""
    # Imported here: the tables' jobs read no images and should start fast.
    from gridfold.environment.machine import cpu

    files = decoded.files
    said = time.monotonic()

    def attempt(row: int) -> tuple[int, Found]:
        try:
            return row, _decode_one(decoded, row, how, exact=exact)
        except Exception as error:
            # Damaged files raise nearly anything.
            return row, Found(error=summary_of(error))

    with ThreadPoolExecutor(cpu().usable_cores) as threads:
        for row, found in threads.map(attempt, rows):
            if found != Found():
                decoded.found[row] = found
            if time.monotonic() - said > _PROGRESS_SECONDS:
                said = time.monotonic()
                log.info("decoded %d of %d images", row + 1, len(files))


def _decode_one(decoded: Decoded, row: int, how: Mapping[str, Any], *, exact: bool) -> Found:
    """Decode one of the files into its row of pixels."""
    from PIL import Image, ImageOps

    height, width = how["size"]
    with Image.open(decoded.files[row]) as opened:
        has_sixteen_bits = any(";16" in str(tile.args) for tile in opened.tile)
        # Pillow heeds these only in files of 8 bits.
        tags = getattr(opened, "tag_v2", {}) if opened.format == "TIFF" else {}
        image = upright(opened)
        # Looked for after the first one was decoded, since it moves on in the file. Phones put a
        # small copy into their photos (MPO), which is no page.
        many = opened.format != "MPO" and getattr(opened, "is_animated", False)
        frames = opened.n_frames if many else 1  # type: ignore[attr-defined]
    if exact and (image.height, image.width) != (height, width):
        raise ValueError(
            f"{image.height} x {image.width} pixels, the first image has {height} x {width}; "
            "set data.size"
        )
    greys, is_float = None, image.mode == "F"
    if image.mode.startswith("I") or is_float:
        values = np.asarray(image, np.float64)
        if tags and not is_float and tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0] == _UNSIGNED:
            values = np.where(values < 0, values + 2.0**32, values)
        greys = (float(values.min()), float(values.max()))
        if not np.isfinite(greys).all():
            raise ValueError("grey values that are no numbers; write it anew without them")
        if "range" not in how:
            return Found(frames=frames, greys=greys, is_float=is_float)
        in_eight_bits = _in_eight_bits(values, how["range"])
        is_negative = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        image = Image.fromarray(255 - in_eight_bits if is_negative else in_eight_bits)
    brightest = None
    if has_sixteen_bits and greys is None:
        brightest = int(np.max(image.convert("RGB")))
    is_transparent = (
        image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema()[0] < 255
    )
    image = image.convert("RGB" if how["color"] == "rgb" else "L")
    wanted, filter_ = (width, height), Image.Resampling.BILINEAR
    decoded.is_resized[row] = image.size != wanted
    if image.size == wanted:
        pass
    elif how["fit"] == "crop":
        image = ImageOps.fit(image, wanted, filter_)
    elif how["fit"] == "pad":
        image = ImageOps.pad(image, wanted, filter_)
    else:
        image = image.resize(wanted, filter_)
    decoded.pixels[row] = np.asarray(image, np.uint8).reshape(decoded.pixels.shape[1:])
    return Found("", frames, is_transparent, greys, is_float, brightest)


def upright(image: Any) -> Any:
    """Return a copy of an image, turned as its camera was held."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _in_eight_bits(values: Array, limits: Sequence[float]) -> Array:
    """Return grey values in 8 bits: the first of `limits` becomes black, the second white."""
    low, high = limits
    scaled = (values - low) / ((high - low) / 255)
    return np.clip(scaled.round(), 0, 255).astype(np.uint8)


def range_of(parts: Sequence[Decoded]) -> tuple[float, float] | None:
    """Return the grey values of files with more than 8 bits that become black and white.

    What such files are usually filled with: numbers of 8, 10, 12, 14 or 16 bits, or shares up to 1.
    Of others, with negative or larger numbers, the smallest and the largest. None without such
    files.

    Parameters
    ----------
    parts : sequence of Decoded
        All files of a study.
    """
    greys = [pair for part in parts for pair in part.greys.values()]
    if not greys:
        return None
    low, high = min(low for low, _ in greys), max(high for _, high in greys)
    if low < 0 or high > SIXTEEN_BITS[1]:
        return low, high if high > low else low + 1
    if high <= 1 and any(found.is_float for part in parts for found in part.found.values()):
        return 0.0, 1.0
    return 0.0, float(next(2**bits for bits in _USUAL_BITS if high < 2**bits) - 1)


def refuse_dark(parts: Sequence[Decoded]) -> None:
    """Refuse colours of 16 bits of which hardly anything is in the upper 8 bits that are read.

    Raises
    ------
    DataError
        Names a file.
    """
    values = {
        str(part.files[row]): found.brightest
        for part in parts
        for row, found in part.found.items()
        if found.brightest is not None
    }
    if values and max(values.values()) < _DARK:
        raise DataError(
            f"{counted(len(values), 'file')} with colours of 16 bits, of which the upper 8 can be "
            f"read, have nothing above {max(values.values())} of 255 there: "
            f"{first_of(values, NAMES_SHOWN)}; write them with 8 bits a colour"
        )


def notes_on(parts: Sequence[Decoded], limits: Sequence[float] | None) -> list[str]:
    """Return what is remarkable about files, in words.

    Parameters
    ----------
    parts : sequence of Decoded
    limits : sequence of float or None
        What became black and white in files with more than 8 bits.
    """
    found = [(str(part.files[row]), one) for part in parts for row, one in part.found.items()]
    notes = []
    deep = [name for name, one in found if one.greys is not None]
    if deep and limits is not None:
        greys = [one.greys for _, one in found if one.greys is not None]
        low, high = min(low for low, _ in greys), max(high for _, high in greys)
        notes.append(
            f"{counted(len(deep), 'file')} with grey values from {low:g} to {high:g}, of more than "
            f"8 bits, are scaled to 8 bits; {limits[0]:g} becomes black and {limits[1]:g} white: "
            f"{first_of(deep, _EXAMPLES)}"
        )
    for names, text in (
        (
            [name for name, one in found if one.brightest is not None],
            "with colours of 16 bits, of which the upper 8 are read",
        ),
        (
            [name for name, one in found if one.is_transparent],
            "with transparent parts; what is behind them is read, or their colour",
        ),
    ):
        if names:
            shown = first_of(names, _EXAMPLES)
            notes.append(f"{counted(len(names), 'file')} {text}: {shown}")
    return notes


def left_out_of(parts: Sequence[Decoded]) -> list[str]:
    """Return in words which pages or frames are left out."""
    many = {
        str(part.files[row]): found.frames
        for part in parts
        for row, found in part.found.items()
        if found.frames > 1
    }
    if not many:
        return []
    pages = sum(many.values()) - len(many)
    named = (f"{name} ({frames})" for name, frames in many.items())
    return [
        f"{counted(pages, 'page or frame', 'pages or frames')} of {counted(len(many), 'file')}, of "
        f"which the first is read: {first_of(named, _EXAMPLES)}"
    ]

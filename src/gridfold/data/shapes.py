"""How many samples of which shape a study has, as far as that is known without reading them.

Looked at in every job that reads the rules, so only headers, names and sizes of files are.
"""

from __future__ import annotations

import gzip
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.data.parquetfile import parquet_shape
from gridfold.data.sources.arrays import npy_files
from gridfold.imagefolders import all_class_folders
from gridfold.study import Study
from gridfold.study.sections.data import EMBEDDED_SHAPES

_UNKNOWN_SHAPE = (10_000, 100)
# A CSV file of image paths, and images of no known size.
_BYTES_PER_PATH = 40
_UNKNOWN_PIXELS = (64, 64)
_IDX_IMAGES = ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")


def sample_shape(study: Study) -> tuple[int, ...]:
    """Return (samples, *features) as far as it can be known without reading the data.

    Headers and file sizes only; a source that tells nothing counts as 10,000 samples of 100
    features.
    """
    data: Any = study.data
    shape: tuple[int, ...] | None = EMBEDDED_SHAPES.get(data.source)
    match data.source:
        case "npz":
            shape = _npz_shape(Path(data.path), data.features)
        case "mnist" | "fashion_mnist" | "cifar10" if data.path:
            shape = _known_shape(Path(data.path), shape)
        case "npy":
            shape = _npy_shape(Path(data.path), data.features)
        case "csv" | "parquet":
            shape = _rows_shape(data)
        case "images":
            shape = _images_shape(data)
    if shape is None:
        shape = _UNKNOWN_SHAPE
    if data.reshape:
        shape = (shape[0], *data.reshape)
    return (min(shape[0], data.subset or shape[0]), *shape[1:])


def kept_numbers(study: Study) -> int:
    """Return how many numbers the samples are kept as: rows of windows once, and not in each."""
    samples, *shape = sample_shape(study)
    windows = getattr(study.data, "sequence", None)
    if windows is None or len(shape) < 2:
        return samples * math.prod(shape)
    rows: int = samples * min(windows.stride, windows.length)
    return rows * math.prod(shape[1:])


def _known_shape(path: Path, usual: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Return the shape of both parts of a well-known set of images, as its files say it.

    Parameters
    ----------
    path : Path
        The ``.npz`` file, or the folder of the original files.
    usual : tuple of int
        Where the files do not say it, as compressed ones in part.
    """
    if path.is_file():
        parts = [_npz_shape(path, f"x_{part}") for part in ("train", "test")]
    else:
        parts = [_idx_shape(path, name) for name in _IDX_IMAGES]
    known = [part for part in parts if part is not None]
    if not known or len(known[0]) < 3:
        return usual
    images = known[0][1:] if len(known[0]) == 4 else (*known[0][1:], 1)
    return (sum(part[0] for part in known), *images)


def _idx_shape(folder: Path, name: str) -> tuple[int, ...] | None:
    """Return the shape in the head of an IDX file, compressed or not."""
    for spelling in (name, name.replace("-idx", ".idx")):
        for file in (folder / spelling, folder / f"{spelling}.gz"):
            try:
                with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
                    head = stream.read(4)
                    sizes = stream.read(4 * head[3])
                return tuple(np.frombuffer(sizes, ">u4").astype(int).tolist())
            except (OSError, EOFError, ValueError, IndexError, zlib.error):
                continue
    return None


def _npy_shape(folder: Path, name: str) -> tuple[int, ...] | None:
    try:
        shapes = [
            np.load(f, mmap_mode="r", allow_pickle=False).shape for f in npy_files(folder, name)
        ]
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])
    except (OSError, ValueError, EOFError, IndexError):
        return None


def _images_shape(data: Any) -> tuple[int, ...] | None:
    try:
        if os.path.isdir(data.path):
            samples = sum(len(os.listdir(folder)) for folder in all_class_folders(Path(data.path)))
        else:
            samples = Path(data.path).stat().st_size // _BYTES_PER_PATH
    except OSError:
        return None
    channels = 3 if data.color == "rgb" else 1
    return (max(1, samples), *(data.size or _UNKNOWN_PIXELS), channels)


def _rows_shape(data: Any) -> tuple[int, ...] | None:
    roles = (data.groups, data.weight, data.id, data.time)
    shape = _table_shape(
        Path(data.path),
        len(data.features or ()) or None,
        len(data.targets) + len(data.ignore) + sum(role is not None for role in roles),
        getattr(data, "separator", ","),
    )
    if shape is None or data.sequence is None:
        return shape
    windows = max(1, shape[0] // data.sequence.stride)
    return (windows, data.sequence.length, *shape[1:])


def _npz_shape(file: Path, name: str) -> tuple[int, ...] | None:
    try:
        with zipfile.ZipFile(file) as archive, archive.open(f"{name}.npy") as stream:
            version = np.lib.format.read_magic(stream)
            read = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
            shape: tuple[int, ...] = read(stream)[0]
            return shape
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None


def _table_shape(
    file: Path, columns: int | None, others: int, separator: str
) -> tuple[int, ...] | None:
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            head = stream.read(65536)
    except OSError:
        return None
    lines = head.count(b"\n")
    if head.startswith(b"PAR1") and (found := parquet_shape(file)) is not None:
        return (max(1, found[0]), columns or max(1, found[1] - others))
    if head.startswith(b"PAR1") or not lines:
        return (max(1, size // (8 * (columns or 20))), columns or 20)
    header = head.split(b"\n")[0].count(separator.encode()) + 1
    return (max(1, size * lines // len(head) - 1), columns or max(1, header - others))

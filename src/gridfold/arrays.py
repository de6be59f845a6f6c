"""Arrays that need not fit into memory: read, converted and written piece by piece."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]


Array = npt.NDArray[Any]

# Large enough that the work on a piece outweighs the call, small beside any job's memory.
PIECE_BYTES = 64 * 2**20
# Smaller arrays are kept in memory.
_SMALL_BYTES = 4 * PIECE_BYTES


def pieces(array: Array, size: int | None = None) -> Iterator[slice]:
    """Yield slices of the first axis, each of about `PIECE_BYTES` or of `size` rows."""
    row = max(1, array[:1].nbytes)
    step = size or max(1, PIECE_BYTES // row)
    for start in range(0, len(array), step):
        yield slice(start, min(start + step, len(array)))


def empty(shape: tuple[int, ...], dtype: Any, folder: Path | None = None) -> Array:
    """Return a new array: in memory when small, else in a file in `folder` that nobody else sees.

    The file has no name, so that it is gone with the array, however the process ends.
    """
    dtype = np.dtype(dtype)
    if int(np.prod(shape)) * dtype.itemsize <= _SMALL_BYTES:
        return np.empty(shape, dtype)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def joined(parts: Sequence[Array], dtype: Any, folder: Path | None = None) -> Array:
    """Return `parts` one after another as one array of `dtype`; a single one of it as it is."""
    if len(parts) == 1 and parts[0].dtype == dtype:
        return parts[0]
    shape = (sum(map(len, parts)), *parts[0].shape[1:])
    result = empty(shape, dtype, folder)
    end = 0
    # Numbers too large for the type become infinite.
    with np.errstate(over="ignore"):
        for part in parts:
            for piece in pieces(part):
                result[end + piece.start : end + piece.stop] = part[piece]
            end += len(part)
    return result


def write_npy(file: Path, array: Array) -> None:
    """Write an array as ``.npy``, piece by piece."""
    if array.nbytes <= _SMALL_BYTES:
        np.save(file, array)
        return
    target = np.lib.format.open_memmap(file, "w+", array.dtype, array.shape)
    for piece in pieces(array):
        target[piece] = array[piece]
    target.flush()


def are_images(sample_shape: Sequence[int]) -> bool:
    """Tell whether samples have height, width and channels."""
    return len(sample_shape) == 3

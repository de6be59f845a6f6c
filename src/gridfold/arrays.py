"""Arrays that need not fit into memory: read, converted and written piece by piece."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Scores = npt.NDArray[np.float64]


Array = npt.NDArray[Any]


class Windows:
    """Windows of consecutive rows of a table, copied when they are asked for.

    Neighbours share nearly all of their rows: an array of all windows takes as many times the room
    of the table as a window has rows. Indices give what they give of such an array, of shape
    (windows, length, columns); by those of the first axis alone nothing else is copied.

    Parameters
    ----------
    rows : array of shape (rows, columns)
    starts : array of int64, shape (windows,)
        The first row of each window, ascending.
    length : int
        Rows of a window.
    """

    ndim = 3

    def __init__(self, rows: Array, starts: Array, length: int) -> None:
        self.rows, self.starts, self.length = rows, starts, length
        self.shape = (len(starts), length, rows.shape[1])
        self.size = int(np.prod(self.shape))
        self.dtype = rows.dtype
        # A view of all windows that there can be.
        self._views = sliding_window_view(rows, (length, rows.shape[1]))[:, 0]

    @property
    def nbytes(self) -> int:
        """Bytes that are kept: each row once."""
        return self.rows.nbytes

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, chosen: Any) -> Array:
        if isinstance(chosen, tuple):
            return np.asarray(self)[chosen]
        return self._views[self.starts[chosen]]  # type: ignore[no-any-return]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        step, *others = np.unique(np.diff(self.starts)).tolist() or [1]
        if others or step < 1:
            # Windows of several series, which no strides can tell.
            return np.asarray(self[:], dtype)
        views: Array = self._views[int(self.starts[0]) :: step][: len(self)]
        return views.astype(dtype or self.dtype, copy=bool(copy))

    def covered(self, chosen: Array) -> npt.NDArray[np.bool_]:
        """Tell of each row whether some of these windows have it.

        Parameters
        ----------
        chosen : array of int64
            Indices of windows.
        """
        starts = self.starts[chosen]
        # How many windows begin at a row, less those that have ended before it.
        begun = np.bincount(starts, minlength=len(self.rows) + 1)
        ended = np.bincount(starts + self.length, minlength=len(self.rows) + 1)
        return np.asarray(np.cumsum(begun - ended)[:-1] > 0)

    def part(self, chosen: Array) -> Windows:
        """Return some of the windows, with no other rows than theirs.

        Parameters
        ----------
        chosen : array of int64
            Indices of windows.
        """
        covered = self.covered(chosen)
        places = np.cumsum(covered) - 1
        return Windows(self.rows[covered], places[self.starts[chosen]], self.length)


Samples = Array | Windows
"""What samples are kept as; indices of the first axis give arrays of some of them."""

# Large enough that the work on a piece outweighs the call, small beside any job's memory.
PIECE_BYTES = 64 * 2**20
# Smaller arrays are kept in memory.
_SMALL_BYTES = 4 * PIECE_BYTES


def pieces(array: Samples, size: int | None = None) -> Iterator[slice]:
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
        _reserve(file.fileno(), int(np.prod(shape)) * dtype.itemsize, folder)
        return np.memmap(file, dtype, "w+", shape=shape)


def _reserve(descriptor: int, size: int, folder: Path | None) -> None:
    """Have the disk say now that it has no room: of a mapped file it is told by SIGBUS."""
    place = str(folder or tempfile.gettempdir())
    # A file system takes all that is left before it says that this was not enough; meanwhile
    # whoever else writes there fails.
    if size > shutil.disk_usage(place).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place)
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        error.filename = place
        raise


def read_soon(array: Samples, first: int, last: int) -> None:
    """Have the system read rows `first` to `last` of a mapped array at once, where it can do so.

    Whoever takes rows in random order waits for the disk at each of them otherwise.
    """
    if isinstance(array, Windows):
        first, last = int(array.starts[first]), int(array.starts[last - 1]) + array.length
        array = array.rows
    if (found := _mapping(array)) is None:
        return
    mapping, start = found
    begin, end = (start + row * array.strides[0] for row in (first, last))
    begin -= begin % mmap.PAGESIZE
    mapping.madvise(mmap.MADV_WILLNEED, begin, end - begin)


def read_alone(array: Samples) -> None:
    """Have the system read no more of a mapped array than it is asked for, where it can do so.

    It reads ahead megabytes for each row that somebody wants, and forgets them before anybody wants
    their rows where the array is larger than memory.
    """
    if (found := _mapping(array.rows if isinstance(array, Windows) else array)) is not None:
        mapping, _ = found
        mapping.madvise(mmap.MADV_RANDOM)


def _mapping(array: Array) -> tuple[mmap.mmap, int] | None:
    """Return the mapping of an array whose rows lie one after another in a file, and its start."""
    if not (isinstance(array, np.memmap) and array.flags.c_contiguous):
        return None
    mapping = array.base
    if not (isinstance(mapping, mmap.mmap) and hasattr(mapping, "madvise")):
        return None
    return mapping, array.offset % mmap.ALLOCATIONGRANULARITY


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
    """Write an array as ``.npy``, piece by piece.

    Not by ``np.save``, which does not say why a file can't be written, and not by mapping the file
    into memory: where the disk is full, that ends the process with SIGBUS.
    """
    head = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": array.shape,
    }
    with file.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, head)
        for piece in pieces(array):
            stream.write(np.ascontiguousarray(array[piece]).tobytes())


def are_images(sample_shape: Sequence[int]) -> bool:
    """Tell whether samples have height, width and channels."""
    return len(sample_shape) == 3

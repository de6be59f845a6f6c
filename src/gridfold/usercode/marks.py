"""Digests of files, remembered for as long as nobody touches them."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    return _file_digest(file, tuple(file_mark(file)))


def file_mark(file: Path) -> list[int]:
    """Return what tells a file that nobody has touched: size, times and inode.

    The time of the last change of the inode can't be set, unlike that of the content.
    """
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


@functools.cache
def _file_digest(file: Path, _mark: tuple[int, ...]) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

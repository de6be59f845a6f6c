"""What the data files of a study hold, as one digest, whatever their time stamps say.

A file that is replaced by an older one (``mv``, ``cp -p``, ``rsync -t``, ``tar``) has an older time
stamp than what was made of the one before it, and a comparison of times does not notice it.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gridfold.atomic import write_json
from gridfold.canonical import digest
from gridfold.data.sources.arrays import ARRAYS, npy_files
from gridfold.imagefolders import SUFFIXES
from gridfold.terminal import say
from gridfold.usercode.marks import file_digest, file_mark

# Reading so much takes more than a moment.
_WORTH_A_WORD = 2e9


def content_digest(data: Mapping[str, Any], memory: Path) -> str:
    """Return the digest of what the data files of a study hold; empty where it names none.

    Single files count by their content. Folders of images, which can hold millions of files, count
    by the names, sizes and times of their files.

    Parameters
    ----------
    data : mapping
        The section `data`, defaults filled in.
    memory : Path
        File that remembers the digests of files that have not been touched since.
    """
    paths = [data.get(key) for key in ("path", "test_path")]
    given = [Path(path) for path in paths if path is not None]
    if not given:
        return ""
    parts: list[Any] = []
    if data["source"] == "images":
        for path in given:
            parts += [_stamp(file, path) for file in _images(path, data["image"])]
        given = [path for path in given if path.is_file()]
    return digest([*parts, _digests(_plain_files(data, given), memory)])


def _plain_files(data: Mapping[str, Any], given: list[Path]) -> list[Path]:
    """Return the files that count by their content, in the order of their names."""
    if data["source"] == "npy":
        names = [name for key in ARRAYS if (name := data[key])]
        return sorted({file for path in given for name in names for file in npy_files(path, name)})
    return [
        file
        for path in given
        for file in (sorted(path.iterdir()) if path.is_dir() else [path])
        if file.is_file()
    ]


def _digests(files: list[Path], memory: Path) -> dict[str, str]:
    """Return the digest of each file, remembered where size, times and inode are the same."""
    known: Mapping[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(memory.read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    for file in files:
        mark = file_mark(file)
        entry = known.get(str(file)) if isinstance(known, dict) else None
        if not (isinstance(entry, dict) and entry.get("mark") == mark):
            if mark[0] > _WORTH_A_WORD:
                say(f"reading {file} once ({mark[0] / 1e9:.0f} GB)")
            entry = {"mark": mark, "digest": file_digest(file)}
        found[str(file)] = entry
    # Where nothing has run yet, nothing is remembered: a dry run leaves no folder behind.
    if found != known and memory.parent.is_dir():
        with contextlib.suppress(OSError):
            write_json(memory, found, indent=1, durable=False)
    return {name: entry["digest"] for name, entry in found.items()}


def _images(path: Path, column: str) -> Iterator[Path]:
    """Yield the image files of a folder, or those that a CSV file lists."""
    if path.is_dir():
        for folder, _, names in sorted(os.walk(path)):
            for name in sorted(names):
                if Path(name).suffix.lower() in SUFFIXES:
                    yield Path(folder) / name
        return
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        for row in csv.DictReader(stream):
            if row.get(column):
                yield path.parent / row[column]


def _stamp(file: Path, root: Path) -> list[Any]:
    try:
        stat = file.stat()
    except OSError:
        return [str(file)]
    return [os.path.relpath(file, root), stat.st_size, stat.st_mtime_ns]

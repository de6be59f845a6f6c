"""Files that are there whole or not at all, also after a crash of the machine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path that takes the place of `file` when the block ends well.

    Parameters
    ----------
    file : Path
        The file to write; its folder is made. What is there and no file, such as ``/dev/stdout``
        or a pipe, can't be replaced and is written itself.
    durable : bool
        Wait until the content is on disk, so that a power failure can't leave an empty file.
    """
    if file.exists() and not (file.is_file() or file.is_dir()):
        yield file
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: some writers choose the format by it.
    temporary = file.with_name(f".{file.stem}.{os.getpid()}{file.suffix}")
    try:
        yield temporary
        if durable:
            _sync(temporary)
        temporary.replace(file)
        if durable:
            _sync(file.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(file: Path, text: str, *, durable: bool = True) -> None:
    """Write `text` to `file`, whole or not at all."""
    with replacing(file, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(
    file: Path, content: object, *, indent: int | None = None, durable: bool = True
) -> None:
    """Write `content` to `file` as JSON, whole or not at all; with `indent`, for people too."""
    write_text(file, json.dumps(content, indent=indent) + "\n", durable=durable)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

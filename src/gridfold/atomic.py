"""Files that are there whole or not at all, also after a crash of the machine."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import re
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

# After which a file that a process of another machine was writing is taken for abandoned.
_ABANDONED_SECONDS = 86400.0
_WRITER = re.compile(r"([0-9a-f]{8})-(\d+)")


@contextlib.contextmanager
def replacing(file: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path that takes the place of `file` when the block ends well.

    What a process that is gone was writing to take the same place is removed.

    Parameters
    ----------
    file : Path
        The file to write; its folder is made. What is there and no file, such as ``/dev/stdout``
        or a pipe, can't be replaced and is written itself.
    durable : bool
        Wait until the content is on disk, so that a power failure can't leave an empty file.

    Raises
    ------
    OSError
        Names `file` also where the system names none, as when the disk is full.
    """
    if file.exists() and not (file.is_file() or file.is_dir()):
        yield file
        return
    make_folder(file.parent, durable=durable)
    remove_abandoned(file.parent, f".{file.stem}.", file.suffix)
    # The suffix stays last: some writers choose the format by it.
    temporary = file.with_name(f".{file.stem}.{writer()}{file.suffix}")
    try:
        yield temporary
        if durable:
            _sync(temporary)
        temporary.replace(file)
        if durable:
            _sync(file.parent)
    except BaseException as error:
        # Not what hides the reason, should the disk not even do this.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            if error.errno is None:
                raise OSError(f"{file}: {error}") from error
            error.filename = str(file)
        raise


def write_text(file: Path, text: str, *, durable: bool = True) -> None:
    """Write `text` to `file`, whole or not at all."""
    with replacing(file, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(
    file: Path, content: object, *, indent: int | None = None, durable: bool = True
) -> None:
    """Write `content` to `file` as JSON, whole or not at all; with `indent`, for people too."""
    write_text(file, json.dumps(content, indent=indent) + "\n", durable=durable)


def make_folder(folder: Path, *, durable: bool = True) -> None:
    """Make a folder, and those above it that are missing.

    Parameters
    ----------
    folder : Path
    durable : bool
        Wait until they are on disk: a folder whose name is lost takes along all that is in it.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent, durable=durable)
    folder.mkdir(exist_ok=True)
    if durable:
        _sync(folder.parent)


def writer() -> str:
    """Return what the names of temporary files say of this process: machine and number."""
    return f"{_machine()}-{os.getpid()}"


def remove_abandoned(folder: Path, before: str, after: str = "") -> None:
    """Remove temporary files whose process is gone; of other machines, those that are a day old.

    Parameters
    ----------
    folder : Path
    before, after : str
        What stands in their names before and after :func:`writer`.
    """
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(folder) if name.startswith(before)]
        for name in names:
            found = _WRITER.match(name, len(before))
            if found and name.endswith(after) and _is_gone(folder / name, *found.groups()):
                (folder / name).unlink(missing_ok=True)


def _is_gone(temporary: Path, machine: str, process: str) -> bool:
    if machine != _machine():
        return time.time() - temporary.stat().st_mtime > _ABANDONED_SECONDS
    # Hardly ever wanted, and verbs that only look should begin at once.
    import psutil

    try:
        # In a container nobody may ask how its children ended.
        return bool(psutil.Process(int(process)).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


@functools.cache
def _machine() -> str:
    """Return a short name of what tells process numbers apart: machine and container.

    It stays the same when the machine starts anew, so that what a failure of power has left is
    recognised.
    """
    name = platform.node()
    with contextlib.suppress(OSError):
        name += os.readlink("/proc/self/ns/pid")
    return f"{zlib.crc32(name.encode()):08x}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

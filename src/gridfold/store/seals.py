"""What lies on disk names what it belongs to, and carries a checksum of what it holds.

A flipped bit, a file that breaks off, and the file of another trial are told from what was written,
and set aside: the file gets the ending `.damaged`, and is made again as if it had never been there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gridfold.atomic import write_text
from gridfold.errors import TOLD
from gridfold.typed_json import DamagedRecord

log = logging.getLogger(__name__)

_CHECKSUM = "checksum"
_ENDING = ".damaged"
# Stays in the cache of a processor, and is read at once.
_PIECE = 2**20


def sealed(
    content: Mapping[str, Any], default: Callable[[Any], Any] | None = None
) -> dict[str, Any]:
    """Return a JSON object with the checksum of all that it holds; it may hold NaN.

    Parameters
    ----------
    content : mapping
    default : callable, optional
        As :func:`json.dumps` has it.
    """
    # As it will be read: its keys are strings then.
    read_back: dict[str, Any] = json.loads(json.dumps(content, default=default))
    return {**read_back, _CHECKSUM: _digest(read_back)}


def unsealed(content: Mapping[str, Any], *, needs_seal: bool = True) -> dict[str, Any]:
    """Return what was sealed.

    Parameters
    ----------
    content : mapping
        A JSON object, as it was read.
    needs_seal : bool
        Whether there must be a checksum. Records of earlier versions have none.

    Raises
    ------
    ValueError
        When it is no longer what was written.
    """
    if not isinstance(content, Mapping):
        raise ValueError("no JSON object")
    opened = dict(content)
    found = opened.pop(_CHECKSUM, None)
    if (found is not None or needs_seal) and found != _digest(opened):
        raise ValueError("its checksum is wrong")
    return opened


def write_sealed(
    file: Path, content: Mapping[str, Any], owner: Mapping[str, str], indent: int | None = None
) -> None:
    """Write a JSON object with its checksum and what it belongs to, whole or not at all."""
    write_text(file, json.dumps(sealed({**content, **owner}), indent=indent) + "\n")


def read_sealed(file: Path, owner: Mapping[str, str]) -> dict[str, Any]:
    """Read what :func:`write_sealed` has written, if it belongs to `owner`.

    Raises
    ------
    FileNotFoundError
        When there is none.
    DamagedRecord
        When it is not what was written, can't be read, or belongs to another.
    """
    try:
        content = unsealed(json.loads(file.read_text(encoding="utf-8")))
        for name, value in owner.items():
            if content.pop(name, None) != value:
                raise ValueError(f"it is of another {name}")
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise DamagedRecord(file, error) from None
    return content


def file_checksum(file: Path) -> str:
    """Return the CRC-32 of a file, as 8 hex digits.

    It is read at the speed of memory on any machine, where SHA-256 needs a processor that helps;
    against damage, other than against malice, it is as good.
    """
    checksum, piece = 0, memoryview(bytearray(_PIECE))
    with file.open("rb", buffering=0) as stream:
        while size := stream.readinto(piece):
            checksum = zlib.crc32(piece[:size], checksum)
    return f"{checksum:08x}"


def bytes_checksum(content: bytes) -> str:
    """Return the checksum that a file with this content has."""
    return f"{zlib.crc32(content):08x}"


def set_aside(file: Path, reason: object, outcome: str) -> Path:
    """Move away what is damaged, a folder in the place of a file too, and tell so.

    Parameters
    ----------
    file : Path
    reason : object
        What is wrong with it.
    outcome : str
        What is done about it.

    Returns
    -------
    Path
        Where it is now.
    """
    target, number = aside(file), 1
    # An earlier damaged file is worth nothing more; a folder may hold something of the user's.
    while target.is_dir() and not target.is_symlink():
        number += 1
        target = file.with_name(f"{file.name}{_ENDING}-{number}")
    file.replace(target)
    log.warning(
        "%s is damaged (%s); set aside as %s, %s", file, reason, target.name, outcome, extra=TOLD
    )
    return target


def aside(file: Path) -> Path:
    """Return where :func:`set_aside` moves a file."""
    return file.with_name(f"{file.name}{_ENDING}")


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

"""Frozen dataclasses as JSON texts and back: what jobs must know, and small files on disk.

The text is canonical (sorted keys, ``1`` for ``1.0``), so that equal values have equal texts and
Snakemake sees every change and nothing else. Reading gives each field its declared type again.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gridfold.atomic import write_text
from gridfold.canonical import canonical_json
from gridfold.errors import GridfoldError

T = TypeVar("T")

_REMEDY = "run the study again with snakemake, which makes it anew"


class DamagedRecord(GridfoldError):
    """A file breaks off, or is not what its name says.

    Parameters
    ----------
    source : Path or str
    reason : object
        What is wrong with it; in words the attribute of that name.
    """

    def __init__(self, source: Path | str, reason: object) -> None:
        self.reason = str(reason)
        super().__init__(f"{source} is damaged ({reason}); {_REMEDY}")


def text_of(value: Any) -> str:
    """Return a dataclass, or a dictionary of such, as canonical JSON.

    Fields that are None are left out.

    Raises
    ------
    ValueError
        For NaN and infinities.
    """
    return canonical_json(_plain(value))


def parse(kind: type[T], text: str | bytes) -> T:
    """Return the value of type `kind` that a text of :func:`text_of` stands for.

    Parameters
    ----------
    kind : type
        A dataclass, or a generic type of such (``dict[str, Entry]``).
    text : str or bytes

    Raises
    ------
    ValueError
        When it is no JSON or lacks a field; names the field.
    """
    return msgspec.json.decode(text, type=kind)


def read(kind: type[T], file: Path) -> T:
    """Return the value of type `kind` that a file holds.

    Raises
    ------
    FileNotFoundError
        When there is none.
    DamagedRecord
        When it can't be read; names file and field, and says what to do.
    """
    try:
        return parse(kind, file.read_bytes())
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise DamagedRecord(file, error) from None


def write(file: Path, value: Any) -> None:
    """Write a value as canonical JSON, whole or not at all."""
    write_text(file, text_of(value) + "\n")


def _plain(value: Any) -> Any:
    """Return dataclasses as dictionaries of their fields, those that are None left out."""
    if value is None or isinstance(value, str | int | float):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: _plain(item) for name, item in fields if item is not None}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value

"""Small records of a study on disk, as JSON: read with the types that they were written with."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, cast

from gridfold.atomic import write_text
from gridfold.errors import GridfoldError, format_path

_REMEDY = "run the study again with snakemake, which makes it anew"


class DamagedRecord(GridfoldError):
    """A record breaks off, is none, or lacks something."""

    def __init__(self, source: Path | str, reason: object) -> None:
        super().__init__(f"{source} is damaged ({reason}); {_REMEDY}")


@dataclass(frozen=True)
class Record:
    """A dataclass that lies on disk as one JSON object, with its attributes as keys.

    Attributes with a default may be missing in a file, for files of earlier versions; what a file
    has beyond the attributes is passed over, for files of later ones.
    """

    def plain(self) -> dict[str, Any]:
        """Return what is written as JSON."""
        return asdict(self)

    def text(self) -> str:
        """Return the record as it is written to its file."""
        return json.dumps(self.plain(), indent=1) + "\n"

    def write(self, file: Path) -> None:
        """Write the record, whole or not at all."""
        write_text(file, self.text())

    @classmethod
    def parse(cls, text: str, source: Path | str) -> Self:
        """Return the record that :meth:`text` made `text` of.

        Parameters
        ----------
        text : str
        source : Path or str
            What the text was read from, for messages.

        Raises
        ------
        DamagedRecord
            When it is no JSON object, or a value is missing or of another type; names the key.
        """
        # Every job imports this module, and not every job reads a record.
        from pydantic import ValidationError

        content = _object(text, source)
        try:
            found: Self = _reader(cast(Any, cls)).validate_python(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = format_path(first["loc"])
            raise DamagedRecord(source, f"{where}: {first['msg'].lower()}") from None
        return found

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read the record from its file.

        Raises
        ------
        FileNotFoundError
            When there is none.
        DamagedRecord
            As in :meth:`parse`.
        """
        return cls.parse(_text(file), file)


@functools.cache
def _reader(kind: type[Record]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def read_record(file: Path) -> dict[str, Any]:
    """Return the content of a record.

    Raises
    ------
    FileNotFoundError
        When there is none.
    DamagedRecord
        When it is no JSON object; says what to do.
    """
    return _object(_text(file), file)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DamagedRecord(file, error) from None


def _object(text: str, source: Path | str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DamagedRecord(source, error) from None
    if not isinstance(content, dict):
        raise DamagedRecord(source, "no JSON object")
    return content

"""Small records of a study on disk, as JSON: read with the types that they were written with."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from gridfold.atomic import write_text
from gridfold.errors import summary_of
from gridfold.store.seals import sealed, set_aside, unsealed
from gridfold.typed_json import DamagedRecord


@contextlib.contextmanager
def intact(file: Path) -> Iterator[None]:
    """Name the file that is read in the block where it is not what its name says.

    Raises
    ------
    OSError
        As it comes, where the file can't be opened: it is missing, or a folder.
    DamagedRecord
        For whatever else the block raises: readers of damaged bytes raise nearly anything.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise DamagedRecord(file, summary_of(error)) from None


@dataclass(frozen=True)
class Record:
    """A dataclass that lies on disk as one JSON object for people, its attributes as keys.

    Other than the canonical texts of :mod:`gridfold.typed_json`, it may hold NaN, and its keys
    stand in the order of the attributes. Attributes with a default may be missing in a file, for
    files of earlier versions; what a file has beyond the attributes is passed over, for later ones.
    A checksum, which files of earlier versions lack, stands at the end of the object.
    """

    def plain(self) -> dict[str, Any]:
        """Return what is written as JSON."""
        return asdict(self)

    def text(self) -> str:
        """Return the record as it is written to its file."""
        return json.dumps(sealed(self.plain()), indent=1) + "\n"

    def write(self, file: Path) -> None:
        """Write the record, whole or not at all; a folder in its place is set aside."""
        if file.is_dir():
            set_aside(file, "a folder where a file should be", "and the file written")
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
            When it is no JSON object, a value is missing or of another type (names the key), or
            the checksum is wrong.
        """
        try:
            # Not by msgspec's own reader, which takes no NaN.
            content = json.loads(text)
            record = msgspec.convert(content, type=cls)
            unsealed(content, needs_seal=False)
            return record
        except ValueError as error:
            raise DamagedRecord(source, error) from None

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read the record from its file.

        Raises
        ------
        FileNotFoundError
            When there is none.
        DamagedRecord
            As in :meth:`parse`, and when it can't be read, as a folder.
        """
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise
        except (OSError, UnicodeDecodeError) as error:
            raise DamagedRecord(file, error) from None
        return cls.parse(text, file)

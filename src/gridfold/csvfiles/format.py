"""The keys of a `data` section say how a table is written."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

# What reading a file may raise that is not there, or not what its name says.
BROKEN = (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error, zipfile.BadZipFile)
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@dataclass(frozen=True)
class Format:
    """How a CSV file is written.

    Attributes
    ----------
    separator, decimal, thousands, encoding
        As in the ``data`` section.
    missing : tuple of str
        Texts that stand for a missing value, besides nothing.
    """

    separator: str = ","
    decimal: str = "."
    thousands: str | None = None
    encoding: str = "utf-8"
    missing: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Format:
        """Return what a ``data`` section says, or what :meth:`as_json` returned."""
        keys = ("separator", "decimal", "thousands", "encoding")
        missing = data.get("missing") or {}
        values = missing["values"] if isinstance(missing, Mapping) and missing else missing
        return cls(**{key: data[key] for key in keys if key in data}, missing=tuple(values))

    def as_json(self) -> dict[str, Any]:
        """Return what is not as usual, in a form that JSON can hold."""
        usual = asdict(Format())
        found = {key: value for key, value in asdict(self).items() if value != usual[key]}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in found.items()}


def open_table(file: Path | str) -> IO[bytes]:
    """Open a file for reading, compressed or not, as its name says."""
    file = Path(file)
    if file.suffix == ".zip":
        archive = zipfile.ZipFile(file)
        names = archive.namelist()
        if len(names) != 1:
            raise ValueError(f"{len(names)} files in it; one is needed")
        return archive.open(names[0])
    opener: Any = _OPENERS.get(file.suffix, open)
    stream: IO[bytes] = opener(file, "rb")
    return stream

"""Where samples come from: one reader for each source of the `data` section."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridfold.sources import arrays, table
from gridfold.sources.raw import Raw

__all__ = ["Raw", "read"]

_READERS = {
    "npz": arrays.read_npz,
    "csv": table.read,
    "parquet": table.read,
    "python": arrays.read_python,
}


def read(data: Mapping[str, Any], folder: Path | None = None) -> Raw:
    """Read the samples of the ``data`` section.

    Parameters
    ----------
    data : mapping
    folder : Path, optional
        Where there is room for arrays that are too large for memory.

    Raises
    ------
    DataError
        When they can't be read; says what to change.
    """
    return _READERS.get(data["source"], arrays.read_embedded)(data)

"""Where samples come from: one reader for each source of the `data` section."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridfold.data.sources import arrays, images, known, table
from gridfold.data.sources.raw import Raw

__all__ = ["Raw", "read"]


def read(data: Mapping[str, Any], folder: Path | None = None, *, classes: bool = False) -> Raw:
    """Read the samples of the ``data`` section.

    Parameters
    ----------
    data : mapping
    folder : Path, optional
        Where there is room for arrays that are too large for memory.
    classes : bool
        Whether targets are classes, which tables may write in any way.

    Raises
    ------
    DataError
        When they can't be read; says what to change.
    """
    match data["source"]:
        case "npz":
            return arrays.read_npz(data)
        case "npy":
            return arrays.read_npy(data, folder)
        case "csv" | "parquet":
            return table.read(data, classes=classes)
        case "images":
            return images.read(data, folder, classes=classes)
        case "mnist" | "fashion_mnist" | "cifar10":
            return known.read(data)
        case "python":
            return arrays.read_python(data)
        case _:
            return arrays.read_embedded(data)

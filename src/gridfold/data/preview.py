"""What a study's data are, before anything is run.

A small table is read as its job would read it; images are only counted.
"""

from __future__ import annotations

import os

from gridfold.data.dataset import prepare
from gridfold.data.description import DataDescription
from gridfold.data.sources import images, table
from gridfold.data.splits import make_splits
from gridfold.requests import DataRequest, SplitsRequest

# Read and checked within a second or two; a compressed file has several times its size.
_SMALL = 20_000_000
_COMPRESSED = 8
_SMALL_CELLS = 2_000_000


def preview(request: DataRequest, splits: SplitsRequest) -> DataDescription | None:
    """Describe the table or the images of a study; None for other sources.

    A small table is read and split in whole, and refused as the first two jobs would refuse it. Of
    a large one the first rows are read. Images are found, and not decoded.

    Parameters
    ----------
    request : DataRequest
    splits : SplitsRequest
        How the data are split.

    Raises
    ------
    DataError
        When the data can't serve the study; says what to change.
    """
    data, classes = request.data, splits.classification
    if data["source"] == "images":
        return images.look(data, classes=classes)
    if data["source"] not in ("csv", "parquet"):
        return None
    if _is_small(data["path"], data["source"]):
        dataset = prepare(
            data, request.problem, positive=request.positive, measures=request.measures or ()
        )
        make_splits(dataset, splits)
        return dataset.description
    return table.look(data, classes=classes)


def _is_small(path: str, source: str) -> bool:
    if source == "parquet":
        import pyarrow.parquet as pq

        metadata = pq.read_metadata(path)
        return bool(metadata.num_rows * metadata.num_columns <= _SMALL_CELLS)
    is_compressed = path.endswith((".gz", ".bz2", ".xz", ".zip"))
    return os.path.getsize(path) * (_COMPRESSED if is_compressed else 1) <= _SMALL

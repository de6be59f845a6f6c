"""Time: the order of rows, and windows of consecutive rows with the target after each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gridfold.arrays import Array, Windows
from gridfold.errors import DataError
from gridfold.wording import counted


def times_of(values: Any) -> Array:
    """Return the points in time of a column as ranks, equal for equal times.

    Parameters
    ----------
    values : pandas.Series
        Numbers, dates, or text with dates in ISO form; complete.

    Raises
    ------
    DataError
        When a value is no point in time.
    """
    import pandas as pd

    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values)):
        parsed = pd.to_datetime(values, errors="coerce", format="ISO8601", utc=True)
        bad = parsed.isna().to_numpy()
        if bad.any():
            row = int(bad.argmax())
            raise DataError(
                f"column {values.name} (data.time) has {str(values.iloc[row])!r} in row {row}; "
                "numbers or dates in ISO form, as 2024-05-31 or 2024-05-31T13:00:00, are needed"
            )
        values = parsed
    return np.unique(values.to_numpy(), return_inverse=True)[1].astype(np.int64)


def series_order(times: Array, series: Array, where: str) -> Array:
    """Return the rows of each series in the order of time, one series after another.

    Raises
    ------
    DataError
        When a series has two rows at one time.
    """
    order = np.lexsort((times, series))
    again = (np.diff(series[order]) == 0) & (np.diff(times[order]) == 0)
    if again.any():
        row = int(order[1:][again][0])
        raise DataError(
            f"{where}: row {row} has the same time as another one of its series; name the series "
            "in data.groups, or keep one row for each time"
        )
    return order


def short_series(series: Array, options: Mapping[str, Any]) -> str:
    """Return in words which series are too short for a window; nothing where all are long enough.

    Parameters
    ----------
    series : array of shape (rows,), int64
    options : mapping
        ``data.sequence``.
    """
    needed = options["length"] + options["horizon"]
    rows = np.bincount(series)
    short = rows[rows < needed]
    if not len(short):
        return ""
    return (
        f"{counted(int(short.sum()), 'row')} of {len(short):,} series, which have fewer than the "
        f"{needed} rows of a window with its target"
    )


def window_starts(series: Array, needed: int, stride: int) -> Array:
    """Return where windows begin in rows that are in the order of series and time.

    Parameters
    ----------
    series : array of shape (rows,)
        The series of each row, equal ones side by side.
    needed : int
        Rows from the first of a window to its target.
    stride : int
    """
    edges = np.flatnonzero(np.diff(series)) + 1
    begins, ends = np.r_[0, edges], np.r_[edges, len(series)]
    starts = [
        np.arange(begin, end - needed + 1, stride)
        for begin, end in zip(begins, ends, strict=True)
        if end - begin >= needed
    ]
    return np.concatenate(starts) if starts else np.empty(0, np.int64)


def cut(
    matrix: Array,
    times: Array,
    series: Array,
    options: Mapping[str, Any],
    where: str,
) -> tuple[Windows, Array, Array]:
    """Cut a table into windows.

    Parameters
    ----------
    matrix : array of shape (rows, columns)
    times, series : array of shape (rows,), int64
    options : mapping
        ``data.sequence``.
    where : str
        The file, for errors.

    Returns
    -------
    features : Windows
    targets : array of int64, shape (windows,)
        The row of each window's target.
    spans : array of int64, shape (windows, 2)
        The times of a window's first row and of its target.

    Raises
    ------
    DataError
        When no series is long enough.
    """
    order = series_order(times, series, where)
    length = options["length"]
    needed = length + options["horizon"]
    starts = window_starts(series[order], needed, options["stride"])
    if not len(starts):
        longest = int(np.bincount(series).max())
        raise DataError(
            f"{where}: the longest series has {longest} rows, a window with its target needs "
            f"{needed} (data.sequence)"
        )
    targets = order[starts + needed - 1]
    spans = np.stack([times[order[starts]], times[targets]], axis=1)
    return Windows(matrix[order], starts, length).part(np.arange(len(starts))), targets, spans

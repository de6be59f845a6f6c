"""Time: the order of rows, and windows of consecutive rows with the target after each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gridfold.arrays import Array, Windows
from gridfold.errors import DataError
from gridfold.wording import counted

# How many digits write a date as an integer, and which.
_WRITTEN_DATES = {
    6: "%Y%m",
    7: "%Y%j",
    8: "%Y%m%d",
    10: "%Y%m%d%H",
    12: "%Y%m%d%H%M",
    14: "%Y%m%d%H%M%S",
}
# A step in time is a usual one up to these times the median; months and leap years are within.
_USUAL = (0.5, 1.5)
# Where fewer steps are usual, rows come at no interval, or not at night and on weekends.
_LEAST_USUAL = 0.9


@dataclass(frozen=True)
class Cut:
    """What a table is cut into.

    Attributes
    ----------
    features : Windows
    targets : array of int64, shape (windows,)
        The row of the table that has each window's target.
    spans : array of int64, shape (windows, 2)
        The points in time of a window's first row and of its target, as ranks.
    longer_steps : str
        How many windows reach across gaps in time, in words; empty for none.
    """

    features: Windows
    targets: Array
    spans: Array
    longer_steps: str


def points_of(values: Any) -> Array:
    """Return the points in time of a column.

    Parameters
    ----------
    values : pandas.Series
        Numbers, dates, or text with dates in ISO form; complete.

    Returns
    -------
    array of shape (rows,)
        Numbers as they are, dates as datetime64 in UTC.

    Raises
    ------
    DataError
        When a value is no point in time.
    """
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values):
        return np.asarray(values.to_numpy())
    is_text = not pd.api.types.is_datetime64_any_dtype(values)
    parsed = pd.to_datetime(
        values, errors="coerce", format="ISO8601" if is_text else None, utc=True
    )
    bad = parsed.isna().to_numpy()
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"column {values.name} (data.time) has {str(values.iloc[row])!r} in row {row}; "
            "numbers or dates in ISO form, as 2024-05-31 or 2024-05-31T13:00:00, are needed"
        )
    return np.asarray(parsed.dt.tz_localize(None).to_numpy())


def ranks_of(points: Array) -> Array:
    """Return the rank of each point in time, int64; equal for equal points."""
    return np.unique(points, return_inverse=True)[1].astype(np.int64)


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
    points: Array,
    series: Array,
    options: Mapping[str, Any],
    where: str,
) -> Cut:
    """Cut a table into windows.

    Parameters
    ----------
    matrix : array of shape (rows, columns)
    points : array of shape (rows,)
        In time, of :func:`points_of`.
    series : array of shape (rows,), int64
    options : mapping
        ``data.sequence``.
    where : str
        The file, for errors.

    Raises
    ------
    DataError
        When no series is long enough.
    """
    times = ranks_of(points)
    order = series_order(times, series, where)
    length = options["length"]
    needed = length + options["horizon"]
    starts = window_starts(series[order], needed, options["stride"])
    if not len(starts):
        longest = int(np.bincount(series).max())
        raise DataError(
            f"{where}: the longest series has {counted(longest, 'row')}, a window with its target "
            f"needs {needed} (data.sequence)"
        )
    targets = order[starts + needed - 1]
    return Cut(
        Windows(matrix[order], starts, length).part(np.arange(len(starts))),
        targets,
        np.stack([times[order[starts]], times[targets]], axis=1),
        longer_steps(points[order], series[order], starts, needed),
    )


def longer_steps(points: Array, series: Array, starts: Array, needed: int) -> str:
    """Return how many windows reach across gaps of series that have few; empty for none.

    Parameters
    ----------
    points, series : array of shape (rows,)
        In the order of series and time.
    starts : array of int64, shape (windows,)
        Where windows begin.
    needed : int
        Rows from the first of a window to its target.
    """
    steps = np.diff(_as_dates(points)).astype(np.float64)
    is_step = np.diff(series) == 0
    in_usual = steps / np.median(steps[is_step])
    is_usual = (in_usual >= _USUAL[0]) & (in_usual <= _USUAL[1])
    is_gap = is_step & (in_usual > _USUAL[1])
    before = np.r_[0, np.cumsum(is_gap)]
    across = int(np.count_nonzero(before[starts + needed - 1] > before[starts]))
    if not across or is_usual[is_step].mean() < _LEAST_USUAL:
        return ""
    return (
        f"{counted(int(is_gap.sum()), 'gap')} in time, the longest of "
        f"{in_usual[is_gap].max():.3g} times the usual step between rows; windows count rows, not "
        f"time, and {across:,} of {len(starts):,} reach across a gap"
    )


def _as_dates(points: Array) -> Array:
    """Return dates of integers that write some, as 20240531; other points in time as they are."""
    import pandas as pd

    if points.dtype.kind not in "iu":
        return points
    digits = {len(str(points.min())), len(str(points.max()))}
    form = _WRITTEN_DATES.get(digits.pop()) if len(digits) == 1 else None
    if form is None:
        return points
    dates = pd.to_datetime(pd.Series(points).astype(str), format=form, errors="coerce")
    return points if dates.isna().any() else np.asarray(dates.to_numpy())

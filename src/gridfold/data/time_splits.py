"""Splits by time: no sample of one part knows a point in time that another part's samples know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gridfold.arrays import Array
from gridfold.data.dataset import Dataset


def spans_of(dataset: Dataset) -> Array:
    """Return first and last point in time of each sample; without times, its place in the order.

    Returns
    -------
    array of shape (samples, 2), int64
    """
    if dataset.spans is not None:
        return dataset.spans
    order = np.arange(len(dataset.features), dtype=np.int64)
    return np.stack([order, order], axis=1)


def held_out(spans: Array, fraction: float, gap: int) -> tuple[Array, Array]:
    """Return the samples of the last stretch of time, and those that end before it.

    Parameters
    ----------
    spans : array of shape (samples, 2), int64
    fraction : float
        Share of the points in time at which samples end.
    gap : int
        Points in time to leave out before the stretch.

    Returns
    -------
    development, test : array of int64
        Samples that reach into the stretch are in neither.
    """
    ends = np.unique(spans[:, 1])
    count = int(np.ceil(fraction * len(ends)))
    if not count:
        return np.arange(len(spans)), np.empty(0, np.int64)
    test = np.flatnonzero(spans[:, 1] >= ends[-count])
    return np.flatnonzero(spans[:, 1] < spans[test, 0].min() - gap), test


def draw(
    spans: Array, development: Array, plan: Mapping[str, Any]
) -> Iterator[tuple[Array, Array]]:
    """Yield training and validation samples of each fold.

    Parameters
    ----------
    spans : array of shape (samples, 2), int64
    development : array of int64
        The samples to split.
    plan : mapping
        The ``resampling`` section, of method ``blocked`` or ``forward``.

    Raises
    ------
    ValueError
        When there are fewer points in time than parts.
    """
    from sklearn.model_selection import KFold, TimeSeriesSplit

    first, last = spans[development, 0], spans[development, 1]
    ends = np.unique(last)
    forward = plan["method"] == "forward"
    splitter = TimeSeriesSplit(plan["folds"]) if forward else KFold(plan["folds"])
    for _, block in splitter.split(ends):
        is_validation = (last >= ends[block[0]]) & (last <= ends[block[-1]])
        # The stretch of time that validation knows, windows before their targets included.
        low = first[is_validation].min() - plan["gap"]
        high = last[is_validation].max() + plan["gap"]
        is_training = last < low
        if not forward:
            is_training |= first > high
        yield development[is_training], development[is_validation]


def share_time(spans: Array, one: Array, other: Array) -> bool:
    """Tell whether a sample of `one` knows a point in time that a sample of `other` knows."""
    if not (len(one) and len(other)):
        return False
    # Sorted by their beginning, an interval meets an earlier one only if it begins before the
    # latest end so far.
    rows = np.concatenate([one, other])
    is_one = np.arange(len(rows)) < len(one)
    order = np.argsort(spans[rows, 0], kind="stable")
    first, last, is_one = spans[rows[order], 0], spans[rows[order], 1], is_one[order]
    for mine in (is_one, ~is_one):
        latest = np.maximum.accumulate(np.where(~mine, last, -1))
        if (mine & (first <= latest)).any():
            return True
    return False

"""The inner validation part: of the training part, what early stopping looks at.

So the validation part of a split takes no part in training, and its score is free of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gridfold.arrays import Array
from gridfold.data import time_splits
from gridfold.data.dataset import Dataset
from gridfold.errors import DataError

USUAL_SHARE = 0.2
"""Of a training part, where a study does not say another one."""


def share_of(stopping: Mapping[str, Any] | None) -> float | None:
    """Return the share of the training part that early stopping looks at.

    Parameters
    ----------
    stopping : mapping or None
        The settings ``training.early_stopping`` of a configuration.

    Returns
    -------
    float or None
        None where nothing is stopped early, or by the validation part.
    """
    if not stopping or stopping.get("on", "validation") != "inner":
        return None
    return float(stopping.get("inner_fraction", USUAL_SHARE))


def draw_inner(
    dataset: Dataset,
    training: Array,
    share: float,
    seed: int,
    *,
    classes: Array | None,
    grouped: bool,
    gap: int | None,
) -> tuple[Array, Array]:
    """Return what a training part is trained on, and its inner validation part.

    Parameters
    ----------
    dataset : Dataset
    training : array of int64
        The samples of the training part.
    share : float
        Of the inner part.
    seed : int
    classes : array of int64 or None
        Class codes of all samples, for a draw by classes; where one of them has too few samples,
        the draw is without regard to them.
    grouped : bool
        Whether whole groups are drawn.
    gap : int or None
        For splits by time, points in time to leave out before the inner part, which is the last
        stretch of time; None for other splits.

    Raises
    ------
    DataError
        When one of the parts would have no samples.
    """
    from sklearn import model_selection

    if gap is not None:
        spans = time_splits.spans_of(dataset)[training]
        fitted, inner = time_splits.held_out(spans, share, gap)
    elif len(training) < 2 or (grouped and len(np.unique(dataset.groups[training])) < 2):
        fitted, inner = np.arange(len(training)), np.arange(0)
    else:
        labels = None if classes is None or grouped else classes[training]
        splitter: Any
        if grouped:
            splitter = model_selection.GroupShuffleSplit(1, test_size=share, random_state=seed)
        elif labels is not None and _can_be_stratified(labels, share):
            splitter = model_selection.StratifiedShuffleSplit(1, test_size=share, random_state=seed)
        else:
            splitter = model_selection.ShuffleSplit(1, test_size=share, random_state=seed)
        groups = dataset.groups[training] if grouped else None
        fitted, inner = next(splitter.split(training, labels, groups))
    if not (len(fitted) and len(inner)):
        raise DataError(
            f"training.early_stopping.on: inner takes a share of {share:g} from a training part of "
            f"{len(training):,} samples, which leaves one of both without any; allowed: another "
            "inner_fraction, more samples or groups, or on: validation"
        )
    return np.sort(training[fitted]), np.sort(training[inner])


def _can_be_stratified(labels: Array, share: float) -> bool:
    counts = np.unique(labels, return_counts=True)[1]
    inner = int(np.ceil(share * len(labels)))
    return bool(counts.min() > 1 and min(inner, len(labels) - inner) >= len(counts))

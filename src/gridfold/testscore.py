"""The score on the held-out test set, with an interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from gridfold import measures
from gridfold.data import Array
from gridfold.samplelosses import SAMPLE_LOSSES

_RESAMPLES = 1000

# Draws, one index for each sample, and the axis along which the samples of a draw lie.
ManyDraws = Callable[[Array, int], Array]


def test_scores(
    problem: str, targets: Array, predictions: Array, measure: str, confidence: float
) -> dict[str, Any] | None:
    """Score the test set; the ranking measure with a percentile bootstrap interval.

    Efron & Tibshirani (1993), chapter 13. Samples are drawn with replacement, so the interval
    says how much the score depends on which samples were held out.

    Parameters
    ----------
    problem, targets, predictions
        As in :func:`gridfold.measures.score`.
    measure : str
    confidence : float
        Such as 0.95.

    Returns
    -------
    dict or None
        ``samples``, ``measure``, ``score``, ``low``, ``high`` and all ``scores``; None without
        test samples.
    """
    if not len(targets):
        return None
    scores = measures.score(problem, targets, predictions)
    low, high = _interval(measure, targets, predictions, confidence)
    return {
        "samples": len(targets),
        "measure": measure,
        "score": scores[measure],
        "low": low,
        "high": high,
        "scores": scores,
    }


def _interval(
    measure: str, targets: Array, predictions: Array, confidence: float
) -> tuple[float, float]:
    def score(indices: Array) -> float:
        try:
            return measures.score_one(measure, targets[indices], predictions[indices])
        except ValueError:
            return float("nan")

    at_once = _for_many_draws(measure, targets, predictions)
    interval = stats.bootstrap(
        (np.arange(len(targets)),),
        at_once or score,
        n_resamples=_RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        vectorized=at_once is not None,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _for_many_draws(measure: str, targets: Array, predictions: Array) -> ManyDraws | None:
    """Return a function that scores many draws at once; None where there is no such way.

    scikit-learn scores one draw at a time: a thousand take half a second where the measure is a
    mean over samples, and ten for the area under the ROC curve of ten classes.
    """
    if measure == "roc_auc":
        return _rank_area_of_draws(targets, predictions)
    if measure not in SAMPLE_LOSSES:
        return None
    losses = SAMPLE_LOSSES[measure](targets, predictions)
    return lambda draws, axis: losses[draws].mean(axis)


def _rank_area_of_draws(targets: Array, predictions: Array) -> ManyDraws:
    """Return what reckons the measure `roc_auc` by sums of ranks (Mann & Whitney, 1947)."""
    codes = [1] if predictions.shape[1] == 1 else range(predictions.shape[1])

    def areas(draws: Array, axis: int) -> Array:
        one_by_one = []
        for column, code in enumerate(codes):
            positive = targets[draws] == code
            n = positive.sum(axis)
            ranks = stats.rankdata(predictions[draws, column], axis=axis)
            with np.errstate(invalid="ignore"):
                # A class that a draw misses, or that is all of it, has no area.
                area = (np.where(positive, ranks, 0).sum(axis) - n * (n + 1) / 2) / (
                    n * (draws.shape[axis] - n)
                )
            one_by_one.append(area)
        known = np.isfinite(one_by_one)
        total = np.where(known, one_by_one, 0).sum(0)
        with np.errstate(invalid="ignore"):
            return np.asarray(total / known.sum(0))

    return areas

"""The score on the held-out test set, with an interval."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

from gridfold.arrays import Array
from gridfold.problems import Measure
from gridfold.store.model_card import HeldOutScore
from gridfold.training import measures
from gridfold.training.measures import SAMPLE_LOSSES

_RESAMPLES = 1000

# Draws, one index for each sample, and the axis along which the samples of a draw lie.
ManyDraws = Callable[[Array, int], Array]


@dataclass(frozen=True)
class TestInterval:
    """The confidence interval of a test score.

    Attributes
    ----------
    low, high : float
        NaN where there is none.
    method : {"wilson", "bootstrap", ""}
    undefined_draws : int
        Bootstrap samples in which the measure is not defined, for want of a class; left out.
    obstacle : str
        Why there is no interval; else empty.
    """

    low: float = float("nan")
    high: float = float("nan")
    method: str = ""
    undefined_draws: int = 0
    obstacle: str = ""


def test_scores(
    problem: str, targets: Array, predictions: Array, measure: str, confidence: float
) -> HeldOutScore | None:
    """Score the test set; the ranking measure with a confidence interval.

    Accuracy gets Wilson's interval (Wilson, 1927), which has a width when all answers are right.
    Other measures get the percentile bootstrap (Efron & Tibshirani, 1993, chapter 13): samples are
    drawn with replacement, so the interval says how much the score depends on which samples were
    held out. Where every draw has the same score, there is nothing to learn from draws: a score
    within [0, 1] then gets Wilson's interval for as many samples as the rarest class has.

    Parameters
    ----------
    problem, targets, predictions
        As in :func:`gridfold.training.measures.score`.
    measure : str
    confidence : float
        Such as 0.95.

    Returns
    -------
    HeldOutScore or None
        None without test samples.
    """
    if not len(targets):
        return None
    scores = measures.score(problem, targets, predictions)
    return HeldOutScore(
        samples=len(targets),
        measure=measure,
        score=scores[measure],
        **asdict(_interval(measure, scores[measure], targets, predictions, confidence)),
        scores=scores,
    )


def _interval(
    measure: str, score: float, targets: Array, predictions: Array, confidence: float
) -> TestInterval:
    if np.isnan(score):
        return TestInterval(obstacle=f"{measure} is not defined on these test samples")
    if measure == "accuracy":
        return _wilson(score, len(targets), confidence)
    if len(targets) == 1:
        return TestInterval(obstacle="one test sample says nothing about how scores vary")
    draws = _bootstrap(measure, targets, predictions, confidence)
    defined = draws[np.isfinite(draws)]
    undefined = int(len(draws) - len(defined))
    if not len(defined):
        text = f"{measure} is not defined in any bootstrap sample of these test samples"
        return TestInterval(undefined_draws=undefined, obstacle=text)
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    if low < high:
        return TestInterval(float(low), float(high), "bootstrap", undefined)
    if Measure.of(measure).range == (0.0, 1.0):
        rarest = int(np.unique(targets, return_counts=True)[1].min())
        return _wilson(score, rarest, confidence, undefined)
    text = "all bootstrap samples have the same score"
    return TestInterval(undefined_draws=undefined, obstacle=text)


def _wilson(score: float, samples: int, confidence: float, undefined: int = 0) -> TestInterval:
    right = round(score * samples)
    ends = stats.binomtest(right, samples).proportion_ci(confidence, method="wilson")
    # Of a score that is no share of so many samples, rounding may have moved past the ends.
    low, high = min(float(ends.low), score), max(float(ends.high), score)
    return TestInterval(low, high, "wilson", undefined)


def _bootstrap(measure: str, targets: Array, predictions: Array, confidence: float) -> Array:
    """Return the scores of the bootstrap samples; NaN or infinite where there is none."""

    def score(indices: Array) -> float:
        try:
            return measures.score_one(measure, targets[indices], predictions[indices])
        except ValueError:
            return float("nan")

    at_once = _for_many_draws(measure, targets, predictions)
    with warnings.catch_warnings():
        # Of the interval that SciPy makes of these draws; ours leaves undefined ones out.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (np.arange(len(targets)),),
            at_once or score,
            n_resamples=_RESAMPLES,
            confidence_level=confidence,
            method="percentile",
            vectorized=at_once is not None,
            rng=np.random.default_rng(0),
        )
    return np.asarray(found.bootstrap_distribution)


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

"""The score on the held-out test set, with an interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from gridfold.arrays import Array
from gridfold.problems import Measure
from gridfold.statistics.bootstrap import percentiles, scores_of_draws, studentised
from gridfold.statistics.dependence import Units, unit_interval, units_of
from gridfold.statistics.shares import SHARES
from gridfold.statistics.weighted import weighted_score
from gridfold.store.model_card import FurtherScore, HeldOutScore
from gridfold.training import measures


@dataclass(frozen=True)
class TestInterval:
    """The confidence interval of a test score.

    Attributes
    ----------
    low, high : float
        NaN where there is none.
    method : {"wilson", "bootstrap", "bootstrap-t", "groups", "blocks", ""}
    undefined_draws : int
        Bootstrap samples in which the measure is not defined, for want of a class; left out.
    obstacle : str
        Why there is no interval; else empty.
    units : int
        Groups of samples or blocks of time that the interval rests on; 0 where samples are
        independent.
    """

    low: float = float("nan")
    high: float = float("nan")
    method: str = ""
    undefined_draws: int = 0
    obstacle: str = ""
    units: int = 0


def test_scores(
    problem: str,
    targets: Array,
    predictions: Array,
    measure: str,
    confidence: float,
    own: Mapping[str, str],
    further: Sequence[str],
    threshold: float,
    groups: Array | None,
    times: Array | None,
) -> HeldOutScore | None:
    """Score the test set; the ranking measure, and those that are named, with an interval.

    The interval says how much the score depends on which samples were held out.

    - Samples of groups, and of times, depend on each other: Student's t for the number of groups,
      or of blocks of time (:mod:`gridfold.statistics.dependence`).
    - Shares of samples (accuracies, sensitivity, specificity) get Wilson's interval (Wilson, 1927),
      which has a width when all answers are right.
    - Means of losses that have no upper end, and their root, get the bootstrap-t by their
      logarithm.
    - Other measures get the percentile bootstrap (Efron & Tibshirani, 1993, chapter 13). Where
      every draw has the same score, there is nothing to learn from draws: a score within [0, 1]
      then gets Wilson's interval for as many samples as the rarest class has.

    Parameters
    ----------
    problem, targets, predictions
        As in :func:`gridfold.training.measures.score`.
    measure : str
    confidence : float
        Such as 0.95.
    own : mapping of str to str
        The measures of the user's own: the reference of each by its name.
    further : sequence of str
        Measures with an interval beside the ranking one.
    threshold : float
        From which probability on a sample of a binary problem is predicted as positive.
    groups, times : array of shape (samples,) or None
        Group of each sample, and its point in time as a rank where the test set is the last stretch
        of time.

    Returns
    -------
    HeldOutScore or None
        None without test samples.

    Raises
    ------
    TrialFailure
        When a measure of the user's own fails.
    """
    if not len(targets):
        return None
    scores = measures.score(problem, targets, predictions, own, threshold)

    def interval(name: str) -> dict[str, Any]:
        scorer = measures.Scorer(name, own.get(name), threshold)
        if np.isnan(scores[name]):
            text = f"{name} is not defined on these test samples"
            return asdict(TestInterval(obstacle=text))
        of_groups = np.arange(len(targets)) if groups is None else groups
        units = units_of(of_groups, times, scorer, targets, predictions)
        if units is not None:
            found = _by_units(scores[name], targets, predictions, scorer, confidence, units)
            return asdict(found)
        return asdict(_interval(scores[name], targets, predictions, scorer, confidence))

    return HeldOutScore(
        samples=len(targets),
        measure=measure,
        score=scores[measure],
        **interval(measure),
        scores=scores,
        function=own.get(measure),
        further={
            name: FurtherScore(score=scores[name], **interval(name))
            for name in further
            if name != measure
        },
    )


def _interval(
    score: float, targets: Array, predictions: Array, scorer: measures.Scorer, confidence: float
) -> TestInterval:
    measure = scorer.measure
    if measure in SHARES:
        return _wilson(score, int(SHARES[measure](targets).sum()), confidence)
    if len(targets) == 1:
        return TestInterval(obstacle="one test sample says nothing about how scores vary")
    is_root = measure == "rmse" and predictions.shape[1] == 1
    if is_root or (scorer.is_mean and Measure.of(measure).high == np.inf):
        of_losses = replace(scorer, measure="mse") if is_root else scorer
        losses = of_losses.losses(targets, predictions)
        ends = studentised(losses, confidence)
        if ends is None:
            same = "all test samples have the same loss"
            few = "two test samples say too little about how losses vary"
            return TestInterval(obstacle=few if len(losses) == 2 and np.ptp(losses) > 0 else same)
        low, high = map(math.sqrt, ends) if is_root else ends
        return TestInterval(low, high, "bootstrap-t")
    scores = scores_of_draws(scorer, targets, predictions)
    drawn = percentiles(scores, [len(targets)], confidence)
    if drawn.undefined == drawn.draws:
        text = f"{measure} is not defined in any bootstrap sample of these test samples"
        return TestInterval(undefined_draws=drawn.undefined, obstacle=text)
    if drawn.low < drawn.high:
        return TestInterval(drawn.low, drawn.high, "bootstrap", drawn.undefined)
    if Measure.of(measure).range == (0.0, 1.0):
        rarest = int(np.unique(targets, return_counts=True)[1].min())
        return _wilson(score, rarest, confidence, drawn.undefined)
    text = "all bootstrap samples have the same score"
    return TestInterval(undefined_draws=drawn.undefined, obstacle=text)


def _by_units(
    score: float,
    targets: Array,
    predictions: Array,
    scorer: measures.Scorer,
    confidence: float,
    units: Units,
) -> TestInterval:
    of_weights = weighted_score(scorer, targets, predictions)
    ends = unit_interval(scorer, score, of_weights, units, confidence)
    if ends is None:
        text = f"the test samples are of fewer than two {_UNITS[units.kind]}"
        return TestInterval(obstacle=text, units=units.count)
    return TestInterval(*ends, units.kind, units=units.count)


_UNITS = {"groups": "groups", "blocks": "stretches of time"}


def _wilson(score: float, samples: int, confidence: float, undefined: int = 0) -> TestInterval:
    right = round(score * samples)
    ends = stats.binomtest(right, samples).proportion_ci(confidence, method="wilson")
    # Of a score that is no share of so many samples, rounding may have moved past the ends.
    low, high = min(float(ends.low), score), max(float(ends.high), score)
    return TestInterval(low, high, "wilson", undefined)

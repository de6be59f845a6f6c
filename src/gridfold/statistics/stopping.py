"""Whether the rest of a random search is worth its price: the gain that the scores so far promise.

The draws of a random search are exchangeable, so the next of them is better than the best of k with
probability 1 / (k + 1), whatever the space. By how much is read from the best scores: the mean
excess of the best tenth over the next score, as if the tail were exponential. Tails that end, as
those of measures with a limit do, are lighter, so that the gain is rather taken to be too large.

Makarova et al. (2022), Automatic Termination for Hyperparameter Optimization (AutoML-Conf), compare
a bound on the regret with the corrected variance of cross-validation. Their bound is that of a
Gaussian process; the noise here is theirs. That decision, its simulations and what it can't see are
in docs/searching.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gridfold.arrays import Scores
from gridfold.plan.stopping import StopDecision
from gridfold.problems import Measure
from gridfold.requests import StoppingRule
from gridfold.statistics.intervals import corrected_factor, rounding_variance

FEWEST_SCORES = 10
"""Below it, nothing is said about the tail."""
_TAIL_SHARE, _FEWEST_IN_TAIL = 0.1, 5
# Scores that diverged so far have no variance that a number could hold.
_LARGEST = 1e100


def decide(
    rule: StoppingRule,
    measure: str,
    scores: Any,
    test_train_ratio: float,
    n_validation: float,
    *,
    adapts: bool = False,
) -> StopDecision:
    """Return whether a search stops, and why.

    Parameters
    ----------
    rule : StoppingRule
    measure : str
        That ranks.
    scores : array-like of shape (configurations, splits)
        Of all that was tried, in the order of the search. A configuration that lacks a score, or
        has one that is not finite or beyond 1e100, counts as tried and tells nothing.
    test_train_ratio : float
        Validation samples over training samples of a split.
    n_validation : float
        Validation samples of a split.
    adapts : bool
        Whether later configurations follow from earlier scores. Then they are no draws from one
        distribution, and how often the best score is improved is counted in the later half.

    Returns
    -------
    StopDecision

    Notes
    -----
    The noise is the corrected standard error of
    :func:`gridfold.statistics.intervals.corrected_standard_error` with the mean variance of the
    best tenth: that of a single configuration on five splits is off by a third.
    """
    values = np.asarray(scores, np.float64)
    tried, n_splits = values.shape
    complete = values[(np.abs(values) < _LARGEST).all(axis=1)]
    known = StopDecision(False, tried, len(complete), rule.total, measure, rule.gain, rule.risk)
    if len(complete) < FEWEST_SCORES:
        return known
    kind = Measure.of(measure)
    means = kind.sign * complete.mean(axis=1)
    order = np.argsort(-means, kind="stable")
    best, tail = float(means[order[0]]), _tail_size(len(means))
    top = complete[order[:tail]]
    resolution = rounding_variance(measure, top.ravel(), np.full(top.size, n_validation))
    variance = max(float(top.var(axis=1, ddof=1).mean()), resolution)
    noise = math.sqrt(corrected_factor(n_splits, test_train_ratio) * variance)
    excess = float(means[order[:tail]].mean() - means[order[tail]])
    # Scores that agree are known to agree only as far as they are resolved.
    scale = max(excess, math.sqrt(resolution / n_splits))
    room = (kind.high if kind.sign > 0 else -kind.low) - best
    improves = _improving(means) if adapts else 1 / (len(means) + 1)
    rest = rule.total - tried
    return StopDecision(
        **{
            **vars(known),
            "best": kind.sign * best,
            "noise": noise,
            "gain": _gain(improves, scale, 1, room),
            "rest_gain": _gain(improves, scale, rest, room),
            "chance": (chance := _chance(improves, scale, rest, room, rule.gain * noise)),
            "stops": chance <= rule.risk,
        }
    )


def _tail_size(count: int) -> int:
    return max(_FEWEST_IN_TAIL, math.ceil(_TAIL_SHARE * count))


def _improving(means: Scores) -> float:
    """Return how often a configuration of the later half has improved the best score so far."""
    later = len(means) // 2
    so_far = np.maximum.accumulate(means)
    improved = int((means[later:] > so_far[later - 1 : -1]).sum())
    # Laplace: one improvement more, and one that is none.
    return (1 + improved) / (2 + len(means) - later)


def _chance(improves: float, scale: float, draws: int, room: float, gain: float) -> float:
    """Return the probability that the best of some draws improves by more than `gain`."""
    if gain >= room:
        return 0.0
    if scale <= 0:
        # All the same, and no resolution known: nothing tells how far away another one would be.
        return 1.0
    each = improves * math.exp(-gain / scale)
    return -math.expm1(draws * math.log1p(-each))


def _gain(improves: float, scale: float, draws: int, room: float) -> float:
    """Return what the best of some draws is expected to improve by, at most `room`.

    The integral of ``1 - (1 - p exp(-x / scale)) ** draws`` over x from 0.
    """
    numbers = np.arange(1, draws + 1)
    harmonic = float((-np.expm1(numbers * math.log1p(-improves)) / numbers).sum())
    return min(scale * harmonic, room)

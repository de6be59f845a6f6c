"""The percentile bootstrap of scores: how much they depend on which samples were drawn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from gridfold.arrays import Array, Scores
from gridfold.errors import TrialFailure
from gridfold.statistics.weighted import is_fast, weighted_score
from gridfold.training.measures import Scorer

_RESAMPLES = 1000
# Indices that are held at once: 80 MB.
_CELLS = 10_000_000
_ROUNDING = 1e-9
_FEWEST_LOSSES = 3
# A factor of 20,000 either way.
_MOST_LOGARITHM = 10.0

DrawnScores = Callable[[Array, int], Array]
"""Takes draws (an index for each sample) and the axis along which the samples of a draw lie."""


@dataclass(frozen=True)
class Percentiles:
    """The percentile interval of bootstrap samples.

    Attributes
    ----------
    low, high : float
        NaN where no bootstrap sample has a value.
    draws : int
        Bootstrap samples.
    undefined : int
        Those in which there is no value, for want of a class; left out of the interval.
    """

    low: float
    high: float
    draws: int
    undefined: int


def percentiles(
    statistic: Callable[..., Array],
    samples: Sequence[int],
    confidence: float,
    *,
    paired: bool = False,
) -> Percentiles:
    """Return the percentile interval of a statistic (Efron & Tibshirani, 1993, chapter 13).

    Samples are drawn 1000 times with replacement, with NumPy's generator of seed 0.

    Parameters
    ----------
    statistic : callable
        Takes the draws of each set, integers of shape (..., samples), and `axis`; returns a value
        for each draw, NaN or infinite where there is none.
    samples : sequence of int
        How many there are in each set.
    confidence : float
        Such as 0.95.
    paired : bool
        Whether the same samples are drawn of all sets, which then have equally many.
    """
    with warnings.catch_warnings():
        # Of the interval that SciPy makes of these draws; ours leaves undefined ones out.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            tuple(np.arange(count) for count in samples),
            statistic,
            n_resamples=_RESAMPLES,
            batch=max(1, _CELLS // sum(samples)),
            confidence_level=confidence,
            method="percentile",
            vectorized=True,
            paired=paired,
            rng=np.random.default_rng(0),
        )
    values = np.asarray(found.bootstrap_distribution)
    defined = values[np.isfinite(values)]
    if not len(defined):
        return Percentiles(np.nan, np.nan, len(values), len(values))
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Percentiles(float(low), float(high), len(values), len(values) - len(defined))


def studentised(losses: Scores, confidence: float) -> tuple[float, float] | None:
    """Return the bootstrap-t interval of a mean of positive losses, by their logarithm.

    Efron & Tibshirani (1993), chapter 12: of each bootstrap sample the distance of its mean from
    that of all, in standard errors of its own. So the interval knows that where large losses are
    missing, both the mean and its error are too small, which percentiles don't.

    Parameters
    ----------
    losses : array of shape (samples,)
        Not below 0.
    confidence : float

    Returns
    -------
    (float, float) or None
        None where all losses are equal, or 0, or fewer than three: of two, each bootstrap sample
        with a spread has their own mean.
    """
    count, mean = len(losses), float(losses.mean())
    error = float(losses.std(ddof=1)) / np.sqrt(count) if count >= _FEWEST_LOSSES else 0.0
    # What differs by rounding alone differs in nothing.
    if not mean > 0 or error <= _ROUNDING * mean:
        return None
    random = np.random.default_rng(0)
    distances = []
    for start in range(0, _RESAMPLES, step := max(1, _CELLS // count)):
        size = min(step, _RESAMPLES - start)
        drawn = losses[random.integers(0, count, (size, count))]
        means = drawn.mean(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            errors = drawn.std(axis=1, ddof=1) / np.sqrt(count) / means
            distances.append(np.log(means / mean) / np.where(errors > _ROUNDING, errors, np.nan))
    known = np.concatenate(distances)
    tail = (1 - confidence) / 2
    below, above = np.quantile(known[np.isfinite(known)], [tail, 1 - tail])
    # With few samples a bootstrap sample may be of one alone; no interval is wider than this.
    most = _MOST_LOGARITHM * mean / error
    low, high = np.exp(-np.clip([above, below], -most, most) * error / mean) * mean
    return float(low), float(high)


def scores_of_draws(scorer: Scorer, targets: Array, predictions: Array) -> DrawnScores:
    """Return a function that scores draws of samples; NaN or infinite where there is no score.

    Many draws at once where the measure allows it (:mod:`gridfold.statistics.weighted`):
    scikit-learn scores one at a time, and a thousand take up to ten seconds.

    Parameters
    ----------
    scorer : Scorer
    targets, predictions
        As in :func:`gridfold.training.measures.score`.
    """
    if not is_fast(scorer):

        def one(draw: Array) -> float:
            try:
                return scorer.score(targets[draw], predictions[draw])
            except (ValueError, TrialFailure):
                return float("nan")

        return lambda draws, axis: np.apply_along_axis(one, axis, draws)
    score, samples = weighted_score(scorer, targets, predictions), len(targets)

    def of_draws(draws: Array, axis: int) -> Array:
        rows = np.moveaxis(np.asarray(draws), axis, -1)
        flat = rows.reshape(-1, rows.shape[-1])
        # How often each sample is in each draw, counted in one array of all draws.
        places = flat + samples * np.arange(len(flat))[:, np.newaxis]
        counts = np.bincount(places.ravel(), minlength=len(flat) * samples)
        found = score(counts.reshape(-1, samples).astype(np.float64))
        return np.asarray(found.reshape(rows.shape[:-1]))

    return of_draws

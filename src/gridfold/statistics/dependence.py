"""Samples that depend on each other: how far scores can be trusted, by groups and by time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gridfold.arrays import Array, Scores
from gridfold.statistics.bounded import interval_within
from gridfold.statistics.intervals import t_quantile
from gridfold.statistics.weighted import WeightedScore
from gridfold.training.measures import Scorer, chances_of

# In more blocks than these, neighbours still depend on each other.
_MOST_BLOCKS = 10
# How much longer a block is than is best for the variance: so its mean hardly knows the next one.
_LONGER = 2.0


@dataclass(frozen=True)
class Units:
    """What is independent: whole groups of samples, or stretches of time.

    Attributes
    ----------
    kind : {"groups", "blocks"}
    codes : array of shape (samples,), int64
        To which unit each sample belongs, from 0.
    """

    kind: Literal["groups", "blocks"]
    codes: Array

    @property
    def count(self) -> int:
        """Number of units."""
        return int(self.codes.max()) + 1


def units_of(
    groups: Array, times: Array | None, scorer: Scorer, targets: Array, predictions: Array
) -> Units | None:
    """Return the units of samples that depend on each other; None where each is its own.

    Parameters
    ----------
    groups : array of shape (samples,)
    times : array of shape (samples,) or None
        Points in time as ranks, where samples are compared by time.
    scorer : Scorer
    targets, predictions
        As in :func:`gridfold.training.measures.score`.
    """
    if times is not None:
        return Units("blocks", time_blocks(times, sample_errors(scorer, targets, predictions)))
    codes = np.unique(groups, return_inverse=True)[1]
    return Units("groups", codes) if len(codes) > codes.max(initial=-1) + 1 else None


def sample_errors(scorer: Scorer, targets: Array, predictions: Array) -> Scores:
    """Return how wrong each sample is, for what its neighbours in time tell of it; (samples,)."""
    if scorer.is_mean:
        return scorer.losses(targets, predictions)
    if targets.ndim == 1:
        return np.asarray(1 - chances_of(predictions)[np.arange(len(targets)), targets])
    errors = np.square(predictions.astype(np.float64) - targets.reshape(predictions.shape))
    return np.asarray(errors.mean(axis=1))


def time_blocks(times: Array, errors: Scores) -> Array:
    """Return the block of consecutive points in time to which each sample belongs, from 0.

    Twice as long as Politis & White (2004) choose for a bootstrap of blocks, and at most ten: the
    means of so few and long blocks, with Student's t for their number, cover better than a
    bootstrap of many short ones, whose interval is that of independent blocks.

    Parameters
    ----------
    times : array of shape (samples,)
        Points in time as ranks.
    errors : array of shape (samples,)
        What depends on what was shortly before.
    """
    points, place = np.unique(times, return_inverse=True)
    series = np.bincount(place, errors) / np.bincount(place)
    length = _LONGER * block_length(series)
    count = int(np.clip(len(points) / length, min(2, len(points)), _MOST_BLOCKS))
    return np.asarray((place * count) // len(points))


def block_length(series: Scores) -> float:
    """Return the best length of blocks for the variance of a mean, in points of a series.

    Politis & White (2004), Automatic block-length selection for the dependent bootstrap, with the
    correction of Patton, Politis & White (2009), for the circular bootstrap.

    Parameters
    ----------
    series : array of shape (points,)
    """
    n = len(series)
    centred = series - series.mean()
    if n < 4 or not np.ptp(series) > 0:
        return 1.0
    run = max(5, int(math.sqrt(math.log10(n))))
    lags = min(math.ceil(math.sqrt(n)) + run, n - 1)
    covariance = np.array([centred[: n - k] @ centred[k:] / n for k in range(lags + 1)])
    small = np.abs(covariance[1:] / covariance[0]) < 2 * math.sqrt(math.log10(n) / n)
    # The last lag before a run of correlations that are none; else the last that is one.
    runs = [k for k in range(len(small) - run + 1) if small[k : k + run].all()]
    last = runs[0] if runs else max(np.flatnonzero(~small) + 1, default=0)
    width = min(2 * max(int(last), 1), lags)
    lag = np.arange(-width, width + 1)
    weights = np.clip(2 * (1 - np.abs(lag) / width), 0, 1) * covariance[np.abs(lag)]
    spectrum = float(weights.sum())
    longest = min(3 * math.sqrt(n), n / 3)
    if spectrum <= 0:
        return 1.0
    slope = float((np.abs(lag) * weights).sum())
    found = math.cbrt(2 * slope**2 / (4 / 3 * spectrum**2) * n)
    return min(max(found, 1.0), longest)


def unit_error(score: WeightedScore, units: Units) -> tuple[float, int]:
    """Return the standard error of a score by leaving out one unit after the other.

    The jackknife over units (Efron & Tibshirani, 1993, chapter 11).

    Returns
    -------
    error : float
        NaN with fewer than two units.
    used : int
        Units without which the score is defined.
    """
    left_out = np.arange(units.count)[:, np.newaxis] != units.codes[np.newaxis]
    values = score(left_out.astype(np.float64))
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return math.nan, len(values)
    return math.sqrt((len(values) - 1) * float(np.var(values))), len(values)


def unit_interval(
    scorer: Scorer, value: float, score: WeightedScore, units: Units, confidence: float
) -> tuple[float, float] | None:
    """Return the interval of a score by the units of its samples; None with fewer than two.

    Student's t for the number of units, within the range of the measure.
    """
    error, used = unit_error(score, units)
    if used < 2:
        return None
    quantile = t_quantile((1 + confidence) / 2, used - 1)
    # Of a share of samples no error makes more than there are.
    most = len(units.codes) if scorer.is_mean else math.inf
    return interval_within(scorer.measure, value, error, quantile, at_the_end=used, most=most)

"""Statistics over splits: intervals and paired comparisons that respect shared training data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gridfold.arrays import Scores
from gridfold.problems import Measure


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Attributes
    ----------
    mean, sd, low, high : float
        `sd` over the splits; `low` and `high` NaN with fewer than two splits.
    n : int
        Number of splits.
    """

    mean: float
    sd: float
    low: float
    high: float
    n: int


def rounding_variance(measure: str, scores: Any, n_validation: Any) -> float:
    """Return the variance that a score has by its resolution alone.

    A score that only has values a step apart is known to half a step: uniformly distributed over a
    step, it has the variance ``step**2 / 12`` (Sheppard). Splits whose scores happen to agree show
    no spread at all, and a test that believes them finds any difference certain.

    Parameters
    ----------
    measure : str
    scores : array-like of shape (trials,)
        NaN is left out.
    n_validation : array-like of shape (trials,)
        Samples of which each score was computed.

    Returns
    -------
    float
        Of a typical trial; that of a difference of two scores is twice as large.
    """
    values, samples = np.asarray(scores, np.float64), np.asarray(n_validation, np.float64)
    known = np.isfinite(values) & (samples > 0)
    if not known.any():
        return 0.0
    values, samples = values[known], samples[known]
    counted = Measure.of(measure).counts
    if not counted:
        return float_variance(values)
    # Of pairs: one over those of a positive and a negative sample, most where both are as many.
    step = 1 / samples if counted == "samples" else 4 / np.square(samples)
    return float(np.mean(np.square(step)) / 12)


def float_variance(scores: Scores) -> float:
    """Return the variance that scores have since the predictions behind them are kept in 32 bit.

    By the median of the scores: a configuration that diverges must not hide what the others show.
    """
    return float((np.finfo(np.float32).eps * np.median(np.abs(scores))) ** 2 / 12)


def corrected_standard_error(
    values: Scores, test_train_ratio: float, least_variance: float = 0.0
) -> float:
    """Return the standard error of a mean over splits that share training samples.

    The plain standard error treats splits as independent, which they are not, and is too small.
    Nadeau & Bengio (2003), Inference for the Generalization Error, eq. 9, multiply the variance
    by ``1/n + n_test/n_train`` instead of ``1/n``.

    Parameters
    ----------
    values : array of shape (splits,)
    test_train_ratio : float
        Validation samples over training samples of a split.
    least_variance : float
        What the values are known to vary by, even if these don't: :func:`rounding_variance`.
    """
    variance = max(float(np.var(values, ddof=1)), least_variance)
    return math.sqrt(corrected_factor(len(values), test_train_ratio) * variance)


def corrected_factor(splits: int, test_train_ratio: float) -> float:
    """Return by what the variance of a score is multiplied for that of a mean over splits.

    Parameters
    ----------
    splits : int
    test_train_ratio : float
        As for :func:`corrected_standard_error`.
    """
    return 1 / splits + test_train_ratio


def mean_interval(
    values: Any, test_train_ratio: float, confidence: float, least_variance: float = 0.0
) -> Interval:
    """Return mean, SD and the corrected confidence interval of scores over splits.

    Student's t with n - 1 degrees of freedom and :func:`corrected_standard_error`.

    Parameters
    ----------
    values : array-like of shape (splits,)
        NaN is left out.
    test_train_ratio : float
    confidence : float
        Such as 0.95.
    least_variance : float
        As for :func:`corrected_standard_error`; `sd` stays that of the values.
    """
    numbers = np.asarray(values, np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if not numbers.size:
        return Interval(math.nan, math.nan, math.nan, math.nan, 0)
    mean = float(numbers.mean())
    # An infinite score is one: left out, it would improve the mean.
    if numbers.size == 1 or not math.isfinite(mean):
        return Interval(mean, math.nan, math.nan, math.nan, int(numbers.size))
    half = corrected_standard_error(numbers, test_train_ratio, least_variance) * t_quantile(
        (1 + confidence) / 2, numbers.size - 1
    )
    return Interval(mean, float(numbers.std(ddof=1)), mean - half, mean + half, int(numbers.size))


def paired_p_value(a: Any, b: Any, test_train_ratio: float, least_variance: float = 0.0) -> float:
    """Return the two-sided p-value of the corrected resampled t-test.

    Parameters
    ----------
    a, b : array-like of shape (splits,)
        Scores of two configurations on the same splits.
    test_train_ratio : float
    least_variance : float
        Of a difference, as for :func:`corrected_standard_error`; never taken to be smaller than
        what 32-bit numbers of this size resolve.

    Returns
    -------
    float
        NaN with fewer than two pairs.
    """
    one, other = np.asarray(a, np.float64), np.asarray(b, np.float64)
    known = np.isfinite(one) & np.isfinite(other)
    one, other = one[known], other[known]
    if one.size < 2:
        return math.nan
    least = max(least_variance, float_variance(one) + float_variance(other))
    error = corrected_standard_error(one - other, test_train_ratio, least)
    t = float((one - other).mean()) / error if error > 0 else 0.0
    return 2 * _t_probability(-abs(t), one.size - 1)


# scipy.stats takes half a second to import; Student's t is in scipy.special too. That is imported
# only where it is used, since most jobs read what another has computed.


def t_quantile(probability: float, freedom: int) -> float:
    """Return the quantile of Student's t with `freedom` degrees of freedom."""
    from scipy import special

    return float(special.stdtrit(freedom, probability))


def _t_probability(t: float, freedom: int) -> float:
    from scipy import special

    return float(special.stdtr(freedom, t))


def holm(p_values: Any) -> Scores:
    """Return p-values adjusted for the number of comparisons (Holm, 1979); NaN stays NaN."""
    p = np.asarray(p_values, np.float64)
    adjusted = np.full_like(p, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known])]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return adjusted

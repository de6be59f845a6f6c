"""Confidence intervals that stay inside the range of a measure, and have a width at its ends."""

from __future__ import annotations

import math

from gridfold.problems import Measure


def interval_within(
    measure: str,
    score: float,
    error: float,
    quantile: float,
    *,
    at_the_end: float,
    most: float = math.inf,
) -> tuple[float, float]:
    """Return the ends of an interval for a score with a known standard error.

    - Between two ends, as accuracy and ROC AUC have them: Wilson's interval (1927) for as many
      samples as such an error is that of, with a quantile of Student's t, as it is used for surveys
      (Dean & Pagano, 2015, Evaluating confidence interval methods for binomial proportions in
      clustered surveys, section 2).
    - With one end, as errors (0) and R² (1) have it: symmetric in the logarithm of the distance.
    - Else symmetric.

    Parameters
    ----------
    measure : str
    score, error : float
    quantile : float
        By which the error is multiplied.
    at_the_end : float
        How many samples a score is worth that is at an end of the range, where its error says
        nothing.
    most : float
        How many samples a score is worth at most, however small its error seems to be.
    """
    low, high = Measure.of(measure).range
    if math.isfinite(low) and math.isfinite(high):
        width = high - low
        share = min(max((score - low) / width, 0.0), 1.0)
        variance = share * (1 - share)
        worth = variance * (width / error) ** 2 if error > 0 and variance > 0 else at_the_end
        ends = _wilson(share, min(worth, most), quantile)
        return low + width * ends[0], low + width * ends[1]
    half = quantile * error
    if math.isfinite(low) and score > low:
        factor = math.exp(min(half / (score - low), 700.0))
        return low + (score - low) / factor, low + (score - low) * factor
    if math.isfinite(high) and score < high:
        factor = math.exp(min(half / (high - score), 700.0))
        return high - (high - score) * factor, high - (high - score) / factor
    return max(low, score - half), min(high, score + half)


def _wilson(share: float, samples: float, quantile: float) -> tuple[float, float]:
    """Return Wilson's interval; the number of samples need not be whole."""
    square = quantile**2 / samples
    middle = (share + square / 2) / (1 + square)
    half = quantile / (1 + square) * math.sqrt((share * (1 - share) + square / 4) / samples)
    # Rounding may have moved past the ends.
    return min(max(0.0, middle - half), share), max(min(1.0, middle + half), share)

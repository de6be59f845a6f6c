"""Scores as the sum of what is a configuration's, what is a split's, and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gridfold.arrays import Scores


@dataclass(frozen=True)
class Noise:
    """How much scores vary from split to split, apart from what all configurations share.

    Attributes
    ----------
    variance : float
    degrees : int
        Degrees of freedom of its estimate; 0 where nothing is known.
    """

    variance: float
    degrees: int


def noise(scores: Scores, least_variance: float = 0.0) -> Noise:
    """Return the noise of scores: the residual of an additive model.

    Parameters
    ----------
    scores : array of shape (configurations, splits)
        NaN from the split on on which a configuration was not trained any more.
    least_variance : float
        That scores have by their resolution alone.

    Notes
    -----
    Each split adds the differences of its scores from the means of the splits before, scaled to the
    variance of one score (Helmert's contrasts). Without NaN their sum of squares is the residual of
    a two-way analysis of variance.
    """
    total, degrees = 0.0, 0
    for k in range(1, scores.shape[1]):
        rows = scores[np.isfinite(scores[:, k])]
        if len(rows) > 1:
            change = (rows[:, k] - rows[:, :k].mean(axis=1)) * math.sqrt(k / (k + 1))
            total += float(np.square(change - change.mean()).sum())
            degrees += len(rows) - 1
    return Noise(max(total / degrees, least_variance) if degrees else math.nan, degrees)

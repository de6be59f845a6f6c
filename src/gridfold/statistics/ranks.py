"""Tests on ranks: Friedman's, and Nemenyi's critical difference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from gridfold.arrays import Scores


@dataclass(frozen=True)
class RankTest:
    """Friedman's test and Nemenyi's critical difference (Demšar, 2006).

    Attributes
    ----------
    ranks : dict of str to float
        Mean rank over the splits, 1 is best, in the order given.
    blocks : float
        How many independent rows the ranks are worth.
    chi_square, p_value : float
        Friedman's statistic with its p-value.
    f : float
        Iman & Davenport's statistic that follows from it.
    critical_difference : float
        Mean ranks further apart than this differ at level `alpha`.
    alpha : float
    title : str
        What was ranked.
    """

    ranks: dict[str, float]
    blocks: float
    chi_square: float
    p_value: float
    f: float
    critical_difference: float
    alpha: float
    title: str = ""

    @property
    def least_p_value(self) -> float:
        """Friedman's p-value where all splits rank alike; it can't be smaller."""
        from scipy import stats

        others = len(self.ranks) - 1
        return float(stats.chi2.sf(self.blocks * others, others))

    @property
    def can_reject(self) -> bool:
        """Whether Friedman's test can find differences at all."""
        return self.least_p_value <= self.alpha

    @property
    def separates(self) -> bool:
        """Whether some mean ranks are further apart than the critical difference."""
        ranks = self.ranks.values()
        return max(ranks) - min(ranks) >= self.critical_difference

    @property
    def can_separate(self) -> bool:
        """Whether any two mean ranks can be further apart than the critical difference."""
        return self.critical_difference < len(self.ranks) - 1

    def pair_p_values(self) -> pd.DataFrame:
        """Return Nemenyi's p-value of every pair."""
        from scipy import stats

        ranks = np.array(list(self.ranks.values()))
        error = math.sqrt(len(ranks) * (len(ranks) + 1) / (6 * self.blocks))
        q = np.abs(ranks[:, None] - ranks) / error * math.sqrt(2)
        p = stats.studentized_range.sf(q, len(ranks), np.inf)
        return pd.DataFrame(np.clip(p, 0, 1), list(self.ranks), list(self.ranks))


def effective_blocks(splits: int, test_train_ratio: float) -> float:
    """Return how many independent splits the ranks of splits that share training samples are worth.

    Nadeau & Bengio (2003) assume that the scores of a configuration correlate between splits by
    ``q / (1 + q)``, with ``q = n_test/n_train``. The variance of a mean rank is then that of one
    rank, times ``q/(1 + q) + 1/(1 + q)/n``; a mean of as many independent ranks as this returns,
    ``(1 + q) / (1/n + q)``, has the same. That is more than ``1 / (1/n + q)``, since the variance
    that ranks have under the null hypothesis is known and not estimated from the splits, whose
    spread lacks what they have in common.
    """
    return (1 + test_train_ratio) / (1 / splits + test_train_ratio)


def mean_ranks(scores: Scores) -> Scores:
    """Return the mean rank of each column over the rows, 1 for the largest, ties shared.

    Rows with a missing score rank nothing; NaN where no row is left.
    """
    from scipy import stats

    scores = scores[~np.isnan(scores).any(axis=1)]
    if not len(scores):
        return np.full(scores.shape[1], np.nan)
    return np.asarray(stats.rankdata(-scores, axis=1).mean(axis=0))


def rank_test(scores: pd.DataFrame, blocks: float, alpha: float) -> RankTest:
    """Compare columns by their ranks in each row.

    Parameters
    ----------
    scores : DataFrame of shape (splits, configurations)
        Larger is better.
    blocks : float
        How many independent rows these are worth: their number, where each is a data set of its
        own as in Demšar (2006); :func:`effective_blocks` for splits of one data set, which share
        training samples. With their plain number, splits whose scores correlate as Nadeau &
        Bengio assume would separate equal configurations far too often.
    alpha : float

    Notes
    -----
    Friedman's statistic without correction for ties, as Demšar (2006) gives it; the correction
    would only make it larger.
    """
    from scipy import stats

    ranks = mean_ranks(scores.to_numpy(float))
    k = len(ranks)
    chi = 12 * blocks / (k * (k + 1)) * (float(np.square(ranks).sum()) - k * (k + 1) ** 2 / 4)
    chi = max(0.0, chi)
    left = blocks * (k - 1) - chi
    q = _range_quantile(1 - alpha, k) / math.sqrt(2)
    return RankTest(
        ranks=dict(zip(map(str, scores.columns), ranks.tolist(), strict=True)),
        blocks=blocks,
        chi_square=chi,
        p_value=float(stats.chi2.sf(chi, k - 1)),
        f=(blocks - 1) * chi / left if left > 1e-9 else math.inf,
        critical_difference=q * math.sqrt(k * (k + 1) / (6 * blocks)),
        alpha=alpha,
    )


@cache
def _range_quantile(probability: float, count: int) -> float:
    """Return the quantile of the studentized range of so many; SciPy takes its time."""
    from scipy import stats

    return float(stats.studentized_range.ppf(probability, count, np.inf))

"""Moderated variances: what all pairs of configurations know together about how much they vary.

With few splits, the variance of a difference is itself poorly known, and a test that knows no
better needs very large differences. Each pair of configurations says something about how variable
differences are on this data set. Smyth (2004), Linear models and empirical Bayes methods for
assessing differential expression, learns a prior from all variances and moderates each by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gridfold.arrays import Scores
from gridfold.statistics.intervals import float_variance, t_quantile

# So many configurations, the best, tell enough of how much differences vary.
_MOST_IN_PRIOR = 300
# A variance that only so small a share of variances would exceed is taken as it is.
_UNUSUAL = 0.1


@dataclass(frozen=True)
class VariancePrior:
    """What is known of a variance before it is looked at: a scaled inverse chi-square distribution.

    Attributes
    ----------
    variance : float
        The prior variance; NaN where nothing is known.
    freedom : float
        The degrees of freedom that it is worth; 0 where nothing is known.
    """

    variance: float
    freedom: float

    def moderate(self, variances: Scores, freedom: Scores) -> Scores:
        """Return `variances` drawn to the prior variance, but for those far above it.

        A pair that varies more than nine of ten would by this prior may do so by nature, as that
        of a configuration whose training is not stable: its own variance counts.
        """
        from scipy import special

        if self.freedom == 0:
            return variances
        drawn = (self.freedom * self.variance + freedom * variances) / (self.freedom + freedom)
        chance = special.fdtrc(freedom, self.freedom, variances / self.variance)
        return np.where(chance < _UNUSUAL, variances, drawn)


NO_PRIOR = VariancePrior(math.nan, 0)


def fit_prior(scores: Scores, least_variance: float) -> VariancePrior:
    """Return the prior that the variances of all pair differences suggest.

    The moments of the log variances (Smyth, 2004, section 6.2), with three cautions, each of which
    simulations called for (``benchmarks/statistics_tables.py``). The pairs are not independent: of
    k configurations, those that share one correlate by about 1/4, so the variance of the log
    variances looks too small by the factor k / (k + 1). The prior is worth 1 - 2/k of the degrees
    of freedom that the moments suggest: two configurations have one variance, which says nothing
    about others. And it is worth no more than all residuals together have, nor more than four
    times the squared degrees of freedom of a pair: with two or three splits, nothing shows that
    some configurations vary more than others.

    Parameters
    ----------
    scores : array of shape (splits, configurations)
        Best configuration first.
    least_variance : float
        What a difference is known to vary by, whatever it shows.
    """
    from scipy import special

    # Configurations with the same scores everywhere, as an axis without effect makes them, are one.
    distinct = pd.DataFrame(scores.T[:_MOST_IN_PRIOR]).drop_duplicates().to_numpy().T
    configurations = distinct.shape[1]
    variances, freedom = _of_pairs(distinct, least_variance)
    if configurations < 3 or len(variances) < 3:
        return NO_PRIOR
    half = freedom / 2
    logs = np.log(variances) - special.digamma(half) + np.log(half)
    spread = float(np.var(logs, ddof=1)) * (configurations + 1) / configurations
    excess = spread - float(np.mean(special.polygamma(1, half)))
    found = 2 * _trigamma_inverse(excess) if excess > 0 else math.inf
    center = float(np.mean(logs))
    if math.isfinite(found):
        center += float(special.digamma(found / 2)) - math.log(found / 2)
    typical = float(np.median(freedom))
    most = min(typical * (configurations - 2), 4 * typical**2)
    return VariancePrior(math.exp(center), min(found, most) * (1 - 2 / configurations))


def _of_pairs(scores: Scores, least_variance: float) -> tuple[Scores, Scores]:
    """Return the variances of the differences of all pairs, and their degrees of freedom."""
    variances, freedom = [np.empty(0)], [np.empty(0)]
    for place in range(scores.shape[1] - 1):
        _, variance, splits = _moments(scores[:, place + 1 :], scores[:, [place]])
        variance = np.maximum(variance, least_variance)
        known = variance > 0
        variances.append(variance[known])
        freedom.append(splits[known] - 1)
    return np.concatenate(variances), np.concatenate(freedom)


def _moments(scores: Scores, others: Scores) -> tuple[Scores, Scores, Scores]:
    """Return mean, variance and number of the differences that are finite, of each column."""
    with np.errstate(invalid="ignore"):
        differences = scores - others
    known = np.isfinite(differences)
    count = known.sum(axis=0).astype(np.float64)
    values = np.where(known, differences, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = values.sum(axis=0) / count
        rest = np.where(known, differences - mean, 0.0)
        variance = np.square(rest).sum(axis=0) / np.where(count > 1, count - 1, np.nan)
    return mean, variance, count


def _trigamma_inverse(value: float) -> float:
    """Return where the trigamma function has this value (Smyth, 2004, appendix)."""
    from scipy import special

    # Newton's iteration on 1/trigamma, which is convex: it converges from here for every value.
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x


@dataclass(frozen=True)
class Differences:
    """Means of differences by split, with what is needed to test them.

    Attributes
    ----------
    mean, variance, splits, freedom, error : array of shape (differences,)
        Of each: the mean; the moderated variance; how many splits have one; the degrees of freedom
        of the variance; and the corrected standard error of the mean. NaN with fewer than two
        splits, but for `mean` and `splits`.
    ratio : float
        Validation samples over training samples of a split.
    """

    mean: Scores
    variance: Scores
    splits: Scores
    freedom: Scores
    error: Scores
    ratio: float

    @property
    def t(self) -> Scores:
        """Student's t of each; 0 where neither difference nor resolution is known but as zero."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.error > 0, self.mean / self.error, self.error)

    @property
    def p_values(self) -> Scores:
        """Two-sided p-values, each alone."""
        from scipy import special

        return 2 * np.asarray(special.stdtr(self.freedom, -np.abs(self.t)))

    def p_values_below(self) -> Scores:
        """Return one-sided p-values: how surprising so low a mean would be, were it not below 0."""
        from scipy import special

        return np.asarray(special.stdtr(self.freedom, self.t))

    def half_widths(self, confidence: float) -> Scores:
        """Return half the width of the interval of each mean."""
        return self.error * self._quantiles((1 + confidence) / 2)

    def columns(self, confidence: float, most: float) -> dict[str, Scores]:
        """Return the columns of the tables that tell of differences, intervals each alone.

        Parameters
        ----------
        confidence : float
        most : float
            The largest difference that there can be; no interval goes beyond it.
        """
        half = self.half_widths(confidence)
        return {
            "difference": self.mean,
            "difference_error": self.error,
            "difference_low": np.maximum(-most, self.mean - half),
            "difference_high": np.minimum(most, self.mean + half),
        }

    def detectable(self, level: float) -> Scores:
        """Return how large each mean would have to be for a two-sided p-value of `level`."""
        return self.error * self._quantiles(1 - level / 2)

    def _quantiles(self, probability: float) -> Scores:
        return np.array([t_quantile(probability, freedom) for freedom in self.freedom])

    @property
    def effects(self) -> Scores:
        """Cohen's d_z: the mean over the moderated standard deviation."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.variance > 0, self.mean / np.sqrt(self.variance), np.nan)

    @property
    def blocks(self) -> Scores:
        """How many independent splits the mean rests on, ``1 / (1/n + n_test/n_train)``."""
        with np.errstate(divide="ignore"):
            return 1 / (1 / self.splits + self.ratio)


@dataclass(frozen=True)
class PairedTest:
    """The corrected resampled t-test with moderated variances, for all pairs of a study.

    Attributes
    ----------
    prior : VariancePrior
    ratio : float
        Validation samples over training samples of a split: Nadeau & Bengio's correction.
    least_variance : float
        What a difference is known to vary by, whatever it shows:
        :func:`gridfold.statistics.intervals.rounding_variance`.
    pairs : int
        Pairs of configurations in the study.
    """

    prior: VariancePrior
    ratio: float
    least_variance: float
    pairs: int

    @classmethod
    def of(cls, scores: Any, ratio: float, least_variance: float = 0.0) -> PairedTest:
        """Learn from all pairs of columns of `scores`.

        Parameters
        ----------
        scores : array of shape (splits, configurations)
            Best configuration first.
        ratio : float
        least_variance : float
            Never taken to be smaller than what 32-bit numbers of this size resolve.
        """
        values = np.asarray(scores, np.float64)
        known = values[np.isfinite(values)]
        least = max(least_variance, 2 * float_variance(known) if len(known) else 0.0)
        return cls(fit_prior(values, least), ratio, least, math.comb(values.shape[1], 2))

    def differences(self, scores: Any, reference: Any) -> Differences:
        """Return the mean differences to a reference, ready to be tested.

        Parameters
        ----------
        scores : array of shape (splits, configurations)
            What is not finite is left out, pair by pair.
        reference : array of shape (splits,)
        """
        others = np.asarray(reference, np.float64)[:, None]
        mean, variance, splits = _moments(np.asarray(scores, np.float64), others)
        freedom = np.where(splits > 1, splits - 1, np.nan)
        variance = self.prior.moderate(np.maximum(variance, self.least_variance), freedom)
        with np.errstate(divide="ignore"):
            error = np.sqrt((1 / splits + self.ratio) * variance)
        return Differences(mean, variance, splits, freedom + self.prior.freedom, error, self.ratio)

    def of_any_pair(self, p_values: Any) -> Scores:
        """Return p-values that hold whichever pair is looked at, for whatever reason.

        The best of many equally good ones is ahead by luck, which Holm's procedure doesn't know
        of. Bonferroni's correction for all pairs holds whichever was picked.
        """
        return np.minimum(1, np.asarray(p_values, np.float64) * self.pairs)

    def may_be_best(self, scores: Any, confidence: float) -> Any:
        """Return which configurations may be the best one: together they hold it.

        Multiple comparisons with the best (Hsu, 1984): whichever the best one is, it is left out
        only where another one is found better than it. That is one one-sided test against each of
        the others, so Bonferroni's correction is for these, not for all pairs.

        Parameters
        ----------
        scores : array of shape (splits, configurations)
            Larger is better; the best first.
        confidence : float

        Returns
        -------
        array of bool of shape (configurations,)
            Where nothing can be tested, all but those that are infinitely bad.
        """
        values = np.asarray(scores, np.float64)
        count = values.shape[1]
        found = ~np.isneginf(values).any(axis=0)
        level = (1 - confidence) / max(1, count - 1)
        for place in range(min(count, _MOST_IN_PRIOR)):
            ahead = self.differences(values, values[:, place])
            found &= ~(ahead.p_values_below() <= level)
        return found

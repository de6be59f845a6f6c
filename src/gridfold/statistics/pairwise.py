"""Comparisons of configurations: with the selected one, by ranks, and value by value of an axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from gridfold.arrays import Scores
from gridfold.problems import Measure
from gridfold.requests import ComparisonRequest
from gridfold.statistics.intervals import (
    holm,
    mean_interval,
    of_all_pairs,
    paired_p_value,
    rounding_variance,
)
from gridfold.statistics.ranks import mean_ranks
from gridfold.tables.trials import Column

COMPARISON_COLUMNS = (
    Column("rank", "int", "", "As in the configurations table; the selected one is 1"),
    Column("config_id", "string", "", "Configuration; those that lost trials are left out"),
    Column("label", "string", "", "Its axis values in one line"),
    Column("n_splits", "int", "", "Splits on which both have a score"),
    Column("difference", "float", "", "Mean of the ranking measure minus that of the selected one"),
    Column("difference_low, difference_high", "float", "", "Its corrected confidence interval"),
    Column("p_value", "float", "", "Corrected resampled t-test against the selected one, alone"),
    Column("p_holm", "float", "", "The same, Holm-adjusted for the comparisons of this table"),
    Column(
        "p_any_pair",
        "float",
        "",
        "The same, times the number of all pairs: valid although the selected one is the best of "
        "these very scores",
    ),
    Column("wilcoxon_p", "float", "", "Wilcoxon's test, Holm-adjusted; empty where it has no say"),
    Column(
        "effect_size",
        "float",
        "",
        "Cohen's d_z: mean over SD of the differences by split; above 0 the selected one is better",
    ),
    Column("effect_low, effect_high", "float", "", "Its interval (noncentral t, corrected)"),
    Column("superiority", "float", "", "Share of splits on which the selected one is better"),
    Column("mean_rank", "float", "", "Mean over the splits of its rank among these; 1 is best"),
    Column("chosen", "float", "", "Share of bootstrap samples that would have selected it"),
)


def column_names(columns: Sequence[Column]) -> list[str]:
    """Return the names in a table; one entry may describe two columns."""
    return [name for column in columns for name in column.name.split(", ")]


@dataclass(frozen=True)
class Scored:
    """The scores of a study that can be compared: of configurations without a failed trial.

    Attributes
    ----------
    scores : DataFrame
        One row for each split, one column for each configuration (its id), best first.
    ratio : float
        Validation samples over training samples of a split, the mean.
    measure : str
    confidence : float
    repeats : int
        How often the same samples were split anew.
    least_variance : float
        What a difference of two scores varies by, even where all splits agree: its resolution.
    undefined : tuple of str
        Splits on which the measure is not defined, for want of a class; they are in no comparison.
    """

    scores: pd.DataFrame
    ratio: float
    measure: str
    confidence: float
    repeats: int
    least_variance: float = 0.0
    undefined: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, trials: pd.DataFrame, configurations: pd.DataFrame, request: ComparisonRequest
    ) -> Scored:
        """Take the complete configurations from the tables, in the order of their rank."""
        measure = request.measure
        complete = configurations[
            (configurations["n_failed"] == 0) & configurations[f"{measure}_mean"].notna()
        ]
        good = trials[trials["status"] == "finished"]
        wide = good.pivot(index="split", columns="config_id", values=measure)
        wide = wide.loc[list(dict.fromkeys(good["split"])), complete["config_id"].tolist()]
        # What a split lacks, it lacks for every configuration.
        defined = wide.notna().any(axis=1) | wide.columns.empty
        undefined, wide = tuple(map(str, wide.index[~defined])), wide[defined]
        ratio = float((good["n_validation"] / good["n_train"]).mean()) if len(good) else 0.0
        repeats = len({str(split).partition("f")[0] for split in wide.index})
        least = 2 * rounding_variance(measure, good[measure], good["n_validation"])
        return cls(wide, ratio, measure, request.confidence, repeats, least, undefined)

    @property
    def alpha(self) -> float:
        """The level of the tests: one minus the confidence."""
        return 1 - self.confidence

    @property
    def blocks(self) -> float:
        """How many independent splits these are worth, ``1 / (1/n + n_test/n_train)``."""
        return 1 / (1 / len(self.scores) + self.ratio)

    @property
    def sign(self) -> int:
        """1 where larger scores are better, else -1."""
        return Measure.of(self.measure).sign


def compare_with_selected(scored: Scored, labels: Mapping[str, str]) -> pd.DataFrame:
    """Return one row for each complete configuration: how it compares with the selected one.

    Parameters
    ----------
    scored : Scored
    labels : mapping of str to str

    Returns
    -------
    DataFrame
        :data:`COMPARISON_COLUMNS` but ``chosen``; the selected configuration first, which is not
        compared with itself.
    """
    if not scored.scores.shape[1]:
        return pd.DataFrame(columns=column_names(COMPARISON_COLUMNS))
    best = scored.scores.iloc[:, 0].to_numpy(float)
    ranks = mean_ranks(scored.scores.to_numpy(float) * scored.sign)
    rows: list[dict[str, Any]] = []
    for place, config_id in enumerate(scored.scores.columns):
        difference = scored.scores[config_id].to_numpy(float) - best
        difference = difference[np.isfinite(difference)]
        row = {
            "rank": place + 1,
            "config_id": config_id,
            "label": labels[config_id],
            "n_splits": difference.size,
            **mean_difference(difference, scored),
            **_effect(-scored.sign * difference, scored),
            "mean_rank": ranks[place],
        }
        rows.append(row if place else row | dict.fromkeys(_NOT_OF_ITSELF, math.nan))
    table = pd.DataFrame(rows)
    table.insert(8, "p_holm", holm(table["p_value"]))
    table.insert(9, "p_any_pair", of_all_pairs(table["p_value"]))
    table.insert(10, "wilcoxon_p", _wilcoxon(scored))
    return table


_NOT_OF_ITSELF = (
    "difference_low",
    "difference_high",
    "p_value",
    "effect_size",
    "effect_low",
    "effect_high",
    "superiority",
)


def mean_difference(difference: Scores, scored: Scored) -> dict[str, float]:
    """Return the mean of differences by split, its corrected interval and the p-value alone."""
    least = scored.least_variance
    interval = mean_interval(difference, scored.ratio, scored.confidence, least)
    return {
        "difference": interval.mean,
        "difference_low": interval.low,
        "difference_high": interval.high,
        "p_value": paired_p_value(difference, np.zeros_like(difference), scored.ratio, least),
    }


def _effect(advantage: Scores, scored: Scored) -> dict[str, float]:
    """Return effect sizes, positive where the selected configuration is better."""
    won = (advantage > 0).mean() + (advantage == 0).mean() / 2 if advantage.size else math.nan
    d, low, high = paired_effect(advantage, scored.ratio, scored.confidence, scored.least_variance)
    return {"effect_size": d, "effect_low": low, "effect_high": high, "superiority": float(won)}


def paired_effect(
    difference: Any, test_train_ratio: float, confidence: float, least_variance: float = 0.0
) -> tuple[float, float, float]:
    """Return Cohen's d_z of paired differences with its confidence interval.

    The interval holds every effect that the corrected t would not be surprising for: its limits
    are those of the noncentrality of Student's t (Steiger & Fouladi, 1997), with the sample size
    that the correction of Nadeau & Bengio leaves, ``1 / (1/n + n_test/n_train)``.

    Parameters
    ----------
    difference : array-like of shape (splits,)
        Finite.
    test_train_ratio, confidence : float
    least_variance : float
        As for :func:`gridfold.statistics.intervals.corrected_standard_error`.

    Returns
    -------
    d, low, high : float
        NaN with fewer than two splits or equal differences.
    """
    numbers = np.asarray(difference, np.float64)
    # All zero is not a small effect that rounding hides, but none.
    if numbers.size < 2 or not numbers.any():
        return math.nan, math.nan, math.nan
    sd = math.sqrt(max(float(np.var(numbers, ddof=1)), least_variance))
    if not sd > 0:
        return math.nan, math.nan, math.nan
    d = float(numbers.mean() / sd)
    root = math.sqrt(1 / (1 / numbers.size + test_train_ratio))
    tail = (1 - confidence) / 2
    low, high = (_noncentrality(d * root, numbers.size - 1, level) for level in (1 - tail, tail))
    return d, low / root, high / root


# The end of SciPy's search, which it returns where it has found nothing.
_LARGEST_NONCENTRALITY = 1e6


def _noncentrality(t: float, freedom: int, level: float) -> float:
    """Return the noncentrality at which `t` is the quantile `level` of noncentral t, or NaN."""
    found = float(special.nctdtrinc(freedom, level, t))
    return found if abs(found) < _LARGEST_NONCENTRALITY else math.nan


def smallest_wilcoxon_p(splits: int) -> float:
    """Return the smallest two-sided p-value that Wilcoxon's signed-rank test can have."""
    return min(1.0, 2.0 ** (1 - splits))


def wilcoxon_obstacle(splits: int, repeats: int, comparisons: int, alpha: float) -> str:
    """Say why Wilcoxon's test is left out; empty where it has a say.

    Parameters
    ----------
    splits, repeats, comparisons : int
    alpha : float
    """
    if repeats > 1:
        return (
            "Wilcoxon’s signed-rank test takes the splits for independent; with repeats, which "
            "use the same samples again, they are not, and it is left out."
        )
    least = smallest_wilcoxon_p(splits)
    if least > alpha:
        return (
            f"Wilcoxon’s signed-rank test can’t reach significance: with {splits} splits its "
            f"smallest p-value is {least:.4g}, above {alpha:.4g}."
        )
    if least * comparisons > alpha:
        return (
            f"Wilcoxon’s signed-rank test can’t reach significance: with {splits} splits its "
            f"smallest p-value is {least:.4g}, which {comparisons} comparisons adjust to "
            f"{min(1.0, least * comparisons):.4g}, above {alpha:.4g}."
        )
    return ""


def _wilcoxon(scored: Scored) -> Scores:
    splits, count = scored.scores.shape
    nothing = np.full(count, np.nan)
    if count < 2 or wilcoxon_obstacle(splits, scored.repeats, count - 1, scored.alpha):
        return nothing
    scores = scored.scores.to_numpy(float)
    for column in range(1, count):
        pairs = scores[np.isfinite(scores[:, [0, column]]).all(axis=1)]
        if (pairs[:, 0] != pairs[:, column]).any():
            nothing[column] = stats.wilcoxon(pairs[:, 0], pairs[:, column]).pvalue
        else:
            nothing[column] = 1.0
    return holm(nothing)

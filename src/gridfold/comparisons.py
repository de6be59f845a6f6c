"""Comparisons of configurations: with the selected one, by ranks, and value by value of an axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats

from gridfold.kinds import LOWER_IS_BETTER
from gridfold.statistics import (
    Scores,
    corrected_standard_error,
    holm,
    mean_interval,
    paired_p_value,
)
from gridfold.tables import Column
from gridfold.views import is_ordered, sorted_values

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
SCIENTIFIC_COLUMNS = (
    Column("axis", "string", "", "Scientific axis, or `model` where there are several families"),
    Column("value", "string", "", "Its value"),
    Column("n_configurations", "int", "", "Complete configurations with this value"),
    Column("config_id", "string", "", "The best of them, over all values of the other axes"),
    Column("label", "string", "", "Its axis values in one line"),
    Column("mean", "float", "", "Its mean of the ranking measure over the splits"),
    Column("low, high", "float", "", "Its corrected confidence interval"),
    Column("difference", "float", "", "Mean minus that at the best value of the axis"),
    Column("difference_low, difference_high", "float", "", "Its corrected confidence interval"),
    Column("p_holm", "float", "", "Corrected t-test with the best value, Holm-adjusted by axis"),
)
_MOST_VALUES = 50


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
    """

    scores: pd.DataFrame
    ratio: float
    measure: str
    confidence: float
    repeats: int

    @classmethod
    def of(
        cls, trials: pd.DataFrame, configurations: pd.DataFrame, request: Mapping[str, Any]
    ) -> Scored:
        """Take the complete configurations from the tables, in the order of their rank."""
        measure = request["measure"]
        complete = configurations[
            (configurations["n_failed"] == 0) & configurations[f"{measure}_mean"].notna()
        ]
        good = trials[trials["status"] == "finished"]
        wide = good.pivot(index="split", columns="config_id", values=measure)
        wide = wide.loc[list(dict.fromkeys(good["split"])), complete["config_id"].tolist()]
        ratio = float((good["n_validation"] / good["n_train"]).mean()) if len(good) else 0.0
        repeats = len({str(split).partition("f")[0] for split in wide.index})
        return cls(wide, ratio, measure, request["confidence"], repeats)

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
        return -1 if self.measure in LOWER_IS_BETTER else 1


# -- with the selected configuration --------------------------------------------------------------


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
        return pd.DataFrame(columns=_names(COMPARISON_COLUMNS))
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
            **_difference(difference, scored),
            **_effect(-scored.sign * difference, scored),
            "mean_rank": ranks[place],
        }
        rows.append(row if place else row | dict.fromkeys(_NOT_OF_ITSELF, math.nan))
    table = pd.DataFrame(rows)
    count = len(table)
    table.insert(8, "p_holm", holm(table["p_value"]))
    table.insert(9, "p_any_pair", np.minimum(1, table["p_value"] * (count * (count - 1) / 2)))
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


def _difference(difference: Scores, scored: Scored) -> dict[str, float]:
    interval = mean_interval(difference, scored.ratio, scored.confidence)
    return {
        "difference": interval.mean,
        "difference_low": interval.low,
        "difference_high": interval.high,
        "p_value": paired_p_value(difference, np.zeros_like(difference), scored.ratio),
    }


def _effect(advantage: Scores, scored: Scored) -> dict[str, float]:
    """Return effect sizes, positive where the selected configuration is better."""
    won = (advantage > 0).mean() + (advantage == 0).mean() / 2 if advantage.size else math.nan
    d, low, high = paired_effect(advantage, scored.ratio, scored.confidence)
    return {"effect_size": d, "effect_low": low, "effect_high": high, "superiority": float(won)}


def paired_effect(
    difference: Any, test_train_ratio: float, confidence: float
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

    Returns
    -------
    d, low, high : float
        NaN with fewer than two splits or equal differences.
    """
    numbers = np.asarray(difference, np.float64)
    error = corrected_standard_error(numbers, test_train_ratio) if numbers.size > 1 else 0.0
    if not error > 0:
        return math.nan, math.nan, math.nan
    d = float(numbers.mean() / numbers.std(ddof=1))
    root = math.sqrt(1 / (1 / numbers.size + test_train_ratio))
    t, freedom = d * root, numbers.size - 1
    tail = (1 - confidence) / 2
    low, high = (_noncentrality(t, freedom, level) for level in (1 - tail, tail))
    return d, low / root, high / root


def _noncentrality(t: float, freedom: int, level: float) -> float:
    """Return the noncentrality at which `t` is the quantile `level` of noncentral t."""

    def excess(noncentrality: float) -> float:
        return float(stats.nct.cdf(t, freedom, noncentrality)) - level

    reach = 5.0
    while excess(t - reach) < 0 or excess(t + reach) > 0:
        reach *= 2
        if reach > 1e3 * (1 + abs(t)):
            return math.nan
    return float(optimize.brentq(excess, t - reach, t + reach, xtol=1e-6))


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


# -- by ranks -------------------------------------------------------------------------------------


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
    """

    ranks: dict[str, float]
    blocks: float
    chi_square: float
    p_value: float
    f: float
    critical_difference: float
    alpha: float

    @property
    def can_separate(self) -> bool:
        """Whether any two mean ranks can be further apart than the critical difference."""
        return self.critical_difference < len(self.ranks) - 1

    def pair_p_values(self) -> pd.DataFrame:
        """Return Nemenyi's p-value of every pair."""
        ranks = np.array(list(self.ranks.values()))
        error = math.sqrt(len(ranks) * (len(ranks) + 1) / (6 * self.blocks))
        q = np.abs(ranks[:, None] - ranks) / error * math.sqrt(2)
        p = stats.studentized_range.sf(q, len(ranks), np.inf)
        return pd.DataFrame(np.clip(p, 0, 1), list(self.ranks), list(self.ranks))


def mean_ranks(scores: Scores) -> Scores:
    """Return the mean rank of each column over the rows, 1 for the largest, ties shared."""
    return np.asarray(stats.rankdata(-scores, axis=1).mean(axis=0))


def rank_test(scores: pd.DataFrame, blocks: float, alpha: float) -> RankTest:
    """Compare columns by their ranks in each row.

    Parameters
    ----------
    scores : DataFrame of shape (splits, configurations)
        Larger is better.
    blocks : float
        How many independent rows these are worth: their number, where each is a data set of its
        own as in Demšar (2006); :attr:`Scored.blocks` for splits of one data set, which share
        training samples. With their plain number, splits whose scores correlate as Nadeau &
        Bengio assume would separate equal configurations far too often.
    alpha : float

    Notes
    -----
    Friedman's statistic without correction for ties, as Demšar (2006) gives it; the correction
    would only make it larger.
    """
    ranks = mean_ranks(scores.to_numpy(float))
    k = len(ranks)
    chi = 12 * blocks / (k * (k + 1)) * (float(np.square(ranks).sum()) - k * (k + 1) ** 2 / 4)
    chi = max(0.0, chi)
    left = blocks * (k - 1) - chi
    q = float(stats.studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
    return RankTest(
        ranks=dict(zip(map(str, scores.columns), ranks.tolist(), strict=True)),
        blocks=blocks,
        chi_square=chi,
        p_value=float(stats.chi2.sf(chi, k - 1)),
        f=(blocks - 1) * chi / left if left > 1e-9 else math.inf,
        critical_difference=q * math.sqrt(k * (k + 1) / (6 * blocks)),
        alpha=alpha,
    )


# -- value by value -------------------------------------------------------------------------------


def scientific_values(
    scored: Scored, configurations: pd.DataFrame, space: Mapping[str, Any]
) -> pd.DataFrame:
    """Return the best configuration at each value of each scientific axis.

    "For each value of the scientific hyperparameters, the best over the nuisance ones" (Godbole
    et al., 2023, Deep Learning Tuning Playbook); here over all other axes.

    Parameters
    ----------
    scored : Scored
    configurations : DataFrame
    space : mapping
        The axes, as in the study.

    Returns
    -------
    DataFrame
        :data:`SCIENTIFIC_COLUMNS`; axes with one value only are left out.
    """
    known = configurations[configurations["config_id"].isin(scored.scores.columns)]
    parts = [
        _values_of(scored, known, name, values)
        for name, values in _scientific_axes(known, space).items()
    ]
    if not parts:
        return pd.DataFrame(columns=_names(SCIENTIFIC_COLUMNS))
    return pd.concat(parts, ignore_index=True)


def _names(columns: Sequence[Column]) -> list[str]:
    return [name for column in columns for name in column.name.split(", ")]


def _scientific_axes(known: pd.DataFrame, space: Mapping[str, Any]) -> dict[str, list[Any]]:
    names = [n for n, axis in space.items() if axis["role"] == "scientific" and n in known]
    if "model" not in names and known["model"].nunique() > 1:
        names = ["model", *names]
    axes = {name: sorted_values(known[name], space.get(name, {})) for name in names}
    return {name: values for name, values in axes.items() if 1 < len(values) <= _MOST_VALUES}


def _values_of(
    scored: Scored, known: pd.DataFrame, name: str, values: Sequence[Any]
) -> pd.DataFrame:
    column = f"{scored.measure}_mean"
    rows, best = [], []
    for value in values:
        with_value = known[known[name] == value]
        # In the order of their ranks.
        winner = with_value.iloc[0]
        best.append(winner["config_id"])
        text = f"{value:g}" if is_ordered(known[name], {}) else str(value)
        rows.append(
            {
                "axis": name,
                "value": text,
                "n_configurations": len(with_value),
                "config_id": winner["config_id"],
                "label": winner["label"],
                "mean": winner[column],
                "low": winner[f"{scored.measure}_low"],
                "high": winner[f"{scored.measure}_high"],
            }
        )
    table = pd.DataFrame(rows)
    top = int((scored.sign * table["mean"]).argmax())
    reference = scored.scores[best[top]].to_numpy(float)
    tests = [
        _difference((scored.scores[config].to_numpy(float) - reference), scored) for config in best
    ]
    compared = pd.DataFrame(tests)
    compared.loc[top, ["difference_low", "difference_high", "p_value"]] = np.nan
    table = table.join(compared.drop(columns="p_value"))
    return table.assign(p_holm=holm(compared["p_value"]))

"""Comparisons of configurations with the selected one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from gridfold.arrays import Scores
from gridfold.statistics.intervals import holm
from gridfold.statistics.moderated import Differences
from gridfold.statistics.ranks import mean_ranks
from gridfold.statistics.scored import Scored
from gridfold.tables.trials import Column

COMPARISON_COLUMNS = (
    Column("rank", "int", "", "As in the configurations table; the selected one is 1"),
    Column("config_id", "string", "", "Configuration; those that lost trials are left out"),
    Column("label", "string", "", "Its axis values in one line"),
    Column("n_splits", "int", "", "Splits on which both have a score"),
    Column("difference", "float", "", "Mean of the ranking measure minus that of the selected one"),
    Column("difference_error", "float", "", "Its corrected standard error, variance moderated"),
    Column("difference_low, difference_high", "float", "", "Its corrected confidence interval"),
    Column("p_value", "float", "", "Corrected t-test against the selected one, alone"),
    Column("p_holm", "float", "", "The same, Holm-adjusted for the comparisons of this table"),
    Column(
        "p_any_pair",
        "float",
        "",
        "The same, times the number of all pairs: valid although the selected one is the best of "
        "these very scores",
    ),
    Column(
        "may_be_best",
        "bool",
        "",
        "Whether it may be the best one: those that may hold it with the study's confidence",
    ),
    Column("wilcoxon_p", "float", "", "Wilcoxon's test, Holm-adjusted; empty where it has no say"),
    Column(
        "effect_size",
        "float",
        "",
        "Cohen's d_z: mean over moderated SD of the differences by split; above 0 the selected one "
        "is better",
    ),
    Column("effect_low, effect_high", "float", "", "Its interval (noncentral t, corrected)"),
    Column("superiority", "float", "", "Share of splits on which the selected one is better"),
    Column("mean_rank", "float", "", "Mean over the splits of its rank among these; 1 is best"),
    Column("chosen", "float", "", "Share of bootstrap samples that would have selected it"),
)


def column_names(columns: Sequence[Column]) -> list[str]:
    """Return the names in a table; one entry may describe two columns."""
    return [name for column in columns for name in column.name.split(", ")]


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
    names = [str(name) for name in scored.scores.columns]
    if not names:
        return pd.DataFrame(columns=column_names(COMPARISON_COLUMNS))
    found = scored.differences(names, names[0])
    ahead = _ahead(scored)
    p_values = found.p_values
    effects = paired_effects(found, -scored.sign, scored.confidence)
    table = pd.DataFrame(
        {
            "rank": np.arange(1, len(names) + 1),
            "config_id": names,
            "label": [labels[name] for name in names],
            "n_splits": found.splits.astype(int),
            **scored.columns_of(found),
            "p_value": p_values,
            **dict(zip(("effect_size", "effect_low", "effect_high"), effects, strict=True)),
            "superiority": _superiority(ahead),
            "mean_rank": mean_ranks(scored.scores.to_numpy(float) * scored.sign),
        }
    )
    table.loc[0, list(_NOT_OF_ITSELF)] = math.nan
    place = list(table.columns).index("p_value") + 1
    table.insert(place, "p_holm", holm(table["p_value"]))
    table.insert(place + 1, "p_any_pair", scored.test.of_any_pair(table["p_value"]))
    table.insert(place + 2, "may_be_best", scored.may_be_best.to_numpy())
    table.insert(place + 3, "wilcoxon_p", _wilcoxon(scored, ahead))
    return table


_NOT_OF_ITSELF = (
    "difference_error",
    "difference_low",
    "difference_high",
    "p_value",
    "effect_size",
    "effect_low",
    "effect_high",
    "superiority",
)


def _ahead(scored: Scored) -> Scores:
    """Return by how much the first configuration is better on each split, ties as 0.

    Less than half a step of the scores is a tie: equal shares of samples differ in their last bit.
    """
    scores = scored.scores.to_numpy(float) * scored.sign
    with np.errstate(invalid="ignore"):
        ahead: Scores = scores[:, [0]] - scores
    step = math.sqrt(6 * scored.test.least_variance)
    ahead[np.abs(ahead) < step / 2] = 0
    return ahead


def _superiority(ahead: Scores) -> Scores:
    """Return on which share of the splits the first one is better; a tie is half a win."""
    known = np.isfinite(ahead)
    won = ((ahead > 0) & known).sum(axis=0) + ((ahead == 0) & known).sum(axis=0) / 2
    with np.errstate(invalid="ignore"):
        return np.asarray(won / known.sum(axis=0), np.float64)


def paired_effects(
    found: Differences, sign: int, confidence: float
) -> tuple[Scores, Scores, Scores]:
    """Return Cohen's d_z of mean differences with its confidence interval.

    The interval holds every effect that the corrected t would not be surprising for: its limits
    are those of the noncentrality of Student's t (Steiger & Fouladi, 1997), with the sample size
    that the correction of Nadeau & Bengio leaves, ``1 / (1/n + n_test/n_train)``, and with the
    degrees of freedom of the moderated variance. So it excludes 0 exactly where the test does.

    Parameters
    ----------
    found : Differences
    sign : int
        What the differences are multiplied by.
    confidence : float

    Returns
    -------
    d, low, high : array of shape (differences,)
        NaN with fewer than two splits.
    """
    roots = np.sqrt(found.blocks)
    tail = (1 - confidence) / 2
    limits = np.array(
        [
            [_noncentrality(t, freedom, level) for level in (1 - tail, tail)]
            for t, freedom in zip(sign * found.t, found.freedom, strict=True)
        ]
    ).reshape(-1, 2)
    effects = sign * found.effects
    low, high = np.where(np.isnan(effects), np.nan, limits.T / roots)
    return effects, low, high


# The end of SciPy's search, which it returns where it has found nothing.
_LARGEST_NONCENTRALITY = 1e6


def _noncentrality(t: float, freedom: float, level: float) -> float:
    """Return the noncentrality at which `t` is the quantile `level` of noncentral t, or NaN."""
    from scipy import special

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


def _wilcoxon(scored: Scored, ahead: Scores) -> Scores:
    from scipy import stats

    splits, count = scored.scores.shape
    nothing = np.full(count, np.nan)
    if count < 2 or wilcoxon_obstacle(splits, scored.repeats, count - 1, scored.alpha):
        return nothing
    for column in range(1, count):
        differences = ahead[np.isfinite(ahead[:, column]), column]
        # Without a difference there is nothing to rank.
        nothing[column] = stats.wilcoxon(differences).pvalue if np.any(differences) else 1.0
    return holm(nothing)

"""The figures of the comparison: critical differences of mean ranks, and importance of the axes."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gridfold.figures.style import BLUE, GREY, ORANGE, WIDTH, Drawing, message, panels, style
from gridfold.statistics.ranks import RankTest
from gridfold.statistics.result import Comparison
from gridfold.wording import counted, p_value, percent, shorten

FIGURES = ("critical_difference", "importance")
"""In the order of the report."""

_LONGEST_LABEL = 44


def draw_comparison(comparison: Comparison) -> dict[str, Drawing]:
    """Draw the figures of :data:`FIGURES`."""
    with style():
        return {
            "critical_difference": draw_critical_differences(comparison.rank_tests()),
            "importance": draw_importance(comparison.importance, 1 - comparison.facts.confidence),
        }


def draw_critical_differences(tests: Mapping[str, RankTest]) -> Drawing:
    """Draw mean ranks and which of them no test can tell apart, a panel for each rank test."""
    if not tests:
        text = "With one configuration or one split that has a score there are no ranks to compare."
        return Drawing(message(text), "Mean ranks.", text)
    rows = [_rows(test) for test in tests.values()]
    figure = Figure(figsize=(WIDTH, 0.25 * sum(rows) + 0.9 * len(rows)), layout="constrained")
    grid = figure.subplots(len(tests), 1, squeeze=False, height_ratios=[r + 2.5 for r in rows])
    for axes, (title, test) in zip(grid[:, 0], tests.items(), strict=True):
        _draw_ranks(axes, title, test)
    alpha = next(iter(tests.values())).alpha
    caption = (
        "Mean rank over the splits (1 is best) of the best configurations, and of the best one at "
        "each value of axes with several values. Bars join what Nemenyi’s test can’t tell apart at "
        f"level {alpha:.2g}: ranks that differ by less than the critical difference (CD). Where "
        "that is more than ranks can differ at all, the test can tell no two apart. Since "
        f"splits share training samples, they count as {next(iter(tests.values())).blocks:.2g} "
        "independent ones (Demšar, 2006; Nadeau & Bengio, 2003)."
    )
    return Drawing(figure, caption, " ".join(_ranks_alt(t, test) for t, test in tests.items()))


def _rows(test: RankTest) -> int:
    return len(test.ranks) + len(groups_of_equals(test))


def groups_of_equals(test: RankTest) -> list[tuple[float, float]]:
    """Return the largest ranges of mean ranks in which no pair differs significantly."""
    ranks = sorted(test.ranks.values())
    found: list[tuple[float, float]] = []
    for start in ranks:
        reach = [r for r in ranks if start <= r < start + test.critical_difference]
        wider = any(low <= start and reach[-1] <= high for low, high in found)
        if reach[-1] > start and not wider:
            found.append((start, reach[-1]))
    return found


def _draw_ranks(axes: Axes, title: str, test: RankTest) -> None:
    ordered = sorted(test.ranks.items(), key=lambda item: item[1])
    bars = groups_of_equals(test)
    for row, (_, rank) in enumerate(ordered):
        axes.plot([1, rank], [row, row], color=GREY, lw=0.8, ls=":")
        axes.plot(rank, row, "o", color=BLUE, ms=7)
    for place, (low, high) in enumerate(bars):
        y = len(ordered) + 0.7 * place
        axes.plot([low, high], [y, y], color="black", lw=3, solid_capstyle="butt")
    bottom = len(ordered) + 0.7 * len(bars)
    axes.set_ylim(bottom - 0.2, -2.2)
    axes.set_xlim(0.9, len(ordered) + 0.1)
    names = [f"{shorten(name, _LONGEST_LABEL)}  {rank:.2f}" for name, rank in ordered]
    axes.set_yticks(range(len(ordered)), names)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("mean rank")
    reach = min(test.critical_difference, len(ordered) - 1)
    axes.plot([1, 1 + reach], [-0.9, -0.9], color=ORANGE, lw=2, marker="|", ms=8)
    axes.annotate(
        f"CD = {test.critical_difference:.2f}",
        (1, -0.9),
        xytext=(0, 4),
        textcoords="offset points",
        va="bottom",
        fontsize=9,
    )
    verdict = f"p = {p_value(test.p_value)}" if test.can_reject else "can’t find differences"
    axes.set_title(f"{title}: Friedman’s test {verdict}", loc="left")


def _ranks_alt(title: str, test: RankTest) -> str:
    ordered = sorted(test.ranks.items(), key=lambda item: item[1])
    (first, best), (last, worst) = ordered[0], ordered[-1]
    verdict = (
        "which differ significantly"
        if test.separates and test.can_reject
        else "which the test can’t tell apart"
    )
    return (
        f"{title}: mean ranks from {best:.2f} ({shorten(first, 60)}) to {worst:.2f} "
        f"({shorten(last, 60)}), {verdict}; critical difference {test.critical_difference:.2f}."
    )


def _short_names(axes: list[str]) -> list[str]:
    """Return names of axes without their sections, as in labels, where that leaves no doubt."""
    short = [name.rpartition(".")[2] for name in axes]
    return [shorten(name, 34) for name in (short if len(set(short)) == len(short) else axes)]


def draw_importance(table: pd.DataFrame, alpha: float) -> Drawing:
    """Draw the share of each axis in the variance of the scores, a panel for each scope.

    Parameters
    ----------
    table : DataFrame
        :data:`gridfold.statistics.importance.IMPORTANCE_COLUMNS`.
    alpha : float
        Axes whose p-value is above this are drawn hollow.
    """
    scopes = list(table.groupby("scope", sort=False))
    if not scopes:
        text = "Too few configurations or axes to say how much an axis matters."
        return Drawing(message(text), "Importance of the axes.", text)
    most = max(len(rows) for _, rows in scopes) + 1
    figure, grid = panels(len(scopes), 2, 0.9 + 0.32 * most)
    for axes, (scope, rows) in zip(grid[0], scopes, strict=True):
        shown = rows["p_value"] <= alpha
        places = range(len(rows))
        faces = [BLUE if found else "none" for found in shown]
        axes.barh(places, 100 * rows["share"], 0.6, color=faces, edgecolor=BLUE, lw=1)
        axes.barh(len(rows), 100 * rows["rest"].iloc[0], 0.6, color=GREY, alpha=0.5)
        names = [*_short_names(rows["axis"].tolist()), "interactions and noise"]
        axes.set_yticks(range(len(rows) + 1), names)
        axes.set_ylim(most - 0.4, -0.6)
        axes.set_xlim(0, 105)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("share of the variance (%)")
        count = counted(int(rows["n_configurations"].iloc[0]), "configuration")
        axes.set_title(f"{shorten(str(scope), 40)} ({count})", loc="left")
    caption = (
        "How much each axis matters for the mean score, among the configurations in which it is "
        "defined: the share of its main effect in the variance of the scores (epsilon squared). "
        "Hollow bars can’t be told from no effect "
        f"(F-test, Holm, level {alpha:.2g}). Shares are those of the ranges of this study: an axis "
        "can seem unimportant because its range is narrow."
    )
    leaders = [
        f"{shorten(str(scope), 40)}: {rows['axis'].iloc[0]} "
        f"({percent(round(float(rows['share'].iloc[0]), 2))})"
        for scope, rows in scopes
    ]
    return Drawing(figure, caption, f"Most important axis of each scope. {'; '.join(leaders)}.")

"""The figure of several objectives: what configurations reach, against what else is wanted."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gridfold.figures.style import (
    BLUE,
    GREY,
    VERMILLION,
    Drawing,
    log_axis,
    message,
    panels,
    rasterise_many,
    spans_decades,
    style,
)
from gridfold.objectives import COSTS, sign_of
from gridfold.requests import Objectives
from gridfold.wording import counted, measure_name, number, shorten

# On a linear scale, what differs by more can't be told apart at its small end.
_WIDE = 20.0


def draw_front(table: pd.DataFrame, objectives: Objectives) -> Drawing:
    """Draw the first objective against each other one, and against what else is limited.

    Parameters
    ----------
    table : DataFrame
        :data:`gridfold.statistics.front.PARETO_COLUMNS`.
    objectives : Objectives
    """
    with style():
        return _drawn(table, objectives)


def _drawn(table: pd.DataFrame, objectives: Objectives) -> Drawing:
    first, *others = objectives.looked_at
    caption = (
        f"Means over the splits of {measure_name(first)} and of what else is wanted. Blue: the "
        "Pareto front, by means alone; ringed: the selected configuration; grey: configurations "
        "that another one dominates; crosses: those that a constraint rules out, which is dashed. "
        + _time_note(objectives)
    ).strip()
    known = table[table[first].notna()]
    if not others or not len(known):
        text = "There is one objective, and nothing else is limited."
        text = text if len(known) else "No trial has a score."
        return Drawing(message(text), caption, text)
    figure, grid = panels(len(others), 2, 4.0)
    for axes, other in zip(grid[0], others, strict=True):
        _draw_pair(axes, known[known[other].notna()], first, other, objectives)
    _legend(figure, known)
    return Drawing(figure, caption, _alt(table, objectives))


def _draw_pair(
    axes: Axes, table: pd.DataFrame, first: str, other: str, objectives: Objectives
) -> None:
    out = table[~table["within_constraints"]]
    front = table[table["front"] == 1].sort_values(other)
    behind = table[table["within_constraints"] & (table["front"].fillna(0) != 1)]
    many = rasterise_many(len(table))
    axes.plot(out[other], out[first], "x", color=GREY, ms=6, label="constraint", **many)
    axes.plot(behind[other], behind[first], "o", color=GREY, ms=5, alpha=0.7, **many)
    # Of more than two objectives, the front is no line in a panel; of two, between its points is
    # what the better one of them reaches.
    line = "o-" if len(objectives.names) == 2 and other in objectives.names else "o"
    steps = "steps-post" if sign_of(other) < 0 else "steps-pre"
    axes.plot(front[other], front[first], line, ds=steps, color=BLUE, ms=7, lw=1.2, zorder=3)
    chosen = table[table["selected"] & table["within_constraints"]]
    axes.plot(chosen[other], chosen[first], "o", mfc="none", mec=VERMILLION, mew=2, ms=13, zorder=4)
    for constraint in objectives.constraints:
        for limit in (constraint.at_most, constraint.at_least):
            if limit is not None and constraint.name == other:
                axes.axvline(limit, color=GREY, lw=1, ls="--")
            if limit is not None and constraint.name == first:
                axes.axhline(limit, color=GREY, lw=1, ls="--")
    axes.set_xlabel(_label(other))
    axes.set_ylabel(_label(first))
    if other in COSTS and spans_decades(table[other], _WIDE):
        log_axis(axes, "x")


def _legend(figure: Figure, table: pd.DataFrame) -> None:
    handles = [
        Line2D([], [], marker="o", color=BLUE, label="Pareto front"),
        Line2D([], [], marker="o", ls="", color=GREY, label="dominated"),
        Line2D(
            [], [], marker="o", ls="", mfc="none", mec=VERMILLION, mew=2, ms=11, label="selected"
        ),
    ]
    if not table["within_constraints"].all():
        handles.append(Line2D([], [], marker="x", ls="", color=GREY, label="not allowed"))
    figure.legend(handles=handles, loc="outside upper left", ncols=4)


def _label(name: str) -> str:
    better = "higher" if sign_of(name) > 0 else "lower"
    unit = f" ({COSTS[name].unit})" if name in COSTS and COSTS[name].unit else ""
    return f"{measure_name(name)}{unit}, {better} is better"


def _time_note(objectives: Objectives) -> str:
    timed = [n for n in objectives.looked_at if n in COSTS and COSTS[n].unit == "s"]
    return "Times are those of this machine and of what ran beside." if timed else ""


def _alt(table: pd.DataFrame, objectives: Objectives) -> str:
    front = table[table["front"] == 1]
    out = int((~table["within_constraints"]).sum())
    text = f"{counted(len(front), 'configuration')} of {len(table):,} on the Pareto front"
    if out:
        text += f"; {counted(out, 'configuration')} ruled out by a constraint"
    chosen = table[table["selected"] & table["within_constraints"]]
    if len(chosen):
        row = chosen.iloc[0]
        values = ", ".join(
            f"{measure_name(n)} {number_of(n, row[n])}" for n in objectives.looked_at
        )
        text += f". Selected: {shorten(str(row['label']), 80)} with {values}"
    return f"{text}."


def number_of(name: str, value: float) -> str:
    """Return the value of a measure or a cost as people write it."""
    if name == "parameters":
        return f"{value:,.0f}"
    return f"{value:.3g}" if name in COSTS else number(value, 4)

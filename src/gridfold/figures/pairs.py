"""Figures of several hyperparameters at once: heat maps of pairs, and parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gridfold.figures.style import VERMILLION, WIDTH, Drawing, message, panels, rasterise_many
from gridfold.problems import Measure
from gridfold.tables.axes import (
    compared_axes,
    effect_of_axis,
    is_logarithmic,
    is_ordered,
    sorted_values,
    steps_of_axis,
)
from gridfold.wording import counted, decimals, direction, half_width, measure_name, number, shorten

_MOST_PAIRS = 3
_MOST_TICKS = 7
# Of columns that leave room for a number in each cell.
_MOST_NUMBERS = 6

_Ticks = list[tuple[float, str]]


def draw_pairs(configurations: pd.DataFrame, space: Mapping[str, Any], measure: str) -> Drawing:
    """Draw the best mean score at each pair of values, for the axes that matter most.

    Parameters
    ----------
    configurations : DataFrame
    space : mapping
        The axes, as in the study.
    measure : str
        The ranking measure.
    """
    scored = configurations[configurations["n_splits"] > 0]
    means = scored[f"{measure}_mean"]
    axes = compared_axes(scored, space)
    pairs = _strongest_pairs(scored, axes, means)
    if not pairs:
        return _nothing("Pairs of hyperparameters.")
    figure, grid = panels(len(pairs), 3, 3.2)
    ends = (means, scored[f"{measure}_low"], scored[f"{measure}_high"])
    places = decimals(map(half_width, *ends), means)
    for panel, (up, across) in zip(grid[0], pairs, strict=True):
        columns, rows = (steps_of_axis(scored[name], axes[name]) for name in (across, up))
        _heat_map(panel, _best(means, rows, columns, measure), rows[1], columns[1], measure, places)
        panel.set_xlabel(shorten(across, 40))
        panel.set_ylabel(shorten(up, 30))
    caption = (
        f"Best mean {measure_name(measure)} ({direction(measure)}) at each pair of values, over "
        "all values of the other axes; the darker, the better, on a scale of its own in each panel."
    )
    if math.comb(len(axes), 2) > len(pairs):
        caption += " Drawn are the pairs along whose axes the means differ most."
    return Drawing(figure, caption, _pairs_alt(scored, pairs, measure, places))


def _strongest_pairs(
    scored: pd.DataFrame, axes: Mapping[str, Mapping[str, Any]], means: pd.Series
) -> list[tuple[str, str]]:
    """Return the pairs along whose axes the means differ most, in the order of the axes."""
    effects = {name: effect_of_axis(scored[name], form, means) for name, form in axes.items()}
    # Axes of different model families never meet.
    meeting = [
        (up, across)
        for up, across in combinations(axes, 2)
        if scored[[up, across]].dropna().nunique().min() > 1
    ]
    ranked = sorted(meeting, key=lambda pair: -(effects[pair[0]] + effects[pair[1]]))
    return [pair for pair in meeting if pair in ranked[:_MOST_PAIRS]]


def _nothing(caption: str) -> Drawing:
    text = "No two axes of this study have several values together."
    return Drawing(message(text), caption, text)


def _best(
    means: pd.Series,
    rows: tuple[pd.Series, list[str]],
    columns: tuple[pd.Series, list[str]],
    measure: str,
) -> np.ndarray[Any, Any]:
    """Return the best mean in each cell, of shape (rows, columns); NaN where there is none."""
    groups = means.groupby([rows[0], columns[0]])
    best: pd.Series = Measure.of(measure).best_of(groups)
    table = best.unstack().reindex(index=range(len(rows[1])), columns=range(len(columns[1])))
    return table.to_numpy(float)


def _heat_map(
    axes: Axes,
    cells: np.ndarray[Any, Any],
    rows: list[str],
    columns: list[str],
    measure: str,
    places: int,
) -> None:
    # The stronger the colour, the better.
    palette = "Blues_r" if Measure.of(measure).lower_is_better else "Blues"
    image = axes.imshow(cells, cmap=palette, aspect="auto", origin="lower")
    axes.grid(visible=False)
    axes.set_yticks(range(len(rows)), [shorten(name, 14) for name in rows])
    axes.set_xticks(range(len(columns)), [shorten(name, 16) for name in columns])
    if sum(map(len, columns)) > 30:
        axes.tick_params(axis="x", labelrotation=30)
    for (row, column), value in np.ndenumerate(cells):
        if np.isfinite(value) and len(columns) <= _MOST_NUMBERS:
            red, green, blue, _ = image.to_rgba(value)
            dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5
            axes.text(
                column,
                row,
                number(value, places),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "black",
            )


def _pairs_alt(
    scored: pd.DataFrame, pairs: list[tuple[str, str]], measure: str, places: int
) -> str:
    best = scored.iloc[0]
    values = "; ".join(
        f"{up} {_text(best[up])} with {across} {_text(best[across])}"
        for up, across in pairs
        if scored[[up, across]].iloc[0].notna().all()
    )
    return (
        f"Heat maps of {counted(len(pairs), 'pair')} of hyperparameters. The best configuration, "
        f"with a mean {measure_name(measure)} of {number(best[f'{measure}_mean'], places)}, lies "
        f"at {values or 'other axes'}."
    )


def _text(value: Any) -> str:
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return f"{value:g}" if is_number else shorten(str(value), 20)


def draw_parallel(configurations: pd.DataFrame, space: Mapping[str, Any], measure: str) -> Drawing:
    """Draw a line for each configuration, from value to value to its mean score.

    Parameters
    ----------
    configurations : DataFrame
    space : mapping
        The axes, as in the study.
    measure : str
        The ranking measure.
    """
    scored = configurations[configurations["n_splits"] > 0]
    axes = compared_axes(scored, space)
    if len(axes) < 2:
        return _nothing("Parallel coordinates.")
    figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
    panel = figure.subplots()
    means = scored[f"{measure}_mean"]
    placed = [_place(scored[name], axes[name]) for name in axes]
    placed.append(_place_scores(means, downwards=Measure.of(measure).lower_is_better))
    _draw_lines(panel, np.column_stack([heights for heights, _ in placed]))
    for position, (_, ticks) in enumerate(placed):
        _draw_axis(panel, position, ticks, right=position == len(axes))
    names = [shorten(name, 26) for name in axes] + [measure_name(measure)]
    panel.set_xticks(range(len(names)), names)
    if len(names) > 5:
        panel.tick_params(axis="x", labelrotation=20)
    panel.tick_params(axis="x", length=0)
    panel.set_yticks([])
    panel.grid(visible=False)
    for spine in panel.spines.values():
        spine.set_visible(False)
    panel.set_xlim(-0.3, len(names) - 0.7)
    return Drawing(figure, _parallel_caption(len(scored), measure), _parallel_alt(scored, axes))


def _draw_axis(panel: Axes, position: int, ticks: _Ticks, *, right: bool) -> None:
    panel.axvline(position, color="#374151", lw=1)
    for height, label in ticks:
        panel.text(
            position + (0.02 if right else -0.02),
            height,
            label,
            ha="left" if right else "right",
            va="center",
            fontsize=8,
            zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
        )


def _place(column: pd.Series, axis: Mapping[str, Any]) -> tuple[np.ndarray[Any, Any], _Ticks]:
    """Return heights in [0, 1] and ticks; a configuration without the axis passes below it."""
    values = sorted_values(column, axis)
    if is_ordered(column, axis):
        scale = np.log if is_logarithmic(values, axis) else np.asarray
        low, width = scale(values[0]), scale(values[-1]) - scale(values[0])
        heights = (scale(column.to_numpy(float)) - low) / width
        few = values[:: -(-len(values) // _MOST_TICKS)]
        ticks = [(float((scale(value) - low) / width), f"{value:.4g}") for value in few]
    else:
        place = {value: (i + 0.5) / len(values) for i, value in enumerate(values)}
        heights = column.map(place).to_numpy(float)
        ticks = [(height, shorten(str(value), 14)) for value, height in place.items()]
    return np.nan_to_num(heights, nan=-0.08), ticks


def _place_scores(means: pd.Series, *, downwards: bool) -> tuple[np.ndarray[Any, Any], _Ticks]:
    """Return heights and ticks of the scores, the good end at the top."""
    low, width = means.min(), (means.max() - means.min()) or 1.0
    values = [v for v in MaxNLocator(6).tick_values(low, low + width) if low <= v <= low + width]
    if downwards:
        low, width = low + width, -width
    ticks = [(float((value - low) / width), f"{value:.4g}") for value in values]
    return ((means - low) / width).to_numpy(float), ticks


def _draw_lines(panel: Axes, heights: np.ndarray[Any, Any]) -> None:
    """Draw the configurations, which come best first, the best last and in colour."""
    across = np.arange(heights.shape[1])
    lines = [np.column_stack([across, row]) for row in heights[::-1]]
    strength = np.linspace(0.12, 0.75, len(lines)) ** 1.5
    shades = np.column_stack([np.tile([0.0, 0.345, 0.56], (len(lines), 1)), strength])
    panel.add_collection(
        LineCollection(lines, colors=shades, linewidths=1.1, **rasterise_many(len(lines) * 4))
    )
    panel.plot(across, heights[0], color=VERMILLION, lw=2.4, zorder=3)
    panel.set_ylim(-0.12, 1.06)


def _parallel_caption(count: int, measure: str) -> str:
    return (
        f"Parallel coordinates: a line for each of {counted(count, 'configuration')}, from value "
        f"to value to its mean {measure_name(measure)}, whose good end is at the top. Better "
        "configurations are drawn stronger, the best in orange."
    )


def _parallel_alt(scored: pd.DataFrame, axes: Mapping[str, Any]) -> str:
    best = scored.iloc[0]
    values = ", ".join(f"{name} {_text(best[name])}" for name in axes if not pd.isna(best[name]))
    return (
        f"Parallel coordinates of {counted(len(scored), 'configuration')} over "
        f"{counted(len(axes), 'hyperparameter')}. The best one has {values}."
    )

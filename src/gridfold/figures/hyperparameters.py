"""The figure of the search space: the score against the value of each axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gridfold.figures.style import (
    GREY,
    Drawing,
    family_looks,
    log_axis,
    message,
    panels,
    rasterise_many,
    spans_decades,
)
from gridfold.tables.axes import (
    best_per_value,
    best_position,
    is_logarithmic,
    is_ordered,
    sorted_values,
)
from gridfold.wording import counted, decimals, direction, measure_name, number, shorten

# With more different values than this, each has too few configurations for a best of its own.
_MOST_VALUES = 12


def draw_hyperparameters(
    configurations: pd.DataFrame, space: Mapping[str, Any], measure: str
) -> Drawing:
    """Draw the mean score of every configuration against each axis of the space.

    Parameters
    ----------
    configurations : DataFrame
    space : mapping
        The axes, as in the study.
    measure : str
        The ranking measure.
    """
    scored = configurations[configurations[f"{measure}_mean"].notna()]
    names = [name for name in space if name in scored and scored[name].nunique() > 1]
    if not names:
        text = "No axis of this study has more than one value, so there is nothing to compare."
        return Drawing(message(text), "Scores against hyperparameters.", text)
    figure, grid = panels(len(names), 3, 2.6, sharey=True)
    looks = family_looks(configurations["model"].tolist())
    for name, axes in zip(names, grid[0], strict=True):
        _draw_axis(
            axes, scored[scored[name].notna()], name, space[name], measure, looks, len(names)
        )
        axes.set_xlabel(shorten(name, 40))
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel(measure_name(measure))
    families = scored["model"].unique()
    entries = [
        Line2D(
            [], [], ls="", color=looks[f][0], marker=looks[f][1], alpha=0.7, label=shorten(f, 20)
        )
        for f in families
    ]
    entries.append(
        Line2D(
            [],
            [],
            color=GREY,
            marker="o",
            mfc="none",
            mec="black",
            lw=1,
            ms=9,
            label="best at this value",
        )
    )
    figure.legend(handles=entries, loc="outside upper left", ncols=len(entries))
    lost = " Hollow: configurations that lost trials." if (scored["n_failed"] > 0).any() else ""
    caption = (
        f"Mean {measure_name(measure)} ({direction(measure)}) of each configuration against the "
        "value of each axis, at all values of the other axes. Rings mark the best at each "
        f"value.{lost}"
    )
    return Drawing(figure, caption, _alt(scored, names, measure))


def _draw_axis(
    axes: Axes,
    rows: pd.DataFrame,
    name: str,
    axis: Mapping[str, Any],
    measure: str,
    looks: Mapping[str, tuple[str, str]],
    panels_drawn: int,
) -> None:
    values = sorted_values(rows[name], axis)
    numeric = is_ordered(rows[name], axis)
    if numeric:
        place = {value: float(value) for value in values}
    else:
        place = {value: float(i) for i, value in enumerate(values)}
    x = rows[name].map(place).to_numpy(float)
    y = rows[f"{measure}_mean"].to_numpy(float)
    complete = rows["n_failed"].to_numpy() == 0
    for family, (colour, marker) in looks.items():
        mine = (rows["model"] == family).to_numpy()
        for chosen, face in ((mine & complete, colour), (mine & ~complete, "none")):
            axes.scatter(
                x[chosen],
                y[chosen],
                s=28 if len(rows) <= 200 else 12,
                marker=marker,
                facecolors=face,
                edgecolors=colour,
                alpha=0.6,
                linewidths=1 if face == "none" else 0,
                **rasterise_many(len(rows) * panels_drawn),
            )
    best = best_per_value(rows, name, measure)
    if len(values) > _MOST_VALUES:
        best = best.loc[[best_position(best, measure)]]
    axes.plot(
        [place[v] for v in best.index],
        best.to_numpy(float),
        ls="-" if numeric else "none",
        color=GREY,
        lw=1,
        marker="o",
        mfc="none",
        mec="black",
        ms=9,
        mew=1.2,
    )
    _label_values(axes, values, numeric=numeric, axis=axis)
    if spans_decades(y, 20):
        log_axis(axes, "y")


def _label_values(axes: Axes, values: list[Any], *, numeric: bool, axis: Mapping[str, Any]) -> None:
    few = len(values) <= 8
    if not numeric:
        step = 1 if len(values) <= _MOST_VALUES else len(values) // 8
        axes.set_xticks(range(0, len(values), step), [shorten(str(v), 14) for v in values[::step]])
        axes.set_xlim(-0.6, len(values) - 0.4)
        if max(len(str(v)) for v in values) > 5 and len(values) > 3:
            axes.tick_params(axis="x", labelrotation=30)
    elif is_logarithmic(values, axis):
        log_axis(axes, "x", values if few else None)
        axes.margins(x=0.12)
    else:
        axes.margins(x=0.12)
        if few:
            axes.set_xticks(values, [f"{v:g}" for v in values])


def _alt(scored: pd.DataFrame, names: list[str], measure: str) -> str:
    places = decimals(scored[f"{measure}_sd"], scored[f"{measure}_mean"])
    winners = []
    for name in names[:8]:
        best = best_per_value(scored[scored[name].notna()], name, measure)
        value = best_position(best, measure)
        shown = f"{value:g}" if isinstance(value, int | float) else shorten(str(value), 20)
        winners.append(f"{name} {shown} ({number(best[value], places)})")
    more = f" and {len(names) - 8} more axes" if len(names) > 8 else ""
    return (
        f"Mean {measure_name(measure)} of {counted(len(scored), 'configuration')} against "
        f"{counted(len(names), 'axis', 'axes')}. Best values: "
        f"{'; '.join(winners)}{more}."
    )

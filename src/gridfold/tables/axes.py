"""What the tables say about axes and epochs, for figures and text alike; draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from gridfold.problems import Measure

# With more values, the cells of a heat map have few configurations each and no room for numbers.
_MOST_STEPS = 12
_RANGES = 6


def sorted_values(column: pd.Series, axis: Mapping[str, Any]) -> list[Any]:
    """Return the different values of an axis: numbers ascending, others as the study lists them."""
    values = column.dropna().unique().tolist()
    if pd.api.types.is_numeric_dtype(column):
        return sorted(values)
    listed = axis.get("grid") or axis.get("choice") or []
    # As in the tables, where a list is text.
    names = ["-".join(map(str, v)) if isinstance(v, list) else str(v) for v in listed]
    return sorted(values, key=lambda v: names.index(str(v)) if str(v) in names else len(names))


def is_ordered(column: pd.Series, axis: Mapping[str, Any]) -> bool:
    """Tell whether an axis holds numbers with an order (`choice` says there is none)."""
    return (
        pd.api.types.is_numeric_dtype(column)
        and not pd.api.types.is_bool_dtype(column)
        and not axis.get("choice")
    )


def is_logarithmic(values: list[float], axis: Mapping[str, Any]) -> bool:
    """Tell whether numbers are spaced by factors rather than by differences."""
    if min(values) <= 0:
        return False
    if axis.get("logspace") or (axis.get("int") or axis.get("float") or {}).get("log"):
        return True
    steps, factors = np.diff(values), np.diff(np.log(values))
    if len(steps) == 1:
        return bool(values[-1] / values[0] >= 3)
    spread = [float(np.std(d) / np.mean(d)) for d in (factors, steps)]
    return spread[0] < spread[1] and values[-1] / values[0] >= 4


def compared_axes(
    configurations: pd.DataFrame, space: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    """Return the axes with more than one value among configurations, with their forms.

    Parameters
    ----------
    configurations : DataFrame
        Rows of the configurations table.
    space : mapping
        The axes, as in the study. The model family is an axis too where there are several.
    """
    forms: dict[str, Mapping[str, Any]] = {"model": {}, **space}
    return {
        name: form
        for name, form in forms.items()
        if name in configurations and configurations[name].nunique() > 1
    }


def steps_of_axis(column: pd.Series, axis: Mapping[str, Any]) -> tuple[pd.Series, list[str]]:
    """Return the step of an axis that each configuration stands on, and the names of the steps.

    A step is a value or, of numbers with more than 12, a range between quantiles; -1 is none.
    """
    values = sorted_values(column, axis)
    if not is_ordered(column, axis) or len(values) <= _MOST_STEPS:
        names = [f"{v:g}" if is_ordered(column, axis) else str(v) for v in values]
        place = {value: position for position, value in enumerate(values)}
        return column.map(place).fillna(-1).astype(int), names
    numbers = column.to_numpy(float)
    edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, _RANGES + 1)))
    steps = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    steps[np.isnan(numbers)] = -1
    names = [f"{low:.2g} to {high:.2g}" for low, high in pairwise(edges)]
    return pd.Series(steps, column.index), names


def effect_of_axis(column: pd.Series, axis: Mapping[str, Any], means: pd.Series) -> float:
    """Return how far apart the mean scores at the steps of an axis are."""
    steps, _ = steps_of_axis(column, axis)
    at_steps = means[steps >= 0].groupby(steps[steps >= 0]).mean()
    return float(at_steps.max() - at_steps.min())


def best_per_value(rows: pd.DataFrame, name: str, measure: str) -> pd.Series:
    """Return the best mean at each value of an axis, configurations that lost trials left out."""
    complete = rows[rows["n_failed"] == 0]
    groups = (complete if len(complete) else rows).groupby(name)[f"{measure}_mean"]
    best: pd.Series = Measure.of(measure).best_of(groups)
    return best


def best_position(best: pd.Series, measure: str) -> Any:
    """Return the axis value with the best of the scores of :func:`best_per_value`."""
    return Measure.of(measure).place_of_best(best)


def curve_over_splits(history: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return mean, min and max over splits for each epoch, indexed by epoch.

    Only epochs that more than half of the splits reached: after early stopping, the mean over the
    few that went on would jump.
    """
    finite = history[np.isfinite(history[column])]
    curve: pd.DataFrame = finite.groupby("epoch")[column].agg(["mean", "min", "max", "size"])
    return curve[curve["size"] > history["split"].nunique() / 2]


def curves_over_splits(
    epochs: pd.DataFrame, columns: Sequence[str]
) -> dict[str, dict[str, pd.DataFrame]]:
    """Return what :func:`curve_over_splits` does, of all configurations at once.

    Parameters
    ----------
    epochs : DataFrame
        The epochs table.
    columns : sequence of str

    Returns
    -------
    dict
        ``mean``, ``min`` and ``max``, of each column: a table with a row for each configuration
        and a column for each epoch; NaN where too few splits reached it.
    """
    keys = ["config_id", "epoch"]
    names = list(columns)
    finite = epochs[names].where(np.isfinite(epochs[names]))
    groups = finite.assign(**epochs[keys]).groupby(keys)
    reached = groups.count()
    splits = epochs.groupby("config_id")["split"].nunique()
    enough = reached.gt(splits.reindex(reached.index.get_level_values(0)).to_numpy() / 2, axis=0)
    return {
        end: {name: part[name].unstack("epoch") for name in names}
        for end in ("mean", "min", "max")
        for part in [getattr(groups, end)().where(enough)]
    }

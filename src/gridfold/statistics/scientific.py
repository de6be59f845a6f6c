"""The best configuration at each value of the axes that a study asks about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gridfold.statistics.pairwise import column_names
from gridfold.statistics.scored import Scored
from gridfold.tables.axes import is_ordered, sorted_values
from gridfold.tables.trials import Column

SCIENTIFIC_COLUMNS = (
    Column("axis", "string", "", "Scientific axis, or `model` where there are several families"),
    Column("value", "string", "", "Its value"),
    Column("n_configurations", "int", "", "Complete configurations with this value"),
    Column("config_id", "string", "", "The best of them, over all values of the other axes"),
    Column("label", "string", "", "Its axis values in one line"),
    Column("mean", "float", "", "Its mean of the ranking measure over the splits"),
    Column("low, high", "float", "", "Its corrected confidence interval"),
    Column("difference", "float", "", "Mean minus that at the best value of the axis"),
    Column("difference_error", "float", "", "Its corrected standard error, variance moderated"),
    Column("difference_low, difference_high", "float", "", "Its corrected confidence interval"),
    Column(
        "p_any_pair",
        "float",
        "",
        "Corrected t-test against the best value, adjusted for all pairs of the study: what stands "
        "at a value is the best of many",
    ),
)
_MOST_VALUES = 50


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
    # A rule of the study may have put another one than the best first.
    known = known.sort_values(
        f"{scored.measure}_mean", ascending=scored.sign < 0, kind="stable", na_position="last"
    )
    parts = [
        _values_of(scored, known, name, values)
        for name, values in _scientific_axes(known, space).items()
    ]
    if not parts:
        return pd.DataFrame(columns=column_names(SCIENTIFIC_COLUMNS))
    return pd.concat(parts, ignore_index=True)


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
    found = scored.differences(best, best[top])
    compared = pd.DataFrame(scored.columns_of(found))
    compared["p_any_pair"] = scored.test.of_any_pair(found.p_values)
    compared.loc[top, list(compared.columns[1:])] = np.nan
    return table.join(compared)

"""The section on the hyperparameters: scores over the search space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gridfold.report.input import ReportInput, ReportSection
from gridfold.tables.axes import compared_axes, is_logarithmic, is_ordered, sorted_values
from gridfold.wording import direction, measure_name, shorten

# Of fewer configurations, pairs of values and lines between axes show what the table says already.
_FEWEST_TOGETHER = 8


def hyperparameters(study: ReportInput) -> ReportSection | None:
    """Return the scores over the search space; None where nothing in it varies."""
    measure, table = study.request.measure, study.tables.configurations
    search = study.explored
    if search is not None:
        table = search.configurations
    scored = table[table["n_splits"] > 0]
    axes = compared_axes(scored, study.study["search"]["space"])
    if not axes:
        return None
    content = {
        "measure": measure_name(measure),
        "direction": direction(measure),
        "effort": None if search is None else search.effort,
        "together": len(axes) > 1 and len(scored) >= _FEWEST_TOGETHER,
    }
    return ReportSection("hyperparameters", "Hyperparameters", "Hyperparameters", content)


def chart_axes(shown: pd.DataFrame, space: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the axes of the charts, each with its values.

    Parameters
    ----------
    shown : DataFrame
        The configurations in the charts.
    space : mapping
        The search space of the study.

    Returns
    -------
    list of dict
        ``name``, ``kind`` (``log``, ``linear`` or ``category``), ``values``, and ``place``: where
        a value stands on it that is not a number, else None.
    """
    return [_axis(shown[name], form) for name, form in compared_axes(shown, space).items()]


def _axis(column: pd.Series, form: Mapping[str, Any]) -> dict[str, Any]:
    name, values = str(column.name), sorted_values(column, form)
    if is_ordered(column, form):
        kind = "log" if is_logarithmic(values, form) else "linear"
        return {"name": name, "kind": kind, "values": list(map(float, values)), "place": None}
    texts = [shorten(str(value), 40) for value in values]
    place = {value: position for position, value in enumerate(values)}
    return {"name": name, "kind": "category", "values": texts, "place": place}

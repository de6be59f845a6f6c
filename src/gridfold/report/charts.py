"""The numbers behind the interactive charts of the report, small enough to travel in the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from gridfold.figures.study import unfollowed
from gridfold.problems import Measure
from gridfold.report.input import ReportInput
from gridfold.report.numbers import short_number, short_numbers
from gridfold.report.sections.configurations import MOST_ROWS, chart_test
from gridfold.report.sections.curves import chart_curves
from gridfold.report.sections.hyperparameters import chart_axes
from gridfold.tables.trials import StudyTables
from gridfold.wording import (
    counted,
    decimals_of,
    half_width_of,
    measure_name,
    number,
    p_value,
    percent,
    shorten,
    training_metric,
)

_MOST_SPLITS = 100
_LONGEST_LABEL = 120


def chart_data(study: ReportInput) -> dict[str, Any]:
    """Return what the charts show, as plain values without NaN.

    Parameters
    ----------
    study : ReportInput

    Returns
    -------
    dict
        ``measure``, ``metric``, ``axes``, ``configurations``, ``curves``, ``test``, ``selected``
        (how many are selected when the page opens) and ``thinned``: sentences that say what was
        left out, of ``all`` charts and of single ones.
    """
    table, measure = study.tables.configurations, study.request.measure
    scored = table[table["n_splits"] > 0]
    shown = scored.head(MOST_ROWS)
    places = decimals_of(shown.to_dict("records"), measure)
    axes = chart_axes(shown, study.study["search"]["space"])
    curves, thinned = chart_curves(study.tables.epochs, shown["config_id"].tolist())
    cut = f"The charts show the best {len(shown)} of {len(scored):,}."
    return {
        "measure": {
            "name": measure_name(measure),
            "lower": Measure.of(measure).lower_is_better,
            "places": places,
            "confidence": percent(study.study["report"]["confidence"]),
        },
        "metric": training_metric(study.study),
        "axes": [{k: v for k, v in axis.items() if k != "place"} for axis in axes],
        "configurations": _configurations(shown, axes, study.tables, measure, places),
        "curves": curves,
        "test": chart_test(study.card, places),
        "selected": min(6, study.study["report"]["curves"], len(shown)),
        "thinned": {
            "all": [cut] if len(scored) > len(shown) else [],
            "curves": [*thinned, *unfollowed(study.tables.epochs, study.study)],
        },
    }


def _configurations(
    shown: pd.DataFrame,
    axes: list[dict[str, Any]],
    tables: StudyTables,
    measure: str,
    places: int,
) -> list[dict[str, Any]]:
    trials = tables.trials
    finished = trials[trials["status"] == "finished"]
    splits = {key: group.tolist() for key, group in finished.groupby("config_id")[measure]}
    rows = []
    for row in shown.to_dict("records"):
        mean, half = row[f"{measure}_mean"], half_width_of(row, measure)
        text = number(mean, places)
        rows.append(
            {
                "id": row["config_id"],
                "rank": int(row["rank"]),
                "label": shorten(row["label"], _LONGEST_LABEL),
                "mean": short_number(mean),
                "low": short_number(row[f"{measure}_low"]),
                "high": short_number(row[f"{measure}_high"]),
                "text": text + (f" ± {number(half, places)}" if math.isfinite(half) else ""),
                "basis": _basis(row),
                "p": p_value(row["p_value"]) if math.isfinite(row["p_value"]) else "",
                "complete": bool(row["n_failed"] == 0),
                "splits": short_numbers(splits[row["config_id"]][:_MOST_SPLITS]),
                "values": [_place(row[axis["name"]], axis["place"]) for axis in axes],
            }
        )
    return rows


def _basis(row: Any) -> str:
    lost = f", {counted(int(row['n_failed']), 'split')} failed" if row["n_failed"] else ""
    return f"n = {counted(int(row['n_splits']), 'split')}{lost}"


def _place(value: Any, place: Mapping[Any, int] | None) -> float | int | None:
    if pd.isna(value):
        return None
    return float(value) if place is None else place[value]

"""The numbers behind the interactive charts of the report, small enough to travel in the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from gridfold.problems import LOWER_IS_BETTER, PROBLEM_KINDS
from gridfold.report.input import ReportInput
from gridfold.tables.axes import (
    compared_axes,
    curves_over_splits,
    is_logarithmic,
    is_ordered,
    sorted_values,
)
from gridfold.tables.trials import StudyTables
from gridfold.wording import (
    counted,
    decimals,
    half_width,
    measure_name,
    number,
    p_value,
    percent,
    shorten,
)

# As many as the table of the report has rows.
_MOST_CONFIGURATIONS = 500
_MOST_EPOCHS = 60
_MOST_BANDS = 50
_MOST_SPLITS = 100
_LONGEST_LABEL = 120
_QUANTITIES = ("loss", "val_loss", "metric", "val_metric")


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
    table, measure = study.tables.configurations, study.request["measure"]
    scored = table[table["n_splits"] > 0]
    shown = scored.head(_MOST_CONFIGURATIONS)
    halves = [_half(row, measure) for _, row in shown.iterrows()]
    places = decimals(halves, shown[f"{measure}_mean"])
    forms = compared_axes(shown, study.study["search"]["space"])
    axes = [_axis(shown[name], form) for name, form in forms.items()]
    curves, thinned = _curves(study.tables.epochs, shown["config_id"].tolist())
    cut = f"The charts show the best {len(shown)} of {len(scored):,}."
    return {
        "measure": {
            "name": measure_name(measure),
            "lower": measure in LOWER_IS_BETTER,
            "places": places,
            "confidence": percent(study.study["report"]["confidence"]),
        },
        "metric": training_metric(study.study),
        "axes": [{k: v for k, v in axis.items() if k != "place"} for axis in axes],
        "configurations": _configurations(shown, axes, study.tables, measure, places),
        "curves": curves,
        "test": _test(study.card, places),
        "selected": min(6, study.study["report"]["curves"], len(shown)),
        "thinned": {"all": [cut] if len(scored) > len(shown) else [], "curves": thinned},
    }


def training_metric(study: Mapping[str, Any]) -> str:
    """Return the name of what is followed beside the loss while a study trains."""
    name = measure_name(PROBLEM_KINDS[study["problem"]["type"]].metric)
    return name if study["data"]["scale_targets"] == "none" else f"{name} (scaled targets)"


def _axis(column: pd.Series, form: Mapping[str, Any]) -> dict[str, Any]:
    """Return an axis; `place` gives where a value stands on it that is not a number."""
    name, values = str(column.name), sorted_values(column, form)
    if is_ordered(column, form):
        kind = "log" if is_logarithmic(values, form) else "linear"
        return {"name": name, "kind": kind, "values": list(map(float, values)), "place": None}
    texts = [shorten(str(value), 40) for value in values]
    place = {value: position for position, value in enumerate(values)}
    return {"name": name, "kind": "category", "values": texts, "place": place}


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
    for _, row in shown.iterrows():
        mean, half = row[f"{measure}_mean"], _half(row, measure)
        text = number(mean, places)
        rows.append(
            {
                "id": row["config_id"],
                "rank": int(row["rank"]),
                "label": shorten(row["label"], _LONGEST_LABEL),
                "mean": _number(mean),
                "low": _number(row[f"{measure}_low"]),
                "high": _number(row[f"{measure}_high"]),
                "text": text + (f" ± {number(half, places)}" if math.isfinite(half) else ""),
                "basis": _basis(row),
                "p": p_value(row["p_value"]) if math.isfinite(row["p_value"]) else "",
                "complete": bool(row["n_failed"] == 0),
                "splits": _rounded(splits[row["config_id"]][:_MOST_SPLITS]),
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


def _half(row: Any, measure: str) -> float:
    return half_width(row[f"{measure}_mean"], row[f"{measure}_low"], row[f"{measure}_high"])


def _test(card: Mapping[str, Any], places: int) -> dict[str, Any] | None:
    test = card["test"]
    if not test or not math.isfinite(test["score"]):
        return None
    interval = (
        f", interval {number(test['low'], places)} to {number(test['high'], places)}"
        if math.isfinite(test["low"])
        else ""
    )
    return {
        "score": _number(test["score"]),
        "low": _number(test["low"]),
        "high": _number(test["high"]),
        "text": f"{number(test['score'], places)}{interval}",
        "basis": f"n = {counted(test['samples'], 'sample')}",
    }


def _curves(epochs: pd.DataFrame, ids: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Return mean curves of all configurations and bands of the best, with what was left out."""
    every = sorted(int(epoch) for epoch in epochs["epoch"].unique())
    kept = every
    thinned = []
    if len(every) > _MOST_EPOCHS:
        positions = np.unique(np.linspace(0, len(every) - 1, _MOST_EPOCHS).round().astype(int))
        kept = [every[position] for position in positions]
        thinned.append(f"Curves are drawn through {len(kept)} of {len(every):,} epochs.")
    several = epochs["split"].nunique() > 1
    if several and len(ids) > _MOST_BANDS:
        thinned.append(f"Bands over splits are kept for the best {_MOST_BANDS} configurations.")
    chosen = epochs[epochs["epoch"].isin(kept)]
    tables = curves_over_splits(chosen, _QUANTITIES)
    lines = {
        name: _rows(table.reindex(index=ids, columns=kept))
        for name, table in tables["mean"].items()
    }
    bands = {
        f"{name}_{end}": _rows(tables[end][name].reindex(index=ids[:_MOST_BANDS], columns=kept))
        for name in ("val_loss", "val_metric")
        for end in ("min", "max")
        if several
    }
    return {"epochs": kept, **lines, **bands}, thinned


def _rows(table: pd.DataFrame) -> list[list[float | None]]:
    """Return one curve for each configuration, without the missing epochs at its end."""
    rows = []
    for values in table.to_numpy(float):
        known = np.flatnonzero(np.isfinite(values))
        rows.append(_rounded(values[: known[-1] + 1]) if len(known) else [])
    return rows


def _rounded(values: Iterable[Any]) -> list[float | None]:
    return [_number(value) for value in values]


def _number(value: Any) -> float | int | None:
    """Return a number with five digits, which no screen can show more of; None without one."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{float(value):.5g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short

"""The tables of the report: texts for readers, with the values that sort them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gridfold.advice import recognise
from gridfold.wording import (
    MISSING,
    amount,
    decimals,
    duration,
    half_width,
    measure_name,
    memory,
    number,
    p_value,
    percent,
    shorten,
)

_MOST_ROWS = 500
_MOST_FAILURES = 200
_LONGEST_REASON = 400
_LONGEST_VALUE = 80


@dataclass(frozen=True)
class Heading:
    """One column.

    Attributes
    ----------
    title : str
    explanation : str
        The title in full, where it is short; else empty.
    numeric : bool
        Aligned right, sorted as numbers.
    extra : bool
        Shown on demand.
    """

    title: str
    explanation: str = ""
    numeric: bool = True
    extra: bool = False


@dataclass(frozen=True)
class Cell:
    """One value: as text, and as what it is sorted by (empty: always last); what else to say."""

    text: str
    key: str = ""
    detail: str = ""
    advice: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes
    ----------
    headings : list of Heading
    rows : list of list of Cell
    total : int
        Rows there would be without the limit.
    """

    headings: list[Heading]
    rows: list[list[Cell]]
    total: int


def configurations_table(
    configurations: pd.DataFrame, best: Mapping[str, Any], measures: Sequence[str]
) -> Table:
    """Return the ranking, at most 500 rows of it.

    Parameters
    ----------
    configurations : DataFrame
    best : mapping
        :func:`gridfold.statistics.summary.select`.
    measures : sequence of str
        All measures; those that do not rank become extra columns.
    """
    shown = configurations.head(_MOST_ROWS)
    measure = best["measure"]
    intervals = bool((shown["n_splits"] > 1).any())
    several = len(configurations) > 1
    columns: list[tuple[Heading, Callable[[Any], Cell]]] = [
        (Heading("Rank"), lambda row: _numeric(row["rank"], str(row["rank"]))),
        (Heading("Configuration", numeric=False), _configuration),
        *_axis_columns(shown),
        _mean_column(shown, measure, intervals),
    ]
    places = _places(shown, measure)
    if (shown["n_failed"] > 0).any():
        columns.append((Heading("Splits", "splits with a score, of all splits"), _splits))
    if intervals:
        columns.append(_plain(f"{measure}_sd", "SD", "standard deviation over splits", places))
    if several:
        columns.append(
            (
                Heading("Difference", "mean minus that of the selected configuration"),
                lambda row: _numeric(
                    row["difference"], number(row["difference"], places, signed=True)
                ),
            )
        )
    if several and intervals:
        columns.append(
            (
                Heading("p", "p-value against the selected configuration, for all pairs"),
                lambda row: _numeric(row["p_value"], p_value(row["p_value"])),
            )
        )
    columns += [
        (
            Heading("Epochs", "mean number of epochs trained"),
            lambda row: _numeric(row["epochs_mean"], _short(row["epochs_mean"])),
        ),
        (
            Heading("Parameters", "trainable weights"),
            lambda row: _numeric(row["parameters"] or math.nan, f"{row['parameters']:,}"),
        ),
        (
            Heading("Time", "mean training time of a trial"),
            lambda row: _numeric(row["fit_seconds_mean"], duration(row["fit_seconds_mean"])),
        ),
    ]
    others = [name for name in measures if name != measure]
    columns += [_mean_column(shown, name, intervals, extra=True) for name in others]
    columns += _cost_columns(shown)
    rows = [[cell(row) for _, cell in columns] for _, row in shown.iterrows()]
    return Table([heading for heading, _ in columns], rows, len(configurations))


def failures_table(trials: pd.DataFrame) -> Table:
    """Return the failed trials with their reasons, at most 200 of them."""
    failed = trials[trials["status"] == "failed"]
    headings = [Heading(t, numeric=False) for t in ("Configuration", "Split", "Kind", "Reason")]
    rows = [
        [
            _configuration(row),
            Cell(str(row["split"])),
            Cell(str(row["failure"])),
            _reason(row),
        ]
        for _, row in failed.head(_MOST_FAILURES).iterrows()
    ]
    return Table(headings, rows, len(failed))


def scaling_table(table: pd.DataFrame) -> Table:
    """Return the speed of each configuration of a scaling study."""
    columns: list[tuple[Heading, Callable[[Any], Cell]]] = [
        (
            Heading("Case", numeric=False),
            lambda row: Cell(f"{row['model']} {row['series']}".strip(), detail=row["config_id"]),
        ),
        (Heading("Device", numeric=False), lambda row: Cell(row["device"])),
        (Heading("Precision", numeric=False), lambda row: Cell(row["precision"])),
        (Heading("Backend", numeric=False), lambda row: Cell(row["backend"])),
        _plain("world_size", "World size", "replicas", 0),
        _plain("batch_size", "Batch", "samples of one step, over all replicas", 0),
        _plain("epoch_seconds", "s an epoch", "median, without validation", 2),
        _plain("samples_per_second", "Samples/s", "training samples per second", 0),
        _plain("speedup", "Speed-up", "over one replica", 2),
        _plain("efficiency", "Efficiency", "speed-up over world size", 2),
    ]
    rows = [[cell(row) for _, cell in columns] for _, row in table.iterrows()]
    return Table([heading for heading, _ in columns], rows, len(table))


def _axis_columns(shown: pd.DataFrame) -> list[tuple[Heading, Callable[[Any], Cell]]]:
    """Return the axes that tell configurations apart, on demand: the label names them all."""
    columns: list[tuple[Heading, Callable[[Any], Cell]]] = []
    for name in (str(n) for n in shown.columns if "." in str(n) and shown[n].nunique() > 1):
        is_number = pd.api.types.is_numeric_dtype(shown[name]) and shown[name].dtype != bool
        heading = Heading(name, "value of this axis", numeric=is_number, extra=True)
        columns.append((heading, _number_of(name) if is_number else _text_of(name)))
    return columns


def _number_of(name: str) -> Callable[[Any], Cell]:
    return lambda row: _numeric(row[name], MISSING if pd.isna(row[name]) else f"{row[name]:g}")


def _text_of(name: str) -> Callable[[Any], Cell]:
    def cell(row: Any) -> Cell:
        text = MISSING if pd.isna(row[name]) else shorten(str(row[name]), _LONGEST_VALUE)
        return Cell(text, "" if text == MISSING else text.lower())

    return cell


def _cost_columns(shown: pd.DataFrame) -> list[tuple[Heading, Callable[[Any], Cell]]]:
    """Return what configurations cost, as far as anybody has measured it; on demand."""
    wanted: list[tuple[str, str, str, Callable[[float], str]]] = [
        ("core_hours", "Core-hours", "CPU cores times wall time, all trials", amount),
        ("gpu_hours", "GPU-hours", "GPUs times wall time, all trials", amount),
        ("cpu_efficiency", "CPU use", "share of the time in which its cores were busy", _share),
        ("gpu_busy", "GPU use", "share of the time in which its GPU computed", _share),
        ("memory_mb", "Memory", "most memory of any of its trials", memory),
    ]
    return [
        (Heading(title, explanation, extra=True), _written(name, write))
        for name, title, explanation, write in wanted
        if (shown[name] > 0).any()
    ]


def _written(column: str, write: Callable[[float], str]) -> Callable[[Any], Cell]:
    return lambda row: _numeric(row[column], write(row[column]))


def _share(value: float) -> str:
    return percent(round(value, 2)) if math.isfinite(value) else MISSING


def _reason(row: Any) -> Cell:
    cause = recognise(str(row["reason"]), str(row["failure"]))
    return Cell(shorten(str(row["reason"]), _LONGEST_REASON), advice=cause.advice if cause else "")


def _configuration(row: Any) -> Cell:
    return Cell(str(row["label"]), str(row["label"]).lower(), str(row["config_id"]))


def _splits(row: Any) -> Cell:
    return _numeric(row["n_splits"], f"{row['n_splits']} of {row['n_splits'] + row['n_failed']}")


def _numeric(value: Any, text: str) -> Cell:
    known = not pd.isna(value) and math.isfinite(value)
    return Cell(text, f"{float(value):.9g}") if known else Cell(MISSING)


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _places(shown: pd.DataFrame, measure: str) -> int:
    halves = [_half(row, measure) for _, row in shown.iterrows()]
    return decimals(halves, shown[f"{measure}_mean"])


def _half(row: Any, measure: str) -> float:
    return half_width(row[f"{measure}_mean"], row[f"{measure}_low"], row[f"{measure}_high"])


def _plain(
    column: str, title: str, explanation: str, places: int
) -> tuple[Heading, Callable[[Any], Cell]]:
    return Heading(title, explanation), lambda row: _numeric(
        row[column], number(row[column], places)
    )


def _mean_column(
    shown: pd.DataFrame, measure: str, intervals: bool, *, extra: bool = False
) -> tuple[Heading, Callable[[Any], Cell]]:
    places = _places(shown, measure)

    def cell(row: Any) -> Cell:
        mean, half = row[f"{measure}_mean"], _half(row, measure)
        text = number(mean, places)
        if math.isfinite(half):
            text += f" ± {number(half, places)}"
        return _numeric(mean, text)

    explanation = "mean over splits" + (" ± half its confidence interval" if intervals else "")
    name = measure_name(measure)
    return Heading(f"{name[0].upper()}{name[1:]}", explanation, extra=extra), cell

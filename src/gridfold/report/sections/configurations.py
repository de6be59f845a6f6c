"""The section on the configurations: their ranking as table and chart, and how to read it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from gridfold.report.input import BESIDE, ReportInput, ReportSection
from gridfold.report.numbers import short_number
from gridfold.report.tables import (
    Cell,
    Heading,
    Table,
    TableColumn,
    configuration_cell,
    number_column,
    numeric_cell,
    share_text,
    table_of,
)
from gridfold.store.model_card import ModelCard
from gridfold.store.selection import Selection
from gridfold.tables.trials import all_measures
from gridfold.wording import (
    MISSING,
    amount,
    counted,
    decimals_of,
    direction,
    duration,
    half_width_of,
    listed,
    measure_name,
    memory,
    number,
    of_classes,
    p_value,
    percent,
    shorten,
)

MOST_ROWS = 500
_LONGEST_VALUE = 80


def configurations(study: ReportInput) -> ReportSection:
    """Return the ranking as table and figure."""
    trials = study.tables.trials
    return ReportSection(
        "configurations",
        "Configurations",
        "Configurations",
        {
            "table": configurations_table(
                study.tables.configurations,
                study.best,
                all_measures(trials),
                study.manifest.class_names,
            ),
            "table_file": BESIDE.table_csv("configurations"),
            "methods": [
                *_methods(study.best, trials),
                *_replicas(study.study, trials),
            ],
            "intervals": _intervals(study),
            "tested": bool(study.card.test),
        },
    )


def configurations_table(
    configurations: pd.DataFrame,
    best: Selection,
    measures: Sequence[str],
    classes: Sequence[str] | None = None,
) -> Table:
    """Return the ranking, at most 500 rows of it.

    Parameters
    ----------
    configurations : DataFrame
    best : Selection
    measures : sequence of str
        All measures; those that do not rank become extra columns.
    classes : sequence of str, optional
        Names of the classes; of two, the positive one last.
    """
    shown = configurations.head(MOST_ROWS)
    measure = best.measure
    intervals = bool((shown["n_splits"] > 1).any())
    several = len(configurations) > 1
    columns: list[TableColumn] = [
        (Heading("Rank"), lambda row: numeric_cell(row["rank"], str(row["rank"]))),
        (Heading("Configuration", numeric=False), configuration_cell),
        *_axis_columns(shown),
        _mean_column(shown, measure, intervals, classes),
    ]
    places = decimals_of(shown.to_dict("records"), measure)
    if (shown["n_failed"] > 0).any():
        columns.append((Heading("Splits", "splits with a score, of all splits"), _splits))
    if intervals:
        columns.append(
            number_column(f"{measure}_sd", "SD", "standard deviation over splits", places)
        )
    if several:
        columns.append(
            (
                Heading("Difference", "mean minus that of the selected configuration"),
                lambda row: numeric_cell(
                    row["difference"], number(row["difference"], places, signed=True)
                ),
            )
        )
    if several and intervals:
        columns.append(
            (
                Heading("p, any pair", "against the selected one, for all pairs of the study"),
                lambda row: numeric_cell(row["p_value"], p_value(row["p_value"])),
            )
        )
    columns += [
        (
            Heading("Epochs", "mean number of epochs trained"),
            lambda row: numeric_cell(row["epochs_mean"], _short(row["epochs_mean"])),
        ),
        (
            Heading("Parameters", "trainable weights"),
            lambda row: numeric_cell(row["parameters"] or math.nan, f"{row['parameters']:,}"),
        ),
        (
            Heading("Time", "mean training time of a trial"),
            lambda row: numeric_cell(row["fit_seconds_mean"], duration(row["fit_seconds_mean"])),
        ),
    ]
    others = [name for name in measures if name != measure]
    columns += [_mean_column(shown, name, intervals, classes, extra=True) for name in others]
    columns += _cost_columns(shown)
    return table_of(columns, shown, len(configurations))


def _axis_columns(shown: pd.DataFrame) -> list[TableColumn]:
    """Return the axes that tell configurations apart, on demand: the label names them all."""
    columns: list[TableColumn] = []
    for name in (str(n) for n in shown.columns if "." in str(n) and shown[n].nunique() > 1):
        is_number = pd.api.types.is_numeric_dtype(shown[name]) and shown[name].dtype != bool
        heading = Heading(name, "value of this axis", numeric=is_number, extra=True)
        columns.append((heading, _number_of(name) if is_number else _text_of(name)))
    return columns


def _number_of(name: str) -> Callable[[Any], Cell]:
    return lambda row: numeric_cell(row[name], MISSING if pd.isna(row[name]) else f"{row[name]:g}")


def _text_of(name: str) -> Callable[[Any], Cell]:
    def cell(row: Any) -> Cell:
        text = MISSING if pd.isna(row[name]) else shorten(str(row[name]), _LONGEST_VALUE)
        return Cell(text, "" if text == MISSING else text.lower())

    return cell


def _cost_columns(shown: pd.DataFrame) -> list[TableColumn]:
    """Return what configurations cost, as far as anybody has measured it; on demand."""
    wanted: list[tuple[str, str, str, Callable[[float], str]]] = [
        ("core_hours", "Core-hours", "CPU cores times wall time, all trials", amount),
        ("gpu_hours", "GPU-hours", "GPUs times wall time, all trials", amount),
        ("cpu_efficiency", "CPU use", "share of the time in which its cores were busy", share_text),
        ("gpu_busy", "GPU use", "share of the time in which its GPU computed", share_text),
        ("memory_mb", "Memory", "most memory of any of its trials", memory),
    ]
    return [
        (Heading(title, explanation, extra=True), _written(name, write))
        for name, title, explanation, write in wanted
        if (shown[name] > 0).any()
    ]


def _written(column: str, write: Callable[[float], str]) -> Callable[[Any], Cell]:
    return lambda row: numeric_cell(row[column], write(row[column]))


def _splits(row: Any) -> Cell:
    return numeric_cell(
        row["n_splits"], f"{row['n_splits']} of {row['n_splits'] + row['n_failed']}"
    )


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _mean_column(
    shown: pd.DataFrame,
    measure: str,
    intervals: bool,
    classes: Sequence[str] | None,
    *,
    extra: bool = False,
) -> TableColumn:
    places = decimals_of(shown.to_dict("records"), measure)

    def cell(row: Any) -> Cell:
        mean, half = row[f"{measure}_mean"], half_width_of(row, measure)
        text = number(mean, places)
        if math.isfinite(half):
            text += f" ± {number(half, places)}"
        return numeric_cell(mean, text)

    explanation = "mean over splits" + (" ± half its confidence interval" if intervals else "")
    if of := of_classes(measure, classes):
        explanation += f"; {of}"
    name = measure_name(measure)
    return Heading(f"{name[0].upper()}{name[1:]}", explanation, extra=extra), cell


def _methods(best: Selection, trials: pd.DataFrame) -> list[str]:
    """Say how the numbers of the table are made."""
    name, level = measure_name(best.measure), percent(best.confidence)
    first = ""
    if best.rule is not None:
        first = f"First stands the selected configuration, by the rule {best.rule}. "
    lines = [
        f"{first}Ranked by the mean of {name} over the splits ({direction(best.measure)}); "
        "configurations that lost trials come last. All configurations share the same splits."
    ]
    if best.headline.is_corrected:
        lines.append(
            "Scores are as selected: that of the first configuration is the best of all, and the "
            "answer above quotes it corrected for that."
        )
    if trials["split"].nunique() > 1:
        lines += [
            f"± is half the {level} confidence interval of the mean: Student's t with the variance "
            "corrected for splits that share training samples (Nadeau & Bengio, 2003). An interval "
            "ends at the limit of the measure's range; ± is then its longer side. SD is the plain "
            "standard deviation over splits.",
        ]
        if best.configurations > 1:
            lines.append(
                "p compares with the selected configuration, paired by split (corrected resampled "
                "t-test) and multiplied by the number of all pairs, since the selected one was "
                "picked by these very scores. A large p does not show that two configurations "
                "are equal."
            )
    lines.append("Epochs and time are means over trials; time counts the epochs alone.")
    return lines


def _replicas(study: Mapping[str, Any], trials: pd.DataFrame) -> list[str]:
    """Say how trials were shared between replicas; nothing where none was."""
    shared = trials[trials["world_size"] > 1]
    if not len(shared):
        return []
    parallel = study["training"]["distribution"]
    counts = {"global": "over all replicas", "per_replica": "of each replica"}
    axis = study["search"]["space"].get("training.distribution.batch")
    meaning = "as the axis `batch` says" if axis else counts[parallel["batch"]]
    sizes = listed(str(size) for size in sorted(shared["world_size"].unique().tolist()))
    samples = listed(str(size) for size in sorted(shared["batch_size"].unique().tolist()))
    return [
        f"Trials with {sizes} replicas share each batch: every sample is used once an epoch, and "
        "gradients are averaged by samples. `training.batch_size` counts the samples "
        f"{meaning}; a step of these trials takes {samples} samples in all."
    ]


def _intervals(study: ReportInput) -> str:
    level = percent(study.study["report"]["confidence"])
    return f" with its {level} confidence interval" if study.best.n_splits > 1 else ""


def chart_test(card: ModelCard, places: int) -> dict[str, Any] | None:
    """Return the held-out score that the chart of the scores shows; None without one.

    Parameters
    ----------
    card : ModelCard
    places : int
        Decimals of the measure.
    """
    test = card.test
    if not test or not math.isfinite(test.score):
        return None
    interval = (
        f", interval {number(test.low, places)} to {number(test.high, places)}"
        if test.has_interval
        else ""
    )
    return {
        "score": short_number(test.score),
        "low": short_number(test.low),
        "high": short_number(test.high),
        "text": f"{number(test.score, places)}{interval}",
        "basis": f"n = {counted(test.samples, 'sample')}",
    }

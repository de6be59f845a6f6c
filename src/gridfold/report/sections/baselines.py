"""The section on baselines: what simple learners reach on the same splits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from gridfold.problems import Measure
from gridfold.report.input import BESIDE, ReportInput, ReportSection
from gridfold.report.tables import Cell, Heading, Table, TableColumn, numeric_cell, table_of
from gridfold.store.chance import ChanceLevel
from gridfold.store.selection import Selection
from gridfold.wording import counted, decimals_of, measure_name, number, p_value, percent

_TABLES = ("baselines", "baseline_fits")


def baselines(study: ReportInput) -> ReportSection | None:
    """Return what simple learners reach on the splits of the study, where it wants that."""
    table = study.baselines
    if table is None:
        return None
    content = {
        "sentences": list(_sentences(table, study.best)),
        "table": _table(table, study.best) if len(table) else None,
        "files": [(name, BESIDE.table_csv(name)) for name in _TABLES],
    }
    return ReportSection("baselines", "Baselines", "Compared with simple learners", content)


def against_the_best(table: pd.DataFrame | None, best: Selection) -> list[str]:
    """Return how the selected configuration compares with the best baseline, in one sentence.

    Whoever is better than the best of several is better than each of them, so this takes no
    correction for their number.

    Parameters
    ----------
    table : DataFrame or None
        As of :func:`gridfold.baselines.comparison.compare_baselines`; None without baselines.
    best : Selection
    """
    if table is None or not len(table):
        return []
    row = table.iloc[0].to_dict()
    if not math.isfinite(row["difference"]):
        return ["No baseline has a score that the selected configuration could be compared with."]
    advantage = -row["difference"] * Measure.of(best.measure).sign
    places, level = places_of(table, best), percent(best.confidence)
    size = number(abs(row["difference"]), places)
    name, ahead = str(row["name"]), advantage > 0
    if not size.strip("0.,"):
        text = f"It equals the best baseline, {name}, to the digits shown"
    elif ahead:
        text = f"It is better than the best baseline, {name}, by {size}"
    else:
        text = f"The best baseline, {name}, is better by {size}"
    ends = sorted(
        end if ahead else -end
        for end in (
            -row["difference_low"] * Measure.of(best.measure).sign,
            -row["difference_high"] * Measure.of(best.measure).sign,
        )
    )
    if not all(map(math.isfinite, ends)):
        return [
            f"{text}, on {counted(int(row['n_splits']), 'split')}: no test can tell.{_part(row)}"
        ]
    interval = f"[{number(ends[0], places)}, {number(ends[1], places)}]"
    shown = row["p_value"] <= 1 - best.confidence and size.strip("0.,")
    verdict = "more than chance explains" if shown else "not shown to be better"
    return [f"{text}, {level} interval {interval}: {verdict}.{_part(row)}"]


def chance_sentence(
    chance: ChanceLevel | None, best: Selection, wanted: str | bool = "auto"
) -> list[str]:
    """Return what the selected configuration reaches with permuted labels.

    Parameters
    ----------
    chance : ChanceLevel or None
        None where it is not measured.
    best : Selection
    wanted : bool or "auto"
        ``report.chance_level``.
    """
    if chance is None:
        if wanted is not True:
            return []
        return [
            "The chance level is not measured: some configurations train on several processes or "
            "devices, and the training with permuted labels would have one."
        ]
    if chance.score is None:
        return [f"The chance level could not be measured: {chance.obstacle}."]
    places = best.decimals
    low, high = number(chance.low, places), number(chance.high, places)
    return [
        f"Chance level: trained once with permuted labels, on {chance.split}, it reaches "
        f"{number(chance.score, places)}, where chance alone gives {low}"
        # A model that always gives the same answer scores the same however labels lie.
        + (f" to {high}." if high != low else ".")
    ]


def _part(row: dict[Any, Any]) -> str:
    """Tell of a baseline that was fitted on a part of the samples."""
    if row["n_fitted_mean"] >= row["n_train_mean"]:
        return ""
    return (
        f" To stay cheap, that baseline was fitted on {row['n_fitted_mean']:,.0f} of "
        f"{row['n_train_mean']:,.0f} training samples."
    )


def places_of(table: pd.DataFrame, best: Selection) -> int:
    """Return how many decimals of the scores of baselines are worth showing."""
    return max(best.decimals, decimals_of(table.head(1).to_dict("records"), best.measure))


def _sentences(table: pd.DataFrame, best: Selection) -> Iterator[str]:
    if not len(table):
        yield "None of the baselines that the study asks for suits its data."
        return
    yield (
        "Each is fitted on the training parts of the same splits and scored on their validation "
        "parts by the same measures, with usual settings that nobody has searched; none is ever "
        "selected. Differences are tested as those between configurations; the tests know nothing "
        "of the choice of the selected one among "
        f"{counted(best.tried or best.configurations, 'configuration')}, which favours it."
    )
    most = int(table["n_splits"].max())
    if 0 < most < best.n_splits:
        yield f"They are compared on {most:,} of {counted(best.n_splits, 'split')}."
    for row in table.to_dict("records"):
        if row["n_failed"]:
            yield (
                f"{str(row['name']).capitalize()} has no score on "
                f"{counted(int(row['n_failed']), 'split')}: {row['reason']}."
            )
        elif row["n_fitted_mean"] < row["n_train_mean"]:
            yield (
                f"{str(row['name']).capitalize()} was fitted on {row['n_fitted_mean']:,.0f} of "
                f"{row['n_train_mean']:,.0f} training samples, drawn at random, to stay cheap."
            )


def _table(table: pd.DataFrame, best: Selection) -> Table:
    measure, places = best.measure, places_of(table, best)
    name, level = measure_name(measure), percent(best.confidence)

    def column(title: str, explanation: str, key: str, low: str = "") -> TableColumn:
        def cell(row: Any) -> Cell:
            text = number(row[key], places)
            if low and math.isfinite(row[f"{low}_low"]):
                ends = (number(row[f"{low}_{end}"], places) for end in ("low", "high"))
                text += f" [{', '.join(ends)}]"
            return numeric_cell(row[key], text)

        return Heading(title, explanation), cell

    columns: list[TableColumn] = [
        (Heading("Baseline", numeric=False), lambda row: Cell(str(row["name"]))),
        column(name, f"mean and {level} interval", f"{measure}_mean", measure),
        column(
            "Difference",
            f"baseline minus selected configuration, {level} interval",
            "difference",
            "difference",
        ),
        (
            Heading("p", "paired test, Holm-adjusted for the baselines"),
            lambda row: numeric_cell(row["p_holm"], p_value(row["p_holm"])),
        ),
        column("Test", f"{name} on the test set, fitted on all other samples", "test_score"),
    ]
    return table_of(columns, table, len(table))

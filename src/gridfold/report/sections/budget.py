"""The section on the budget of a search: what was spent, and what was left out for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from gridfold.plan.stage_names import title_of
from gridfold.report.input import BESIDE, ReportInput, ReportSection
from gridfold.report.tables import (
    Cell,
    Heading,
    Table,
    TableColumn,
    configuration_cell,
    count_column,
    table_of,
    text_column,
)
from gridfold.search.budget import BudgetOutcome
from gridfold.wording import counted

_MOST_LEFT_OUT = 200


def budget(study: ReportInput) -> ReportSection | None:
    """Return what the budget of the search came to; None for a search without one."""
    found, left_out = study.budget, study.left_out
    if found is None or left_out is None:
        return None
    content = {
        "sentences": list(sentences(found, len(left_out), study.study)),
        "stages": _stages(found),
        "left_out": _left_out(left_out) if len(left_out) else None,
        "left_out_file": BESIDE.table_csv("left_out"),
    }
    return ReportSection("budget", "Budget", "What the budget allowed", content)


def sentences(found: BudgetOutcome, incomplete: int, study: Mapping[str, Any]) -> Iterator[str]:
    """Say whether the budget has ended the search, what was spent and what was left out.

    Parameters
    ----------
    found : BudgetOutcome
    incomplete : int
        Configurations that are not complete, those of each stage counted.
    study : mapping
        The resolved study.
    """
    spent = found.limit.spent(found)
    if found.is_cut:
        yield (
            f"The budget ({found.limit}) has ended the search. Its training jobs have held "
            f"{spent}, in all attempts, those that were killed included."
        )
        what = [counted(found.left_out, "trial")] if found.left_out else []
        if study["search"]["strategy"]["type"] == "keras_tuner":
            what.append("what the tuner would have tried next")
        if what:
            yield f"Not trained, or not to the end: {' and '.join(what)}" + (
                f", which leaves {counted(incomplete, 'configuration')} incomplete."
                if incomplete
                else "."
            )
        yield (
            "The answer above is that of what was trained in time, and says nothing of the rest. "
            "With a larger `search.budget` the same command goes on where the search has ended, "
            "and trains nothing again."
        )
    else:
        yield (
            f"The search has ended within its budget ({found.limit}): its training jobs have held "
            f"{spent}, in all attempts."
        )
    yield "The final model and what follows are not part of it."


def _stages(found: BudgetOutcome) -> Table:
    headings = [
        Heading("Stage", numeric=False),
        Heading("Complete", "configurations with all splits trained"),
        Heading("Incomplete", "configurations with some splits trained"),
        Heading("Not trained", "configurations of the stage that were not begun"),
    ]
    rows = [
        [
            Cell(title_of(stage.stage)),
            *(Cell(f"{n:,}") for n in (stage.complete, stage.incomplete, stage.not_begun)),
        ]
        for stage in found.stages
    ]
    return Table(headings, rows, len(rows))


def _left_out(left_out: pd.DataFrame) -> Table:
    columns: list[TableColumn] = [
        (Heading("Configuration", numeric=False), configuration_cell),
        (Heading("Stage", numeric=False), lambda row: Cell(title_of(row["stage"]))),
        count_column("n_trained", "Splits trained"),
        count_column("n_splits", "Splits"),
        text_column("reason", "Why"),
    ]
    return table_of(columns, left_out.head(_MOST_LEFT_OUT), len(left_out))

"""The section on failed trials."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gridfold.advice import recognise
from gridfold.report.input import BESIDE, ReportInput, ReportSection
from gridfold.report.tables import (
    Cell,
    Heading,
    Table,
    TableColumn,
    configuration_cell,
    table_of,
    text_column,
)
from gridfold.wording import shorten

_MOST_FAILURES = 200
_LONGEST_REASON = 400


def failures(study: ReportInput) -> ReportSection | None:
    """Return the failed trials with their reasons; None where there are none."""
    trials = study.all_trials
    failed = _table(trials)
    if not failed.total:
        return None
    content = {
        "failures": failed,
        "trials_file": BESIDE.table_csv("trials"),
        "trial_count": len(trials),
    }
    return ReportSection("failures", "Failed trials", "Failed trials", content)


def _table(trials: pd.DataFrame) -> Table:
    """Return the failed trials with their reasons, at most 200 of them."""
    failed = trials[trials["status"] == "failed"]
    columns: list[TableColumn] = [
        (Heading("Configuration", numeric=False), configuration_cell),
        text_column("split", "Split"),
        text_column("failure", "Kind"),
        (Heading("Reason", numeric=False), _reason),
    ]
    return table_of(columns, failed.head(_MOST_FAILURES), len(failed))


def _reason(row: Any) -> Cell:
    cause = recognise(str(row["reason"]), str(row["failure"]))
    return Cell(shorten(str(row["reason"]), _LONGEST_REASON), advice=cause.advice if cause else "")

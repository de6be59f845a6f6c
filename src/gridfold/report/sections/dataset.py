"""The section on the data: what was read, what each column is, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gridfold.data.description import ColumnDescription, Count, DataDescription
from gridfold.report.input import ReportInput, ReportSection
from gridfold.report.tables import (
    Heading,
    Table,
    TableColumn,
    count_column,
    numeric_cell,
    table_of,
    text_column,
)
from gridfold.wording import MISSING, percent

_MOST_ROWS = 60


def dataset(study: ReportInput) -> ReportSection:
    """Return what the data of the study are."""
    described = study.data
    content = {
        "facts": _facts(study, described),
        "classes": _class_table(described.classes) if described.classes else None,
        "columns": _column_table(described.columns) if described.columns else None,
        "left_out": described.left_out,
        "notes": described.notes,
    }
    return ReportSection("dataset", "Data", "The data", content)


def _facts(study: ReportInput, described: DataDescription) -> dict[str, str]:
    facts = {
        "Source": described.source,
        "Samples": described.samples.summary if described.samples else MISSING,
    }
    if described.samples and described.samples.number != described.rows:
        facts["Made of"] = described.made_of
    if described.samples and described.samples.missing:
        facts["Missing values"] = f"{percent(round(described.samples.missing, 4))} of all"
    if study.card.threshold is not None:
        name = study.manifest.names[1]
        facts["Positive class"] = f"{name}, from a probability of {study.card.threshold} on"
    if study.card.test:
        facts["Held out"] = f"{study.card.test.samples:,} samples for the test"
    return facts


def _class_table(classes: Sequence[Count]) -> Table:
    counts = pd.DataFrame(
        [(count.name, count.samples, count.test_samples) for count in classes],
        columns=["name", "samples", "test"],
    )
    total = max(1, int(counts["samples"].sum()))
    columns: list[TableColumn] = [
        text_column("name", "Class"),
        count_column("samples", "Samples"),
        (
            Heading("Share"),
            lambda row: numeric_cell(
                row["samples"] / total, percent(round(row["samples"] / total, 3))
            ),
        ),
    ]
    if counts["test"].any():
        columns.append(count_column("test", "Own test set", "samples of the source’s own test set"))
    return table_of(columns, counts.head(_MOST_ROWS), len(counts))


def _column_table(described: Sequence[ColumnDescription]) -> Table:
    # What has a role of its own stands first, and is never cut off.
    ordered = sorted(described, key=lambda column: column.roles == ("feature",))
    table = pd.DataFrame(
        [(c.name, ", ".join(c.roles), c.kind, c.summary, c.missing) for c in ordered[:_MOST_ROWS]],
        columns=["name", "roles", "kind", "values", "missing"],
    )
    columns: list[TableColumn] = [
        text_column("name", "Column"),
        text_column("roles", "Role"),
        text_column("kind", "Kind"),
        text_column("values", "Values"),
        (
            Heading("Missing", "share of the rows without a value"),
            lambda row: numeric_cell(row["missing"], percent(round(row["missing"], 4))),
        ),
    ]
    return table_of(columns, table, len(ordered))

"""The section on what several replicas gain."""

from __future__ import annotations

import pandas as pd

from gridfold.report.input import BESIDE, ReportInput, ReportSection
from gridfold.report.tables import (
    Cell,
    Heading,
    Table,
    TableColumn,
    number_column,
    table_of,
    text_column,
)


def scaling(study: ReportInput) -> ReportSection | None:
    """Return what several replicas gain, of a study that compares world sizes."""
    if study.scaling is None:
        return None
    content = {
        "scaling": _table(study.scaling),
        "scaling_file": BESIDE.table_csv("scaling"),
    }
    return ReportSection("scaling", "Scaling", "Scaling", content)


def _table(table: pd.DataFrame) -> Table:
    """Return the speed of each configuration of a scaling study."""
    columns: list[TableColumn] = [
        (
            Heading("Case", numeric=False),
            lambda row: Cell(f"{row['model']} {row['series']}".strip(), detail=row["config_id"]),
        ),
        text_column("device", "Device"),
        text_column("precision", "Precision"),
        text_column("backend", "Backend"),
        number_column("world_size", "World size", "replicas", 0),
        number_column("batch_size", "Batch", "samples of one step, over all replicas", 0),
        number_column("epoch_seconds", "s an epoch", "median, without validation", 2),
        number_column("samples_per_second", "Samples/s", "training samples per second", 0),
        number_column("speedup", "Speed-up", "over one replica", 2),
        number_column("efficiency", "Efficiency", "speed-up over world size", 2),
    ]
    return table_of(columns, table, len(table))

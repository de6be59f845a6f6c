"""The reference of tables says what the tables hold."""

from __future__ import annotations

import re

from workbench import ROOT

from gridfold.problems import MEASURES, PROBLEM_KINDS
from gridfold.reference import tables
from gridfold.statistics.summary import CONFIGURATION_COLUMNS
from gridfold.tables.trials import EPOCH_COLUMNS, PREDICTION_COLUMNS, STUDY_COLUMNS, TRIAL_COLUMNS


def test_the_reference_of_tables_is_up_to_date() -> None:
    assert (ROOT / tables.FILE).read_text() == tables.columns_markdown(), (
        f"{tables.FILE} is out of date; run: {tables.REPAIR}"
    )


def test_every_documented_column_has_a_type_and_a_meaning() -> None:
    rows = [line for line in tables.columns_markdown().splitlines() if "| `" in line]
    for columns in (
        TRIAL_COLUMNS,
        STUDY_COLUMNS,
        CONFIGURATION_COLUMNS,
        EPOCH_COLUMNS,
        PREDICTION_COLUMNS,
    ):
        for column in columns:
            assert any(row.startswith(f"| `{column.name}` | {column.type} |") for row in rows)
            assert column.meaning


def test_every_row_of_a_table_has_as_many_cells_as_its_heading() -> None:
    for table in re.findall(r"(?:^\|.*\n)+", tables.columns_markdown(), re.M):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_every_measure_has_a_range_that_its_direction_fits() -> None:
    measures = {name for kind in PROBLEM_KINDS.values() for name in kind.all_measures}
    assert set(MEASURES) == measures
    for name, measure in MEASURES.items():
        assert measure.name == name
        best = measure.low if measure.lower_is_better else measure.high
        assert best == (0 if measure.lower_is_better else 1), name

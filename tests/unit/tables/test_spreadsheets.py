"""No text of a CSV file is a formula for a spreadsheet; all else stands as it is."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from gridfold.tables import trials
from gridfold.tables.spreadsheets import csv_text

FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-healthy", "@SUM(A1)", "\t=1", "\r=1", "'=1", "-")
HARMLESS = ("plain", "a=b", "-1", "+2.5", "-1e-5", "'quoted'", "", "units=8, layers=2")


def test_formulas_become_text_and_nothing_else_changes() -> None:
    table = pd.DataFrame({"name": [*FORMULAS, *HARMLESS], "=title": -1.5, "whole": -3})
    found = pd.read_csv(io.StringIO(csv_text(table), newline=""), keep_default_na=False, dtype=str)
    assert [*found.columns] == ["name", "'=title", "whole"]
    assert [*found["name"]] == [*(f"'{text}" for text in FORMULAS), *HARMLESS]
    assert set(found["'=title"]) == {"-1.5"}
    assert set(found["whole"]) == {"-3"}


def test_tables_without_formulas_are_written_as_pandas_does(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "text": ["a", None, "c, d"],
            "switch": pd.array([True, None, False], dtype="boolean"),
            "number": [-1.0, float("nan"), 1e-300],
            "category": pd.Categorical(["x", "y", "x"]),
        }
    )
    assert csv_text(table) == table.to_csv(index=False)
    trials.write(tmp_path / "table.csv", table)
    assert (tmp_path / "table.csv").read_bytes() == table.to_csv(index=False).encode()


@pytest.mark.parametrize("text", FORMULAS)
def test_parquet_tables_are_exact(text: str, tmp_path: Path) -> None:
    trials.write(tmp_path / "table.parquet", pd.DataFrame({text: [text]}))
    found = trials.read_table(tmp_path / "table.parquet")
    assert found.to_dict("list") == {text: [text]}

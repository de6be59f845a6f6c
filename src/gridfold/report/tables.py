"""What tables of the report are made of: texts for readers, with the values that sort them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gridfold.wording import MISSING, number, percent


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


TableColumn = tuple[Heading, Callable[[Any], Cell]]
"""The heading of a column, and what writes its cell of a row."""


def table_of(columns: Sequence[TableColumn], shown: pd.DataFrame, total: int) -> Table:
    """Return the rows of `shown` as a table.

    Parameters
    ----------
    columns : sequence of TableColumn
    shown : DataFrame
        What the table has rows for.
    total : int
        Rows there would be without a limit.
    """
    rows = [[cell(row) for _, cell in columns] for _, row in shown.iterrows()]
    return Table([heading for heading, _ in columns], rows, total)


def configuration_cell(row: Any) -> Cell:
    """Return the label of a configuration, with its id below."""
    return Cell(str(row["label"]), str(row["label"]).lower(), str(row["config_id"]))


def numeric_cell(value: Any, text: str) -> Cell:
    """Return a text that is sorted by its value; a dash where there is none."""
    known = not pd.isna(value) and math.isfinite(value)
    return Cell(text, f"{float(value):.9g}") if known else Cell(MISSING)


def text_column(column: str, title: str) -> TableColumn:
    """Return a column of texts."""
    return Heading(title, numeric=False), lambda row: Cell(str(row[column]))


def count_column(column: str, title: str, explanation: str = "") -> TableColumn:
    """Return a column of how many there are of something."""
    return Heading(title, explanation), lambda row: numeric_cell(row[column], f"{row[column]:,}")


def number_column(column: str, title: str, explanation: str, places: int) -> TableColumn:
    """Return a column of plain numbers with `places` decimals."""
    return Heading(title, explanation), lambda row: numeric_cell(
        row[column], number(row[column], places)
    )


def share_text(value: float) -> str:
    """Return a share in whole percent; a dash where it is not known."""
    return percent(round(value, 2)) if math.isfinite(value) else MISSING

"""Columns of text that are rather dates, names or numbers than categories, and columns of nothing.

What would be silently wrong is refused with row, value and key; what may be meant is told.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies import tiny_study

from gridfold.csvfiles.dates import is_date
from gridfold.data.dataset import Dataset, prepare
from gridfold.errors import DataError, StudyError
from gridfold.plan.loading import load_study
from gridfold.study import Study

ROWS = 90
Column = Callable[[int], object]


class Table:
    """A table with a number, classes and what a test is about."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, **columns: Column) -> Table:
        plain: dict[str, Column] = {"a": lambda i: i % 7 / 4, "y": lambda i: i % 2}
        values = {name: [f(i) for i in range(ROWS)] for name, f in (plain | columns).items()}
        self.options = {"source": "csv", "path": str(self.folder / "table.csv")}
        pd.DataFrame(values).to_csv(self.options["path"], index=False, sep=";")
        self.options["separator"] = ";"
        return self

    def write_parquet(self, values: Any) -> Table:
        table = {"a": np.arange(ROWS) % 7 / 4, "y": np.arange(ROWS) % 2, "c": values}
        self.options = {"source": "parquet", "path": str(self.folder / "table.parquet")}
        pd.DataFrame(table).to_parquet(self.options["path"])
        return self

    def study(self, problem: str = "binary", **options: Any) -> dict[str, Any]:
        data = {**self.options, "targets": ["y"], **options}
        return tiny_study(data=data, problem={"type": problem})

    def data(self, problem: str = "binary", **options: Any) -> Dataset:
        """Return what the first job makes of it, whatever is checked before."""
        study = Study.model_validate(self.study(problem, **options))
        return prepare(study.data.model_dump(), problem)

    def refused(self, **options: Any) -> str:
        """Return why it is refused, before the first job and by it."""
        with pytest.raises(StudyError) as early:
            load_study([], self.study(**options))
        with pytest.raises(DataError) as late:
            self.data(**options)
        for problem in early.value.problems:
            assert problem.found.partition(": ")[2] in str(late.value)
            assert problem.allowed in str(late.value)
        return str(late.value)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def told(dataset: Dataset) -> str:
    assert dataset.description is not None
    return "\n".join((*dataset.description.left_out, *dataset.description.notes))


def kinds(dataset: Dataset) -> dict[str, bool]:
    """Return whether each feature is of categories."""
    assert dataset.columns is not None
    return {column.name: column.categories is not None for column in dataset.columns}


# -- dates -----------------------------------------------------------------------------------------

DATES: Mapping[str, Column] = {
    "ISO": lambda i: f"2024-{i % 3 + 1:02}-{i % 28 + 1:02}",
    "ISO with time": lambda i: f"2024-01-{i % 28 + 1:02}T10:30:00Z",
    "with zone": lambda i: f"2024-01-{i % 28 + 1:02} 10:30:00.250+02:00",
    "German": lambda i: f"{i % 28 + 1}.{i % 12 + 1}.2024",
    "American": lambda i: f"{i % 12 + 1}/{i % 28 + 1}/24",
    "words": lambda i: f"{i % 28 + 1} March 2024",
    "American words": lambda i: f"Sept. {i % 28 + 1}, 2024",
    "of an e-mail": lambda i: f"Mon, {i % 28 + 1} Jan 2024 10:30:00 GMT",
    "months": lambda i: f"2024-{i % 12 + 1:02}",
    "time of the day": lambda i: f"{i % 24}:30",
    "few": lambda i: ("2024-01-01", "2024-06-01")[i % 2],
    "with gaps": lambda i: f"2024-01-{i % 28 + 1:02}" if i % 3 else "unknown",
}


@pytest.mark.parametrize("kind", DATES)
def test_dates_are_no_categories(table: Table, kind: str) -> None:
    first = next(i for i in range(ROWS) if is_date(str(DATES[kind](i))))
    said = table.write(d=DATES[kind]).refused()
    assert f"column d has points in time, such as {DATES[kind](first)!r}" in said
    for key in ("data.ignore", "data.time", "data.categories"):
        assert key in said
    assert not kinds(table.data(ignore=["d"])).get("d")
    assert kinds(table.data(categories=["d"]))["d"]
    assert "d" not in kinds(table.data(features=["a"]))


def test_a_listed_feature_of_dates_is_to_be_left_out_of_the_list(table: Table) -> None:
    said = table.write(d=DATES["ISO"]).refused(features=["a", "d"])
    assert "leave it out of data.features" in said
    assert "data.ignore" not in said


@pytest.mark.parametrize(
    "text",
    ["2023-24", "setosa", "marble12", "16:9", "2024", "192.168.0.1", "May", "A-12", "5-10", "1.5"],
)
def test_other_texts_are_no_dates(text: str) -> None:
    assert not is_date(text)


def test_numbers_that_look_like_dates_are_told(table: Table) -> None:
    said = told(table.write(d=lambda i: f"202401{i % 28 + 1:02}").data())
    assert "the column d has numbers such as 20240101, which look like dates" in said


# -- names and free text ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "distinct"),
    [
        (lambda i: f"Ms {i}", 90),
        (lambda i: f"remark {max(i, 9)}", 81),
        (lambda i: f"part {i % 50}", 50),
    ],
)
def test_nearly_unique_texts_are_no_categories(table: Table, column: Column, distinct: int) -> None:
    said = table.write(n=column).refused()
    assert f"column n has {distinct} different texts in 90 rows, such as {column(0)!r}" in said
    for key in ("data.ignore", "data.id", "data.categories"):
        assert key in said
    assert kinds(table.data(categories=["n"]))["n"]


@pytest.mark.parametrize("distinct", [2, 10, 45])
def test_texts_that_repeat_are_categories(table: Table, distinct: int) -> None:
    assert kinds(table.write(n=lambda i: f"kind {i % distinct}").data())["n"]


def test_all_columns_are_named_at_once(table: Table) -> None:
    table.write(
        n=lambda i: f"name {i}", d=DATES["ISO"], b=lambda i: "?" if i == 7 else i, m=lambda _: ""
    )
    with pytest.raises(DataError) as error:
        table.data(features=["a", "n", "d", "b", "m"])
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    for name in "ndbm":
        assert any(f"column {name} " in line for line in lines)


@pytest.mark.parametrize(
    "texts",
    [
        ("yes", "Yes"),
        ("a b", "a  b"),
        ("New York", "new\u00a0york"),
        ("\u00e9t\u00e9", "e\u0301te\u0301"),
    ],
)
def test_values_that_are_spelt_alike_are_told(table: Table, texts: tuple[str, str]) -> None:
    column: Column = lambda i: (*texts, "other")[i % 3]  # noqa: E731
    for dataset in (
        table.write(n=column).data(),
        table.write(y=column).data("multiclass"),
        table.write(n=column).data(groups="n"),
    ):
        assert "spelt alike, and are different ones here" in told(dataset)
        assert f"{texts[0]!r}, {texts[1]!r}" in told(dataset)
    assert "alike" not in told(table.write(n=lambda i: "abc"[i % 3]).data())


# -- columns of nothing, and of one thing ----------------------------------------------------------


@pytest.mark.parametrize("missing", [{}, {"numbers": "mean"}, {"numbers": "zero"}])
def test_a_column_without_a_value_is_left_out_and_told(table: Table, missing: Any) -> None:
    dataset = table.write(m=lambda _: "").data(missing=missing)
    assert kinds(dataset) == {"a": False}
    assert "the column m, which has no value in any row" in told(dataset)


@pytest.mark.parametrize("key", ["features", "categories"])
def test_a_listed_column_without_a_value_is_refused(table: Table, key: str) -> None:
    table.write(m=lambda _: "?")
    with pytest.raises(DataError, match=rf"column m has no value in any row; .*data\.{key}"):
        table.data(**{key: ["m"], "missing": {"values": ["?"]}})


def test_a_table_of_nothing_but_such_columns_is_refused(table: Table) -> None:
    table.write(a=lambda _: "")
    with pytest.raises(DataError, match="no feature has a value in any row: a"):
        table.data()


@pytest.mark.parametrize("value", ["3", "word"])
def test_a_constant_column_is_told(table: Table, value: str) -> None:
    said = told(table.write(m=lambda _: value).data())
    assert f"same value in each row, which tells nothing: m (always {value})" in said


def test_a_constant_with_gaps_tells_something_if_gaps_are_features(table: Table) -> None:
    table.write(m=lambda i: 3 if i % 2 else "")
    missing = {"numbers": "mean", "indicator": True}
    assert "always" in told(table.data(missing=missing | {"indicator": False}))
    assert "always" not in told(table.data(missing=missing))


def test_groups_of_one_row_each_are_told(table: Table) -> None:
    said = told(table.write(g=lambda i: f"g{i}").data(groups="g"))
    assert "each row is a group of its own in the column g (data.groups)" in said


# -- numbers as people write them ------------------------------------------------------------------

FOR_PEOPLE: Mapping[str, tuple[Column, str, dict[str, str]]] = {
    "per cent": (lambda i: f"{i}%", "write plain numbers", {}),
    "per mille": (lambda i: f"{i} ‰", "write plain numbers", {}),
    "dollars": (lambda i: f"${i}", "write plain numbers", {}),
    "euros": (lambda i: f"{i},50 €", "write plain numbers", {}),
    "a long minus": (lambda i: f"−{i}", "write plain numbers", {}),
    "of accountants": (lambda i: f"({i})", "write plain numbers", {}),
    "bounds": (lambda i: f"<{i}", "write plain numbers", {}),
    "commas": (lambda i: f"{i},5", 'data.decimal: ","', {"decimal": ","}),
    "grouped": (lambda i: f"{i + 1},000.5", 'data.thousands: ","', {"thousands": ","}),
    "Swiss": (lambda i: f"{i + 1}'000", 'data.thousands: "\'"', {"thousands": "'"}),
    "Swedish": (lambda i: f"{i + 1} 000", 'data.thousands: " "', {"thousands": " "}),
    "unbroken": (lambda i: f"{i + 1}\u202f000", 'data.thousands: " "', {"thousands": " "}),
    "Italian": (
        lambda i: f"{i + 1}.000,5",
        'data.decimal: "," and data.thousands: "."',
        {"decimal": ",", "thousands": "."},
    ),
}


@pytest.mark.parametrize("kind", FOR_PEOPLE)
def test_numbers_for_people_are_refused_with_what_reads_them(table: Table, kind: str) -> None:
    column, remedy, options = FOR_PEOPLE[kind]
    table.write(b=column)
    with pytest.raises(DataError) as error:
        table.data()
    assert f"column b of numbers has {str(column(0))!r} in row 0" in str(error.value)
    assert remedy in str(error.value)
    if options:
        table.write(a=lambda i: i, b=column)
        values = table.data(**options).features[:, 1]
        assert np.diff(values) == pytest.approx(1 if kind == "commas" else 1000)


@pytest.mark.parametrize(
    "column", [lambda i: f"{i % 9} kg", lambda i: f"{i % 9}°C", lambda i: f"USD {i % 9}"]
)
def test_numbers_with_a_unit_are_told(table: Table, column: Column) -> None:
    dataset = table.write(b=column).data()
    assert kinds(dataset)["b"]
    assert "if they are numbers, write them without a unit" in told(dataset)


@pytest.mark.parametrize(
    "column",
    [lambda i: ("1st", "2nd", "3rd")[i % 3], lambda i: f"{2 + i % 2 * 2}wd", lambda i: f"A{i % 9}"],
)
def test_other_categories_with_digits_are_as_they_are(table: Table, column: Column) -> None:
    dataset = table.write(b=column).data()
    assert kinds(dataset)["b"]
    assert "unit" not in told(dataset)


def test_points_that_may_group_digits_are_told(table: Table) -> None:
    said = told(table.write(b=lambda i: f"{i % 9 + 1}.{i + 100}").data())
    assert 'if the point groups digits, set data.thousands: "."' in said


# -- types of a Parquet file -----------------------------------------------------------------------


def test_parquet_decimals_and_truths_with_gaps_are_numbers(table: Table) -> None:
    missing = {"missing": {"numbers": "mean"}}
    numbers = table.write_parquet([decimal.Decimal(i) / 4 for i in range(ROWS)]).data()
    np.testing.assert_array_equal(numbers.features[:, 1], np.arange(ROWS) / 4)
    truths = table.write_parquet(pd.array([True, None, False] * 30, dtype="boolean"))
    np.testing.assert_array_equal(truths.data(**missing).features[:3, 1], [1, np.nan, 0])


@pytest.mark.parametrize(
    "values",
    [
        pd.date_range("2024-01-01", periods=ROWS),
        pd.date_range("2024-01-01", periods=ROWS, tz="UTC"),
        [datetime.date(2024, 1, i % 28 + 1) for i in range(ROWS)],
        [datetime.time(i % 24) for i in range(ROWS)],
    ],
    ids=["points in time", "with zone", "dates", "times of the day"],
)
def test_parquet_points_in_time_are_no_features(table: Table, values: Any) -> None:
    table.write_parquet(values)
    with pytest.raises(DataError, match=r"column c has points in time, .*data\.time"):
        table.data()
    assert "c" not in kinds(table.data(ignore=["c"]))


@pytest.mark.parametrize(
    ("values", "kind"),
    [([[1, 2]] * ROWS, "list"), ([{"k": 1}] * ROWS, "struct"), ([b"x"] * ROWS, "binary")],
)
def test_parquet_columns_of_lists_records_and_bytes_are_refused(
    table: Table, values: Any, kind: str
) -> None:
    with pytest.raises(DataError, match=f"column c holds {kind}"):
        table.write_parquet(values).data()


def test_parquet_texts_that_are_numbers_are_told(table: Table) -> None:
    dataset = table.write_parquet([str(i % 9) for i in range(ROWS)]).data()
    assert "the column c has texts such as '0', which are texts in the file" in told(dataset)

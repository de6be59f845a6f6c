"""Checks what the columns of a table hold against what they are used as."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gridfold.csvfiles.format import Format
from gridfold.csvfiles.head import column_notes
from gridfold.csvfiles.numbers import are_plain_numbers
from gridfold.csvfiles.texts import doubt_about, spelt_alike, with_unit
from gridfold.data.columns import counts_of, label, labels_of
from gridfold.data.description import ColumnDescription
from gridfold.data.sources import tablefile
from gridfold.data.sources.raw import remedy_for_rows
from gridfold.data.sources.studytable import StudyTable
from gridfold.errors import DataError
from gridfold.wording import first_of

# Columns that a note names.
_NAMED = 10


def refuse(path: str, complaints: Sequence[str]) -> None:
    """Refuse a table for all that is wrong with it, if anything is."""
    if complaints:
        raise DataError("\n".join(f"{path}: {complaint}" for complaint in complaints))


def stray_complaints(
    read: tablefile.TableFile,
    columns: Collection[str],
    how: Format,
    features: Collection[str] = (),
) -> Iterator[str]:
    """Yield what is wrong with texts in columns of numbers.

    Parameters
    ----------
    read : TableFile
    columns : collection of str
        Those that must be numbers.
    how : Format
    features : collection of str
        Those that may lack values.
    """
    for name, strays in read.strays.items():
        if name in columns:
            row, text = tablefile.first_row(read.frame[name], strays)
            remedy = strays.remedy(text, how, is_feature=name in features)
            yield f"{strays.found(name, row, text)}; {remedy}"


def complaints(table: StudyTable, empty: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with columns of a table.

    Parameters
    ----------
    table : StudyTable
    empty : collection of str
        Features without a value.
    """
    data = table.data
    remedy = remedy_for_rows(has_windows=data["sequence"] is not None)
    for name in (*data["targets"], *table.single_roles.values()):
        yield from _gaps(name, table.frame[name], remedy)
    numbers = _columns_of_numbers(table)
    yield from stray_complaints(table.read, numbers, Format.of(data), {*table.features})
    yield from _no_numbers(table, numbers - {*table.read.strays} - {*table.features})
    for name in table.features:
        if name not in numbers and name not in empty:
            yield from _doubts(table, name)
    for name in empty:
        for key in ("features", "categories"):
            if data[key] not in (None, "auto") and name in data[key]:
                yield f"column {name} has no value in any row; leave it out of data.{key}"


def require_complete(path: str, name: str, values: Any) -> None:
    """Refuse missing values in a column, with their rows."""
    refuse(path, [*_gaps(name, values, remedy_for_rows(has_windows=False))])


def _gaps(name: str, values: Any, remedy: str) -> Iterator[str]:
    missing = values.isna().to_numpy()
    if missing.any():
        first, *others = np.flatnonzero(missing)[:10]
        more = f" (then {', '.join(map(str, others))})" * bool(others)
        yield (
            f"column {name} has {int(missing.sum())} missing values, the first at row "
            f"{first}{more}; {remedy}"
        )


def _columns_of_numbers(table: StudyTable) -> set[str]:
    """Return the columns that must be numbers, or are for the most part."""
    data, features = table.data, {*table.features}
    needed = {*filter(None, [data["weight"]]), *(() if table.classes else data["targets"])}
    if data["categories"] != "auto":
        return needed | (features - {*data["categories"]})
    mistaken = {name for name, strays in table.read.strays.items() if strays.are_mistakes}
    return needed | (mistaken & features)


def _no_numbers(table: StudyTable, names: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with targets and weights of a Parquet file that are no numbers."""
    import pandas as pd
    from pandas.api import types

    for name in names:
        values = table.frame[name]
        if types.is_datetime64_any_dtype(values):
            yield f"column {name} of numbers has points in time; write days since a start"
        elif not types.is_numeric_dtype(values):
            bad = (pd.to_numeric(values, errors="coerce").isna() & values.notna()).to_numpy()
            if bad.any():
                row = int(bad.argmax())
                yield (
                    f"column {name} of numbers has {values.iloc[row]!r} in row {row}; write plain "
                    "numbers"
                )


def _doubts(table: StudyTable, name: str) -> Iterator[str]:
    """Yield why a feature of text that nobody has called a category is rather none."""
    from pandas.api import types

    values = table.frame[name]
    if table.data["categories"] != "auto" or types.is_numeric_dtype(values):
        return
    row = int(values.notna().to_numpy().argmax())
    doubt = doubt_about(
        name,
        counts_of(values),
        (row, label(values.iloc[row])),
        is_listed=table.data["features"] is not None,
    )
    if doubt:
        yield f"{doubt.found}; {doubt.remedy}"


def guesses(table: StudyTable) -> list[str]:
    """Return what is guessed about columns of which nobody has said it."""
    notes = column_notes(table.read.head, table.guessed, table.data.get("separator", ","))
    for name in table.frame.columns:
        alike = spelt_alike(labels_of(table.frame[name])[1]) if name in table.categories else []
        if alike:
            named = "; ".join(", ".join(map(repr, texts)) for texts in alike[:_NAMED])
            notes.append(
                f"the column {name} has values that are spelt alike, and are different ones here: "
                f"{named}"
            )
    return notes


def notes_on(columns: Sequence[ColumnDescription], data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is told about columns that are read all the same.

    Parameters
    ----------
    columns : sequence of ColumnDescription
    data : mapping
        The ``data`` section.
    """
    # With indicators it is a feature where values are missing.
    has_indicators = data["missing"]["indicator"]
    constant = [
        f"{column.name} ({column.summary})"
        for column in columns
        if column.is_constant
        and {"feature", "target"} & {*column.roles}
        and (not column.missing or (column.kind == "number" and not has_indicators))
    ]
    if constant:
        named = first_of(constant, _NAMED)
        yield f"same value in each row, which tells nothing: {named}"
    for column in columns:
        counts = {value.name: value.samples for value in column.values}
        if column.roles == ("groups",) and all(number == 1 for number in counts.values()):
            yield f"each row is a group of its own in the column {column.name} (data.groups)"
        if "feature" not in column.roles or column.kind != "category":
            continue
        first = f"the column {column.name} has texts such as {column.values[0].name!r}"
        if with_unit(counts):
            yield (
                f"{first}, which are read as categories; if they are numbers, write them without a "
                "unit"
            )
        elif (
            data["categories"] == "auto"
            and column.distinct == len(counts)
            and are_plain_numbers(counts)
        ):
            yield f"{first}, which are texts in the file and so categories, though all are numbers"

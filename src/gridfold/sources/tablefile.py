"""The one reader of CSV and Parquet files: texts first, types decided over whole columns."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.errors import DataError
from gridfold.numbertexts import Strays, are_plain_numbers, are_truths, number_of
from gridfold.tableformat import BROKEN, Format, open_table
from gridfold.tablehead import (
    ROW_NAMES,
    WHITE_SPACE,
    Head,
    Unreadable,
    look,
    uneven_rows,
)

# A row must fit into a block of what is parsed at once.
_BLOCK_BYTES = 2**22


@dataclass
class TableFile:
    """A table, and what was found out while it was read.

    Attributes
    ----------
    frame : pandas.DataFrame
        With at least one row; numbers or texts in each column, NaN where nothing stands.
    head : Head or None
        Of CSV files.
    notes : list of str
        What was guessed.
    strays : dict of str to Strays
        What keeps columns of text from being numbers.
    """

    frame: Any
    head: Head | None = None
    notes: list[str] = field(default_factory=list)
    strays: dict[str, Strays] = field(default_factory=dict)


def read(
    file: Path | str,
    source: str,
    how: Format,
    *,
    texts: Collection[str] = (),
    names: Collection[str] = (),
    asked: Collection[str] = (),
) -> TableFile:
    """Read a table.

    Parameters
    ----------
    file : path
    source : {"csv", "parquet"}
    how : Format
    texts : collection of str
        Columns of categories, classes or groups: texts as they stand in the file, unless all are
        numbers that are the same however they are written.
    names : collection of str
        Columns of names, which are texts in any case.
    asked : collection of str
        Columns that are wanted, whatever their names look like.

    Raises
    ------
    DataError
        When it is no such file, or a row does not fit; says which and what to do.
    """
    try:
        table = _read_csv(file, how, asked) if source == "csv" else _read_parquet(file, asked)
    except BROKEN as error:
        raise DataError(f"{file} can't be read as {source}: {error}") from None
    if not len(table.frame):
        raise DataError(f"{file}: no samples, only a header")
    for name in table.frame.columns:
        values = table.frame[name]
        if values.dtype != "str":
            continue
        if source != "csv":
            # Text by the file's own word.
            table.frame[name] = values.mask(values.isin(how.missing))
            continue
        table.frame[name], strays = _typed(values, how, name in texts, name in names)
        if strays is not None and strays.texts:
            table.strays[name] = strays
    return table


def _read_csv(file: Path | str, how: Format, asked: Collection[str]) -> TableFile:
    head = look(file, how, asked)
    if head.problems:
        raise DataError("\n".join(f"{file}: {'; '.join(problem)}" for problem in head.problems))
    read = _texts_of_fields if len(how.separator) == 1 else _texts_of_other_fields
    frame = read(file, how, head)
    for place in head.empty:
        there = (frame.iloc[:, place].fillna("").str.strip() != "").to_numpy()
        if there.any():
            width = len(head.fields)
            found = {int(row): width for row in np.flatnonzero(there)}
            raise DataError(f"{file}: {'; '.join(uneven_rows(found, width - len(head.empty)))}")
    kept = [place for place, name in enumerate(head.fields) if name is not None]
    frame = frame.iloc[:, kept]
    frame.columns = head.names
    return TableFile(frame, head, [*head.notes])


def _texts_of_fields(file: Path | str, how: Format, head: Head) -> Any:
    """Return all fields as texts, NaN where nothing stands."""
    import pyarrow as pa
    from pyarrow import csv

    width = len(head.fields)
    names = [str(place) for place in range(width)]
    has_quotes = _has_quotes(file)
    uneven: list[Any] = []
    blank: list[Any] = []

    def take_note(row: Any) -> str:
        (uneven if row.text.strip() else blank).append(row)
        return "skip"

    def parse(*, use_threads: bool) -> Any:
        with open_table(file) as stream:
            return csv.read_csv(
                stream,
                csv.ReadOptions(
                    column_names=names,
                    skip_rows=head.blank,
                    skip_rows_after_names=1,
                    encoding=how.encoding,
                    block_size=_BLOCK_BYTES,
                    use_threads=use_threads,
                ),
                csv.ParseOptions(
                    delimiter=how.separator,
                    # Takes time, and only what stands in quotes can have some.
                    newlines_in_values=has_quotes,
                    invalid_row_handler=take_note,
                ),
                csv.ConvertOptions(
                    column_types={name: pa.string() for name in names},
                    null_values=["", *how.missing],
                    strings_can_be_null=True,
                ),
            )

    try:
        table = parse(use_threads=True)
        if uneven:
            # Only a single thread knows the numbers of rows.
            uneven.clear()
            blank.clear()
            parse(use_threads=False)
    except (pa.ArrowInvalid, UnicodeError) as error:
        if isinstance(error, UnicodeError) or "UTF8" in str(error):
            raise Unreadable(
                f"it is not written in {how.encoding}", "set data.encoding, as to latin-1"
            ) from None
        raise
    if uneven:
        # From 0, after the header, without lines of nothing but white space.
        first = head.blank + 2
        before = [line.number for line in blank]
        found = {
            row.number - first - bisect(before, row.number): row.actual_columns for row in uneven
        }
        raise DataError(f"{file}: {'; '.join(uneven_rows(found, width))}")
    return table.to_pandas()


def _has_quotes(file: Path | str) -> bool:
    with open_table(file) as stream:
        return any(b'"' in piece for piece in iter(lambda: stream.read(_BLOCK_BYTES), b""))


def _texts_of_other_fields(file: Path | str, how: Format, head: Head) -> Any:
    """Do the like for separators that are no single character."""
    import pandas as pd

    frame = pd.read_csv(
        file,
        sep=how.separator,
        header=None,
        skiprows=head.blank + 1,
        names=range(len(head.fields)),
        index_col=False,
        dtype="str",
        encoding=how.encoding,
        keep_default_na=False,
        na_values=["", *how.missing],
        engine="c" if how.separator == WHITE_SPACE else "python",
    )
    return frame


def _read_parquet(file: Path | str, asked: Collection[str]) -> TableFile:
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    index = (table.schema.pandas_metadata or {}).get("index_columns", ())
    left_out = [
        name
        for name in table.column_names
        if name not in asked and (name in index or (name and ROW_NAMES.fullmatch(name)))
    ]
    repeated = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if repeated:
        raise Unreadable(f"several columns with the name {', '.join(repeated)}", "rename them")
    notes = [f"the column {name} is taken for row names and left out" for name in left_out]
    return TableFile(table.drop_columns(left_out).to_pandas(ignore_metadata=True), None, notes)


def _typed(values: Any, how: Format, is_text: bool, stays_text: bool) -> tuple[Any, Strays | None]:
    """Return a column of text as numbers if all of it are, and else what is none.

    Parameters
    ----------
    values : pandas.Series of str
    how : Format
    is_text : bool
        Whether the column is meant to hold texts, and is numbers only if nothing is lost.
    stays_text : bool
        Whether it is text in any case.
    """
    import pandas as pd

    if not (is_text or stays_text):
        numbers = _as_numbers(values, how)
        if numbers is not None:
            return numbers, None
    values = values.str.strip()
    values = values.mask(values.isin(["", *how.missing]))
    if stays_text:
        return values, None
    codes, uniques = pd.factorize(values)
    if is_text:
        numbers = _as_numbers(values, Format()) if are_plain_numbers(uniques) else None
        return (values if numbers is None else numbers), None
    numbers_of = [number_of(text, how) for text in uniques]
    if None not in numbers_of:
        return pd.Series(np.array([*numbers_of, np.nan])[codes], values.index), None
    if are_truths(uniques):
        truths = np.array([*(float(text.lower() == "true") for text in uniques), np.nan])[codes]
        return pd.Series(truths, values.index), None
    counts = dict(zip(uniques, np.bincount(codes[codes >= 0]).tolist(), strict=True))
    return values, Strays.among(counts, how)


def _as_numbers(values: Any, how: Format) -> Any:
    """Return a column as numbers if that is simple, else None."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import compute

    if (how.decimal, how.thousands) != (".", None):
        return None
    column = pa.array(values)
    first = values.first_valid_index()
    # Arrow would also read hexadecimal numbers, which are rather names.
    is_whole = first is None or re.fullmatch(r"-?\d+", values[first])
    for kind in (pa.int64(), pa.float64()) if is_whole else (pa.float64(),):
        try:
            return pd.Series(compute.cast(column, kind).to_numpy(zero_copy_only=False))
        except pa.ArrowInvalid:
            continue
    return None


def first_row(values: Any, strays: Strays) -> tuple[int, str]:
    """Return row and text of the first stray of a column."""
    row = int(values.isin(strays.texts).to_numpy().argmax())
    return row, str(values.iloc[row])

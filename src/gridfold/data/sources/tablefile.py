"""The one reader of CSV and Parquet files: texts first, types decided over whole columns."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.csvfiles.format import BROKEN, Format, open_table
from gridfold.csvfiles.head import WHITE_SPACE, Head, Unreadable, look, uneven_rows
from gridfold.csvfiles.numbers import Strays, are_plain_numbers, are_truths, number_of
from gridfold.errors import DataError

# A row must fit into a block of what is parsed at once.
_BLOCK_BYTES = 2**22
# Values among which a first one is looked for.
_FIRST = 1000


@dataclass
class TableFile:
    """A table, and what was found out while it was read.

    Attributes
    ----------
    frame : pandas.DataFrame
        With at least one row; numbers or texts in each column, NaN where nothing stands.
    head : Head
    strays : dict of str to Strays
        What keeps columns of text from being numbers.
    """

    frame: Any
    head: Head
    strays: dict[str, Strays] = field(default_factory=dict)


def read(
    file: Path | str,
    source: str,
    how: Format,
    *,
    texts: Collection[str] = (),
    names: Collection[str] = (),
    asked: Collection[str] = (),
    first: bool = False,
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
    first : bool
        Read the first rows only, those of the head.

    Raises
    ------
    DataError
        When it is no such file, or a row does not fit; says which and what to do.
    """
    try:
        head = look(file, source, how, asked)
        if head.problems:
            found = (f"{file}: {'; '.join(problem)}" for problem in head.problems)
            raise DataError("\n".join(found))
        table = (
            _read_csv(file, how, head, texts, names, first=first)
            if source == "csv"
            else _read_parquet(file, how, head, first=first)
        )
    except BROKEN as error:
        raise DataError(f"{file} can't be read as {source}: {error}") from None
    if not len(table.frame):
        raise DataError(f"{file}: no samples, only a header")
    return table


def _read_csv(
    file: Path | str,
    how: Format,
    head: Head,
    texts: Collection[str],
    names: Collection[str],
    *,
    first: bool,
) -> TableFile:
    import pandas as pd

    if first:
        read = _texts_of_first_rows
    else:
        read = _texts_of_fields if len(how.separator) == 1 else _texts_of_other_fields
    fields = read(file, how, head)
    for place in head.empty:
        there = (fields.column(place).to_pandas().fillna("").str.strip() != "").to_numpy()
        if there.any():
            width = len(head.fields)
            found = {int(row): width for row in np.flatnonzero(there)}
            raise DataError(f"{file}: {'; '.join(uneven_rows(found, width - len(head.empty)))}")
    columns, strays = {}, {}
    for name, column in zip(head.fields, fields.columns, strict=True):
        if name is not None:
            columns[name], found_strays = _typed(column, how, name in texts, name in names)
            if found_strays is not None and found_strays.texts:
                strays[name] = found_strays
    return TableFile(pd.DataFrame(columns, copy=False), head, strays)


def _texts_of_first_rows(file: Path | str, how: Format, head: Head) -> Any:
    """Return the fields of the head as a pyarrow.Table of texts, null where nothing stands."""
    import pyarrow as pa

    nothing = {"", *how.missing}
    return pa.table(
        {
            str(place): pa.array([None if t in nothing else t for t in texts], pa.string())
            for place, texts in enumerate(zip(*head.rows, strict=True))
        }
    )


def _texts_of_fields(file: Path | str, how: Format, head: Head) -> Any:
    """Return all fields as a pyarrow.Table of texts, null where nothing stands."""
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
    return table


def _has_quotes(file: Path | str) -> bool:
    with open_table(file) as stream:
        return any(b'"' in piece for piece in iter(lambda: stream.read(_BLOCK_BYTES), b""))


def _texts_of_other_fields(file: Path | str, how: Format, head: Head) -> Any:
    """Do the like for separators that are no single character."""
    import pandas as pd
    import pyarrow as pa

    frame = pd.read_csv(
        file,
        sep=how.separator,
        header=None,
        skiprows=head.blank + 1,
        names=[str(place) for place in range(len(head.fields))],
        index_col=False,
        dtype="str",
        encoding=how.encoding,
        keep_default_na=False,
        na_values=["", *how.missing],
        engine="c" if how.separator == WHITE_SPACE else "python",
    )
    return pa.Table.from_pandas(frame, preserve_index=False)


def _read_parquet(file: Path | str, how: Format, head: Head, *, first: bool) -> TableFile:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    if first:
        batches = pq.ParquetFile(file).iter_batches(_FIRST, columns=head.names)
        table = pa.Table.from_batches([next(batches)])
    else:
        table = pq.read_table(file, columns=head.names)
    frame = _plain_columns(file, table).to_pandas(
        ignore_metadata=True,
        # With gaps they would be objects, and so categories.
        types_mapper={pa.bool_(): pd.BooleanDtype()}.get,
    )
    for name in frame.columns if how.missing else ():
        # Texts are such by the file's own word, and stay so.
        if frame[name].dtype == "str":
            frame[name] = frame[name].mask(frame[name].isin(how.missing))
    return TableFile(frame, head)


def _plain_columns(file: Path | str, table: Any) -> Any:
    """Return a pyarrow.Table with numbers for decimals and points in time for dates.

    Raises
    ------
    DataError
        When a column holds lists, records or bytes.
    """
    import pyarrow as pa

    complaints = []
    for place, (name, kind) in enumerate(zip(table.schema.names, table.schema.types, strict=True)):
        if pa.types.is_decimal(kind):
            table = table.set_column(place, name, table[place].cast(pa.float64()))
        elif pa.types.is_date(kind):
            table = table.set_column(place, name, table[place].cast(pa.timestamp("ms")))
        elif pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            complaints.append(
                f"{file}: column {name} holds {kind}; write numbers or texts, in a column "
                "for each part, or leave it out of the file"
            )
    if complaints:
        raise DataError("\n".join(complaints))
    return table


def _typed(column: Any, how: Format, is_text: bool, stays_text: bool) -> tuple[Any, Strays | None]:
    """Return a column of text as numbers if all of it are, and else what is none.

    Parameters
    ----------
    column : pyarrow.ChunkedArray of string
    how : Format
    is_text : bool
        Whether the column is meant to hold texts, and is numbers only if nothing is lost.
    stays_text : bool
        Whether it is text in any case.
    """
    import pandas as pd
    import pyarrow as pa

    if not (is_text or stays_text) and (how.decimal, how.thousands) == (".", None):
        numbers = _as_numbers(column)
        if numbers is not None:
            return numbers, None
    values = column.to_pandas().str.strip()
    values = values.mask(values.isin(["", *how.missing]))
    if stays_text:
        return values, None
    codes, uniques = pd.factorize(values)
    if is_text:
        numbers = _as_numbers(pa.array(values)) if are_plain_numbers(uniques) else None
        return (values if numbers is None else numbers), None
    numbers_of = [number_of(text, how) for text in uniques]
    if None not in numbers_of:
        return np.array([*numbers_of, np.nan])[codes], None
    if are_truths(uniques):
        return np.array([*(float(text.lower() == "true") for text in uniques), np.nan])[codes], None
    counts = dict(zip(uniques, np.bincount(codes[codes >= 0]).tolist(), strict=True))
    return values, Strays.among(counts, how)


def _as_numbers(column: Any) -> Any:
    """Return an array of texts in numbers with a decimal point, if all are some, else None."""
    import pyarrow as pa
    from pyarrow import compute

    first = column.slice(0, _FIRST).drop_null().slice(0, 1).to_pylist()
    # Arrow would also read hexadecimal numbers, which are rather names.
    is_whole = first and re.fullmatch(r"-?\d+", first[0])
    for kind in (pa.int64(), pa.float64()) if is_whole else (pa.float64(),):
        try:
            numbers = compute.cast(column, kind)
        except pa.ArrowInvalid:
            continue
        return numbers.to_numpy() if numbers.null_count == 0 else numbers.to_pandas().to_numpy()
    return None


def first_row(values: Any, strays: Strays) -> tuple[int, str]:
    """Return row and text of the first stray of a column."""
    row = int(values.isin(strays.texts).to_numpy().argmax())
    return row, str(values.iloc[row])

"""Read the beginning of a CSV file without pandas: its columns, and what is wrong with them.

Looked at before the first job and again by the job that reads the whole file, so that both know the
same columns by the same names.
"""

from __future__ import annotations

import codecs
import csv
import functools
import io
import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gridfold.csvfiles.format import Format, open_table
from gridfold.csvfiles.numbers import is_code, number_of

WHITE_SPACE = r"\s+"
_ROWS = 1000
_LETTERS = 200_000
# Columns of row numbers, as pandas, Arrow and readr name those that had no name.
ROW_NAMES = re.compile(r"(Unnamed: \d+(\.\d+)?|__index_level_\d+__|\.\.\.\d+)?")
_DAY = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
_OTHER_SEPARATORS = (";", "\t", "|", ",")
_SHOWN = 10


class Unreadable(ValueError):
    """A file that is no table as its format says: what was found, and what to do."""

    def __init__(self, found: str, remedy: str, key: str = "path") -> None:
        super().__init__(f"{found}; {remedy}")
        self.found, self.remedy, self.key = found, remedy, key


@dataclass
class Head:
    """What the first rows of a CSV file tell.

    Attributes
    ----------
    fields : list of str or None
        The name of each field of a row; None for those that are left out.
    blank : int
        Lines before the header.
    empty : list of int
        Fields that are left out because nothing stands in them.
    rows : list of list of str
        The first rows.
    whole : bool
        Whether these are all rows.
    left_out : list of str
        What was taken for no column, in words.
    problems : list of (str, str)
        What was found and what to do about it.
    """

    fields: list[str | None]
    rows: list[list[str]]
    whole: bool
    blank: int = 0
    empty: list[int] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The columns."""
        return [name for name in self.fields if name is not None]

    def texts_of(self, name: str) -> list[str]:
        """Return the texts of a column in the first rows."""
        place = self._places[name]
        return [row[place].strip() for row in self.rows]

    @functools.cached_property
    def _places(self) -> dict[str | None, int]:
        return {name: place for place, name in enumerate(self.fields)}


def look(file: Path | str, source: str, how: Format, asked: Collection[str] = ()) -> Head:
    """Read header and first rows; of Parquet files the header alone.

    Parameters
    ----------
    file : path
    source : {"csv", "parquet"}
    how : Format
    asked : collection of str
        Columns that are wanted, whatever their names look like.

    Raises
    ------
    Unreadable
        When there is no header.
    BROKEN
        When the file can't be read.
    """
    if source == "parquet":
        return _look_parquet(file, asked)
    try:
        codecs.lookup(how.encoding)
    except LookupError:
        raise Unreadable(
            f"unknown encoding {how.encoding!r}", "allowed: utf-8, latin-1, utf-16, ...", "encoding"
        ) from None
    _require_separator(how.separator)
    rows, whole = _first_rows(file, how)
    blank = next((place for place, row in enumerate(rows) if not _is_blank(row)), len(rows))
    rows = [row for row in rows if not _is_blank(row)]
    if not rows:
        raise Unreadable("the file is empty", "a header line and rows are needed")
    header = [name.strip() for name in rows[0]]
    if re.fullmatch(r"sep=.", how.separator.join(header)):
        raise Unreadable(
            f"the first line is {how.separator.join(header)!r}, which only Excel understands",
            "remove it, and set data.separator",
        )
    head = Head([*header], rows[1:], whole, blank)
    _fit_to_rows(head)
    _name(head, asked)
    return head


def _look_parquet(file: Path | str, asked: Collection[str]) -> Head:
    # Takes a while to import, and most studies have no such file.
    import pyarrow.parquet as pq

    schema = pq.read_schema(file)
    index = (schema.pandas_metadata or {}).get("index_columns", ())
    head = Head([*schema.names], [], whole=False)
    for place, name in enumerate(schema.names):
        if name not in asked and (name in index or ROW_NAMES.fullmatch(name)):
            head.fields[place] = None
            head.left_out.append(f"the column {name} is taken for row names and left out")
    _find_repeated(head)
    return head


def _require_separator(separator: str) -> None:
    """Refuse what separates nothing, or what would be left among the fields."""
    if len(separator) == 1:
        return
    remedy = "allowed: one character, `\\s+` for white space, or a regular expression"
    try:
        pattern = re.compile(separator)
    except re.error as error:
        raise Unreadable(
            f"{separator!r} is no regular expression ({error})",
            f"{remedy}; with a backslash before a bracket that is meant as such",
            "separator",
        ) from None
    if pattern.fullmatch(""):
        raise Unreadable(f"{separator!r} also fits where nothing stands", remedy, "separator")
    if pattern.groups:
        raise Unreadable(
            f"{separator!r} has a group, which would become a field",
            f"{remedy}; (?:...) groups without that",
            "separator",
        )


def _first_rows(file: Path | str, how: Format) -> tuple[list[list[str]], bool]:
    encoding = "utf-8-sig" if how.encoding.lower().replace("_", "-") == "utf-8" else how.encoding
    rows: list[list[str]] = []
    letters = 0
    try:
        with (
            open_table(file) as stream,
            io.TextIOWrapper(stream, encoding=encoding, newline="") as text,
        ):
            for row in _fields_of(text, how.separator):
                letters += sum(map(len, row))
                rows.append(row)
                if len(rows) > _ROWS or letters > _LETTERS:
                    return rows, False
    except UnicodeError:
        raise Unreadable(
            f"the file is not written in {how.encoding}",
            "set data.encoding, as to latin-1 or utf-16",
            "encoding",
        ) from None
    except csv.Error as error:
        raise Unreadable(f"row {len(rows) - 1}: {error}", "mend its quotes") from None
    return rows, True


def _fields_of(text: Iterator[str] | io.TextIOBase, separator: str) -> Iterator[list[str]]:
    """Yield the fields of each row of a text."""
    if separator == WHITE_SPACE:
        lines = (line.strip().replace("\t", " ") for line in text)
        yield from csv.reader(lines, delimiter=" ", skipinitialspace=True)
    elif len(separator) == 1:
        yield from csv.reader(text, delimiter=separator)
    else:
        yield from (re.split(separator, line.rstrip("\r\n")) for line in text)


def _is_blank(row: Sequence[str]) -> bool:
    """Tell whether nothing stands in the line of a row; such lines are no rows."""
    return len(row) < 2 and not "".join(row).strip()


def _fit_to_rows(head: Head) -> None:
    """Give each field of a row its name."""
    names = [name or "" for name in head.fields]
    if len(names) == 1:
        for other in _OTHER_SEPARATORS:
            if other in names[0]:
                raise Unreadable(
                    f"a single column, {names[0][:60]!r}",
                    f'set data.separator: "{other}" if this is what separates columns'.replace(
                        "\t", "\\t"
                    ),
                    "separator",
                )
    if not head.rows:
        return
    width = Counter(map(len, head.rows)).most_common(1)[0][0]
    if width == len(names) + 1:
        has_last = any(row[-1].strip() for row in head.rows if len(row) == width)
        # Either rows end with a separator, or they begin with a name, as R's write.table does it.
        head.fields = ["", *names] if has_last else [*names, ""]
    elif width < len(names) and not any(names[width:]):
        head.fields = [*names[:width]]
    else:
        width = len(names)
    uneven = {row: len(texts) for row, texts in enumerate(head.rows) if len(texts) != width}
    if uneven:
        head.problems.append(uneven_rows(uneven, width))
        head.rows = [texts for texts in head.rows if len(texts) == width]


def uneven_rows(found: Mapping[int, int], width: int) -> tuple[str, str]:
    """Return what is wrong with rows of another width, in words.

    Parameters
    ----------
    found : mapping of int to int
        Fields of each of these rows, from 0.
    width : int
        What they should have.
    """
    named = [f"row {row} has {fields}" for row, fields in itertools.islice(found.items(), _SHOWN)]
    more = f" and {len(found) - _SHOWN} more rows" * (len(found) > _SHOWN)
    return (
        f"{', '.join(named)}{more}, where the header and the other rows make {width} fields",
        "mend these rows; a field with a separator in it needs quotes",
    )


def _name(head: Head, asked: Collection[str]) -> None:
    """Leave out fields without a name, and find names that can't serve."""
    for place, name in enumerate(head.fields):
        if name and (name in asked or not ROW_NAMES.fullmatch(name)):
            continue
        is_empty = not any(row[place].strip() for row in head.rows)
        if place == 0 and not (is_empty and head.rows):
            head.left_out.append(
                f"the first column{f' ({name})' if name else ', which has no name,'} is taken for "
                "row names and left out"
            )
        elif is_empty and not name:
            head.empty.append(place)
            head.left_out.append(
                f"field {place + 1} of each row has no name and is empty; left out"
            )
        elif name:
            head.left_out.append(f"the column {name} is taken for row names and left out")
        else:
            head.problems.append(
                (f"column {place + 1} has values, but no name", "give it one in the header")
            )
        head.fields[place] = None
    _find_repeated(head)


def _find_repeated(head: Head) -> None:
    for name, count in Counter(head.names).items():
        if count > 1:
            head.problems.append(
                (
                    f"{count} columns with the name {name}",
                    "give each column a name of its own in the header",
                )
            )


def column_notes(head: Head, features: Collection[str], separator: str = ",") -> list[str]:
    """Return what is remarkable about features that nobody has listed.

    Parameters
    ----------
    head : Head
    features : collection of str
        The features that are taken for numbers if they look like some.
    separator : str
        Of columns.
    """
    notes = []
    for name in features:
        texts = [text for text in head.texts_of(name) if text]
        if not texts or any(number_of(text, Format()) is None for text in texts):
            continue
        codes = [text for text in texts if is_code(text)]
        if codes:
            notes.append(
                f"the column {name} has texts such as {codes[0]!r}; if all of it are numbers, they "
                f"are read as such ({int(codes[0])}); name it in data.categories to keep them"
            )
        dates = [text for text in texts if _DAY.fullmatch(text)]
        if 2 * len(dates) > len(texts):
            notes.append(
                f"the column {name} has numbers such as {dates[0]}, which look like dates; they "
                "are read as numbers, in which a new month or year is a jump"
            )
        points = [text for text in texts if "." in text]
        if separator == ";" and points and all(map(_GROUPED.fullmatch, points)):
            notes.append(
                f"the column {name} has numbers such as {points[0]}; if the point groups digits, "
                'set data.thousands: "."'
            )
        first = next((start for start in ("0", "1") if texts[0] == start), None)
        if first and len(texts) > 2 and texts == [str(int(first) + i) for i in range(len(texts))]:
            notes.append(
                f"the feature {name} counts the rows; name it in data.ignore if it tells nothing"
            )
    return notes

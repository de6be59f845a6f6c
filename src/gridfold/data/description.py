"""What the data of a study are, for people: ``data/description.json``, and a few readable lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gridfold.store.records import Record
from gridfold.wording import counted, first_of, percent, shorten

Role = Literal["feature", "target", "id", "groups", "weight", "time", "ignored"]
Kind = Literal["number", "category", "text", "date", "empty"]

# The most frequent values of a column that are kept.
MOST_VALUES = 20
_HEADINGS = ("column", "role", "kind", "values", "missing")
# What a line has room for.
_MOST_SHOWN, _LETTERS, _NAME_LETTERS = 4, 24, 30
_MOST_CLASSES = 20
_MOST_COLUMNS = 30


@dataclass(frozen=True)
class Count:
    """How often something is there.

    Attributes
    ----------
    name : str
        A class, or the text of a value.
    samples : int
        Samples, or rows, with it; without those of the source's own test set.
    test_samples : int
        Samples with it in the source's own test set.
    """

    name: str
    samples: int
    test_samples: int = 0


@dataclass(frozen=True)
class ColumnDescription:
    """One column of a table, or what arrays have beside the samples: targets, groups, weights.

    Attributes
    ----------
    name : str
    roles : tuple of Role
        What it is used as; with ``data.sequence`` a target may be a feature, too.
    kind : Kind
        What it is read as. Classes and groups are categories, however they are written; ``text``
        has no use but as a name; ``empty`` has no value at all.
    distinct : int
        Different values.
    missing : float
        Share of the rows without a value.
    low, high : float, str or None
        Smallest and largest number, or first and last date; None for other kinds.
    values : tuple of Count
        The most frequent categories or texts, at most `MOST_VALUES`.
    """

    name: str
    roles: tuple[Role, ...]
    kind: Kind
    distinct: int
    missing: float = 0.0
    low: float | str | None = None
    high: float | str | None = None
    values: tuple[Count, ...] = ()

    @property
    def is_constant(self) -> bool:
        """Whether all values are the same."""
        return self.distinct == 1

    @property
    def summary(self) -> str:
        """Its values in a few words."""
        if self.kind == "empty":
            return "no value"
        if self.is_constant:
            only = self.values[0].name if self.values else _shown(self.low)
            return f"always {shorten(only, _LETTERS)}"
        if self.kind == "category" and self.roles == ("target",):
            return f"{self.distinct:,} classes"
        if self.low is not None:
            low, high = _shown(self.low), _shown(self.high)
            return f"{low} to {high}" if low != high else f"{self.low!r} to {self.high!r}"
        if self.distinct > MOST_VALUES or not self.values:
            examples = [shorten(value.name, _LETTERS) for value in self.values[:2]]
            return f"{self.distinct:,} different" + f", as {', '.join(examples)}" * bool(examples)
        return f"{self.distinct}: {_counts(self.values, _MOST_SHOWN)}"


@dataclass(frozen=True)
class SamplesDescription:
    """The samples that a study uses.

    Attributes
    ----------
    number, own_test : int
        All samples, and those among them of the source's own test set.
    shape : tuple of int
        Shape of one sample, categories counted as one number.
    type : {"float32", "uint8"}
    low, high : float or None
        Smallest and largest value of all features; None for columns of a table.
    missing : float
        Share of the values that are missing.
    """

    number: int
    own_test: int
    shape: tuple[int, ...]
    type: str
    low: float | None = None
    high: float | None = None
    missing: float = 0.0

    @property
    def summary(self) -> str:
        """All of this in one line."""
        test = f", {self.own_test:,} of them the source's own test set" * bool(self.own_test)
        is_row = len(self.shape) == 1
        shape = counted(self.shape[0], "value") if is_row else " x ".join(map(str, self.shape))
        values = f", values from {self.low:g} to {self.high:g}" if self.low is not None else ""
        return f"{counted(self.number, 'sample')}{test}, of {shape} ({self.type}){values}"


@dataclass(frozen=True)
class DataDescription(Record):
    """What the data of a study are.

    Attributes
    ----------
    source : str
        ``data.source``, with the path where there is one.
    rows : int
        Rows, files or samples that were looked at.
    is_whole : bool
        Whether these are all of them; False for the first rows of a large table.
    columns : tuple of ColumnDescription
        The columns of a table or of a list of images; else targets, groups and weights.
    classes : tuple of Count or None
        The classes in the order of their codes; None for numbers.
    samples : SamplesDescription or None
        None as long as only a part was looked at.
    left_out : tuple of str
        Columns, files and rows that are not used, and why.
    notes : tuple of str
        What was guessed, and what is remarkable.
    """

    source: str
    rows: int
    is_whole: bool
    columns: tuple[ColumnDescription, ...] = ()
    classes: tuple[Count, ...] | None = None
    samples: SamplesDescription | None = None
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def made_of(self) -> str:
        """What was looked at, in words: rows or files."""
        if not self.is_whole:
            return f"the first {self.rows:,} rows"
        return counted(self.rows, "file" if self.source.startswith("images") else "row")

    def with_role(self, role: Role) -> list[ColumnDescription]:
        """Return the columns with a role."""
        return [column for column in self.columns if role in column.roles]

    def _shown_columns(self) -> tuple[list[ColumnDescription], str]:
        """Return the columns that lines have room for, and which others there are, in words."""
        plain = [c for c in self.columns if c.roles in (("feature",), ("ignored",))]
        cut = plain[_MOST_COLUMNS:]
        hidden = {column.name for column in cut}
        shown = [column for column in self.columns if column.name not in hidden]
        kinds = Counter(f"{column.roles[0]}, {column.kind}" for column in cut)
        others = "; ".join(f"{kind} ({number:,})" for kind, number in kinds.items())
        return shown, f"and {counted(len(cut), 'column')} more: {others}" if cut else ""

    def lines(self) -> list[str]:
        """Return the description in readable lines."""
        summary = self.samples.summary if self.samples else self.made_of
        told = [("data", f"{self.source}: {summary}")]
        if self.samples and self.samples.number != self.rows:
            told.append(("", f"made of {self.made_of}"))
        shown, more = self._shown_columns()
        has_gaps = any(column.missing for column in shown)
        table = [row if has_gaps else row[:-1] for row in (_HEADINGS, *map(_cells, shown))]
        table = table if shown else []
        widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
        told += [("", "  ".join(map(str.ljust, row, widths)).rstrip()) for row in table]
        told += [("", more)] * bool(more)
        if self.classes is not None:
            told.append(("classes", f"{len(self.classes)}: {_counts(self.classes, _MOST_CLASSES)}"))
        told += [("left out", text) for text in self.left_out]
        told += [("note", text) for text in self.notes]
        return [f"  {key:<15} {text}" for key, text in told]


def name_of(data: Mapping[str, Any]) -> str:
    """Return the source of a ``data`` section in words: its kind, and what it names."""
    return " ".join(
        str(data[key]) for key in ("source", "path", "function") if data.get(key) is not None
    )


def most_frequent(counts: Iterable[tuple[str, int]]) -> tuple[Count, ...]:
    """Return the most frequent of values with their counts, equally frequent ones by name."""
    ordered = sorted(counts, key=lambda item: (-item[1], item[0]))
    return tuple(Count(name, number) for name, number in ordered[:MOST_VALUES])


def _cells(column: ColumnDescription) -> tuple[str, ...]:
    missing = f"{percent(round(column.missing, 4))}" if column.missing else ""
    name = shorten(column.name, _NAME_LETTERS)
    return name, ", ".join(column.roles), column.kind, column.summary, missing


def _counts(counts: Sequence[Count], most: int) -> str:
    texts = (
        f"{shorten(count.name, _LETTERS)} ({count.samples:,}"
        + f" and {count.test_samples:,} for the test" * bool(count.test_samples)
        + ")"
        for count in counts
    )
    return first_of(texts, most)


def _shown(value: float | str | None) -> str:
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return value if isinstance(value, str) else f"{value:.0f}" if is_whole else f"{value:.6g}"

"""Columns of a table as numbers: categories become codes, missing values NaN.

The same code reads the table of a study and, with the columns it found there, the rows that a final
model is asked about later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gridfold.arrays import Array
from gridfold.csvfiles.numbers import is_code
from gridfold.data.precision import origin_of
from gridfold.errors import DataError

# The code of a category that the study's table does not have.
UNKNOWN = -1.0


@dataclass(frozen=True)
class FeatureColumn:
    """One column of features.

    Attributes
    ----------
    name : str
    categories : tuple of str or None
        All categories of the table in the order of their codes; None for a column of numbers.
    origin : float
        What is taken off numbers before they are kept in 32 bit, see
        :func:`gridfold.data.precision.origin_of`.
    """

    name: str
    categories: tuple[str, ...] | None = None
    origin: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return a form that JSON can hold."""
        stored: dict[str, Any] = {
            "name": self.name,
            "categories": None if self.categories is None else list(self.categories),
        }
        return stored | ({"origin": self.origin} if self.origin else {})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> FeatureColumn:
        """Return what :meth:`as_json` made `stored` from."""
        categories = stored["categories"]
        return cls(
            stored["name"],
            None if categories is None else tuple(categories),
            stored.get("origin", 0.0),
        )


def feature_names(given: list[str] | None, count: int) -> list[str]:
    """Return the names that a source gives to its features; numbers from 0 where it gives none."""
    return given or [f"feature_{i}" for i in range(count)]


def find_columns(
    table: Any, names: Sequence[str], categories: str | Sequence[str]
) -> list[FeatureColumn]:
    """Tell numbers from categories.

    Parameters
    ----------
    table : pandas.DataFrame
    names : sequence of str
        The feature columns.
    categories : "auto" or sequence of str
        Columns of categories; "auto" takes those with text.

    Raises
    ------
    DataError
        When a column is neither.
    """
    from pandas.api import types

    found = []
    for name in names:
        values = table[name]
        if categories == "auto":
            is_category = not types.is_numeric_dtype(values) and values.notna().any()
        else:
            is_category = name in categories
        if not is_category:
            found.append(FeatureColumn(name, None, origin_of(_numbers(values))))
            continue
        if types.is_datetime64_any_dtype(values) or types.is_timedelta64_dtype(values):
            raise DataError(
                f"column {name} holds points in time; turn them into numbers, or leave it out of "
                "data.features"
            )
        found.append(FeatureColumn(name, tuple(sorted(labels_of(values)[1]))))
    return found


def counts_of(values: Any) -> dict[str, int]:
    """Return how often each text is in a column, in the order in which they come.

    Parameters
    ----------
    values : pandas.Series
    """
    codes, labels = labels_of(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(labels))
    return dict(zip(labels, counts.tolist(), strict=True))


def as_matrix(table: Any, columns: Iterable[FeatureColumn]) -> Array:
    """Return the columns as numbers.

    Parameters
    ----------
    table : pandas.DataFrame
        With at least these columns.
    columns : iterable of FeatureColumn

    Returns
    -------
    array of shape (rows, columns), float32
        Numbers less their column's origin, the code of each category, `UNKNOWN` for those that the
        columns don't have, and NaN for what is missing.

    Raises
    ------
    DataError
        When a column is missing, or one of numbers holds something else.
    """
    columns = list(columns)
    absent = [column.name for column in columns if column.name not in table.columns]
    if absent:
        raise DataError(
            f"no column {', '.join(absent)}; there are {', '.join(map(str, table.columns))}"
        )
    matrix = np.empty((len(table), len(columns)), np.float32)
    # Too large for 32 bits becomes infinite, which is refused with its row.
    with np.errstate(over="ignore"):
        for position, column in enumerate(columns):
            values = table[column.name]
            matrix[:, position] = (
                _numbers(values) - column.origin
                if column.categories is None
                else _codes(values, column.categories)
            )
    return matrix


def _numbers(values: Any) -> Array:
    import pandas as pd

    if values.dtype == object or not pd.api.types.is_numeric_dtype(values):
        numbers = pd.to_numeric(values, errors="coerce")
        bad = numbers.isna() & values.notna()
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise DataError(
                f"column {values.name} of numbers has {values.iloc[row]!r} in row {row}; numbers "
                "are needed, or name the column in data.categories"
            )
        values = numbers
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


def _codes(values: Any, categories: Sequence[str]) -> Array:
    from pandas.api import types

    if types.is_numeric_dtype(values) and not types.is_bool_dtype(values):
        lost = [text for text in categories if is_code(text)]
        if lost:
            raise DataError(
                f"column {values.name} has numbers, where the study has texts such as {lost[0]!r}; "
                "read the file with ModelInputs.read_table, or with dtype=str"
            )
    codes, labels = labels_of(values)
    known = {label: float(code) for code, label in enumerate(categories)}
    # The last one is what a code of -1, a missing value, points to.
    translated = np.array([*(known.get(label, UNKNOWN) for label in labels), np.nan])
    return translated[codes]


def labels_of(values: Any) -> tuple[Array, list[str]]:
    """Return a code for each value, -1 for missing ones, and the text of each code.

    Parameters
    ----------
    values : pandas.Series
    """
    import pandas as pd

    codes, uniques = pd.factorize(values)
    labels = [label(value) for value in uniques]
    # Numbers of different types can have one text.
    order = {text: code for code, text in enumerate(dict.fromkeys(labels))}
    merged = np.array([*(order[text] for text in labels), -1])
    return merged[codes], list(order)


def label(value: Any) -> str:
    """Return the text of a category or class; a whole number has one, whatever its type."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)

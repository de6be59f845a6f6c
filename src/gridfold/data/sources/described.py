"""Describes the columns of a table that was read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from gridfold.csvfiles.dates import most_are_dates
from gridfold.data.columns import counts_of
from gridfold.data.description import ColumnDescription, Count, Kind, Role, most_frequent


def described(
    table: Any, roles: Mapping[str, tuple[Role, ...]], categories: Collection[str]
) -> tuple[ColumnDescription, ...]:
    """Describe each column of a table.

    Parameters
    ----------
    table : pandas.DataFrame
        With at least one row.
    roles : mapping of str to tuple of Role
        The roles of each column.
    categories : collection of str
        Columns whose values are categories, classes or groups, however they are written.
    """
    return tuple(_column(table[name], own, name in categories) for name, own in roles.items())


def classes_of(values: Any) -> tuple[Count, ...]:
    """Return how often each class is in a column of a table, by name.

    Parameters
    ----------
    values : pandas.Series
    """
    return tuple(Count(name, number) for name, number in sorted(counts_of(values).items()))


def _column(values: Any, roles: tuple[Role, ...], is_category: bool) -> ColumnDescription:
    from pandas.api import types

    name, missing = str(values.name), float(values.isna().mean())
    present = values.dropna()
    if not len(present):
        return ColumnDescription(name, roles, "empty", 0, missing)
    if types.is_datetime64_any_dtype(values):
        span = (present.min().isoformat(), present.max().isoformat())
        return ColumnDescription(name, roles, "date", present.nunique(), missing, *span)
    if types.is_numeric_dtype(values) and not is_category:
        numbers = np.asarray(present, np.float64)
        span = (float(numbers.min()), float(numbers.max()))
        return ColumnDescription(name, roles, "number", present.nunique(), missing, *span)
    counts = counts_of(present)
    kind: Kind = "category" if is_category else "text"
    if not is_category and most_are_dates(counts):
        kind = "date"
        if "time" in roles:
            # Complete and in ISO form, so that their order is that of their letters.
            texts = sorted(counts)
            return ColumnDescription(
                name, roles, kind, len(counts), missing, low=texts[0], high=texts[-1]
            )
    # Names of samples tell nothing about the column, and may be those of people.
    values = () if "id" in roles else most_frequent(counts.items())
    return ColumnDescription(name, roles, kind, len(counts), missing, values=values)

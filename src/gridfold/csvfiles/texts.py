"""Tell texts that are categories from those that are dates, names or free text."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gridfold.csvfiles.dates import is_date, most_are_dates

# More different texts than this, and a column is rather free text or a name than a category.
_MOST_CATEGORIES = 100
# So many, too, if more than half of the rows have another one each.
_FEW = 10
_WITH_UNIT = re.compile(
    r"(?P<before>[A-Z]{3}\s?)?[+-]?\d+([.,]\d+)?\s?(?P<after>[^\d\s.,:/()-]{0,12})"
)


@dataclass(frozen=True)
class Doubt:
    """Why the texts of a column are rather no categories.

    Attributes
    ----------
    found : str
        What they are, in words.
    remedy : str
        The keys that read the column or leave it out.
    """

    found: str
    remedy: str


def doubt_about(
    name: str, counts: Mapping[str, int], first: tuple[int, str], *, is_listed: bool
) -> Doubt | None:
    """Return why a column of text that nobody has called categories is rather none.

    Parameters
    ----------
    name : str
    counts : mapping of str to int
        How often each text is there.
    first : tuple of int and str
        The first row with a text, from 0, and what stands there.
    is_listed : bool
        Whether ``data.features`` names the column.
    """
    row, text = first
    leave_out = (
        "leave it out of data.features, name it"
        if is_listed
        else "name it in data.ignore to leave it out,"
    )
    keep = "in data.categories if these are categories all the same"
    total = sum(counts.values())
    if most_are_dates(counts):
        place = f"{text!r} in row {row}" if is_date(text) else repr(next(filter(is_date, counts)))
        return Doubt(
            f"column {name} has points in time, such as {place}",
            f"{leave_out} in data.time if it says when samples happen and is in ISO form, {keep}, "
            "or write numbers instead (a year, days since a start)",
        )
    if len(counts) > _MOST_CATEGORIES or (len(counts) > _FEW and 2 * len(counts) > total):
        return Doubt(
            f"column {name} has {len(counts):,} different texts in {total:,} rows, such as "
            f"{text!r} in row {row}: rather names or free text than categories",
            f"{leave_out} in data.id if it names the samples, or {keep}",
        )
    return None


def spelt_alike(texts: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the texts that differ in capitals, in white space, or in the form of letters alone.

    Parameters
    ----------
    texts : iterable of str
        Different ones.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
        found.setdefault(plain, []).append(text)
    return [tuple(alike) for alike in found.values() if len(alike) > 1]


def with_unit(counts: Mapping[str, int]) -> bool:
    """Tell whether most texts are different numbers with one unit, as ``5 kg`` and ``7 kg``.

    Parameters
    ----------
    counts : mapping of str to int
        How often each text is there.
    """
    units: Counter[tuple[str, str]] = Counter()
    numbers: Counter[tuple[str, str]] = Counter()
    for text, count in counts.items():
        found = _WITH_UNIT.fullmatch(text)
        if found and (found["before"] or found["after"]):
            unit = (found["before"] or "", found["after"])
            units[unit] += count
            numbers[unit] += 1
    total = sum(counts.values())
    return any(numbers[unit] > 2 and 2 * count > total for unit, count in units.items())

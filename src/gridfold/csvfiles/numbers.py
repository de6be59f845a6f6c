"""Tell texts that are numbers from those that only look like some."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gridfold.csvfiles.format import Format
from gridfold.wording import first_of

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?|[+-]?nan", re.IGNORECASE)
# Digits that a number would lose: postal codes, identifiers.
_CODE = re.compile(r"[+-]?0\d+")
# Numbers for people: with currency or per cent, a decimal comma, grouped digits, or a bound.
_FOR_PEOPLE = re.compile(
    r"\(?[<>~≤≥]?\s*[+−–-]?[$€£¥]?\s*[+−–-]?"
    r"(\d+([.,]\d+)?|\d{1,3}([,.'’\s]\d{3})+([.,]\d+)?)\s*[%‰$€£¥]?\)?"
)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?P<mark>[,.'\s])\d{3}((?P=mark)\d{3})*([.,]\d+)?")
_COMMA = re.compile(r"[+-]?[\d.]*,\d+")
_MARKS = {",": "the comma", ".": "the point", "'": "the apostrophe", " ": "the space"}
_TRUTHS = frozenset({"true", "false"})
# Of a column's texts, the share of numbers above which the others are rather mistakes.
_MOST = 0.5
_SHOWN = 5


def number_of(text: str, how: Format) -> float | None:
    """Return the number that `text` is; None if it is none, NaN for ``NaN``."""
    if how.thousands is not None:
        # Spaces between digits are often those at which no line breaks.
        mark = r"\s" if how.thousands == " " else re.escape(how.thousands)
        groups = rf"([+-]?\d{{1,3}})(?:{mark}\d{{3}})+(?!\d)"
        if re.match(groups, text):
            text = re.sub(mark, "", text)
    if how.decimal != ".":
        # A point is no decimal here.
        text = text.replace(".", "?").replace(how.decimal, ".")
    return float(text) if _PLAIN.fullmatch(text) else None


def is_code(text: str) -> bool:
    """Tell whether `text` is made of digits of which a number would lose some."""
    return _CODE.fullmatch(text) is not None


def are_truths(texts: Iterable[str]) -> bool:
    """Tell whether all texts are ``true`` or ``false``."""
    return {text.lower() for text in texts} <= _TRUTHS


def are_plain_numbers(texts: Iterable[str]) -> bool:
    """Tell whether texts are numbers that lose nothing but their spelling when read as such."""
    return all(
        _PLAIN.fullmatch(text)
        and not is_code(text)
        and math.isfinite(float(text))
        and (abs(float(text)) < 2**53 or not text.lstrip("+-").isdigit())
        for text in texts
    )


def is_named(label: str, value: str | int | float | bool) -> bool:
    """Tell whether a study that says `value` means the class of this label.

    A number means a label that is written as this number in any way, and `true` one that is so in
    any letters; another text means the very same text.
    """
    if isinstance(value, bool):
        return label.casefold() == str(value).casefold()
    number = number_of(str(value), Format())
    return label == value or (number is not None and number_of(label, Format()) == number)


def in_order(texts: Iterable[str]) -> list[str]:
    """Return different texts in order: by their value when all are numbers, else by letters."""
    ordered = sorted(texts)
    values = [number_of(text, Format()) for text in ordered]
    if any(value is None or math.isnan(value) for value in values):
        return ordered
    return sorted(ordered, key=float)


@dataclass(frozen=True)
class Strays:
    """What keeps a column from being numbers.

    Attributes
    ----------
    texts : tuple of str
        Different ones that are no numbers.
    share : float
        Of the column's texts, those that are numbers or look like some.
    """

    texts: tuple[str, ...]
    share: float

    @classmethod
    def among(cls, counts: Mapping[str, int], how: Format) -> Strays:
        """Find them.

        Parameters
        ----------
        counts : mapping of str to int
            How often each text is in the column, missing ones left out.
        how : Format
        """
        strays, codes, total, numbers = [], [], 0, 0
        for text, count in counts.items():
            value = number_of(text, how)
            if value is not None and math.isnan(value):
                continue
            total += count
            if value is None:
                strays.append(text)
                numbers += count if _FOR_PEOPLE.fullmatch(text) else 0
            elif is_code(text):
                codes.append(text)
            else:
                numbers += count
        if are_truths([*strays, *codes]) and numbers == 0:
            strays = []
        return cls(tuple(strays), numbers / total if total else 0.0)

    @property
    def are_mistakes(self) -> bool:
        """Whether most of the column are numbers, so that the others are no categories."""
        return bool(self.texts) and self.share > _MOST

    def found(self, name: str, row: int, text: str) -> str:
        """Return what is wrong, in words.

        Parameters
        ----------
        name : str
        row : int
            The first one with a stray, from 0.
        text : str
            What stands there.
        """
        others = [repr(other) for other in self.texts if other != text]
        more = f" (elsewhere {first_of(others, _SHOWN)})" * bool(others)
        return f"column {name} of numbers has {text!r} in row {row}{more}"

    @staticmethod
    def remedy(text: str, how: Format, *, is_feature: bool) -> str:
        """Return what to do about `text`, in words.

        Parameters
        ----------
        text : str
        how : Format
        is_feature : bool
            Whether the column may lack values, or hold categories instead.
        """
        ways = []
        grouped = _GROUPED.fullmatch(text)
        if how.thousands is None and grouped and grouped["mark"] != how.decimal:
            mark = " " if grouped["mark"].isspace() else grouped["mark"]
            ways.append(f'set data.thousands: "{mark}" if {_MARKS[mark]} groups digits')
        if how.decimal == "." and _COMMA.fullmatch(text):
            and_points = ' and data.thousands: "."' * ("." in text and how.thousands is None)
            ways.append(f'set data.decimal: ","{and_points} if numbers have a comma')
        if how.decimal != "." and _PLAIN.fullmatch(text):
            ways.append("leave out data.decimal if numbers have a point")
        if is_feature and not _FOR_PEOPLE.fullmatch(text):
            ways.append("add it to data.missing.values if it means missing")
        ways = ways or ["write plain numbers"]
        if is_feature:
            ways.append("name the column in data.categories if it has categories")
        return ", or ".join(ways)

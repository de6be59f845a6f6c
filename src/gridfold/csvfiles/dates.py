"""Tell texts that are points in time from other texts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

# Of different texts, so many tell whether most of a column are dates.
_LOOKED_AT = 1000
_TIME = r"([01]?\d|2[0-4]):[0-5]\d(:[0-5]\d([.,]\d+)?)?\s*([ap]\.?m\.?)?"
_ZONE = r"\s*(z|utc|gmt|[+-]\d{2}:?(\d{2})?)?"
_YEAR, _SHORT_YEAR = r"[12]\d{3}", r"([12]\d{3}|'?\d{2})"
_MONTH, _DAY = r"(0?[1-9]|1[0-2])", r"(0?[1-9]|[12]\d|3[01])"
_MONTH_NAME = (
    r"(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|"
    r"oct(ober)?|nov(ember)?|dec(ember)?)\.?"
)
_DATES = (
    rf"{_YEAR}(?P<mark>[-/.]){_MONTH}((?P=mark){_DAY})?",
    # Whichever of day and month comes first.
    rf"{_DAY}(?P<mark>[-/.]){_DAY}(?P=mark){_SHORT_YEAR}",
    rf"{_DAY}(st|nd|rd|th|\.)?[\s-]*{_MONTH_NAME}[\s,-]*{_SHORT_YEAR}",
    rf"{_MONTH_NAME}[\s-]*{_DAY}(st|nd|rd|th)?(,\s*|\s+){_SHORT_YEAR}",
    rf"{_MONTH_NAME}[\s-]+{_SHORT_YEAR}",
)
_PATTERNS = [re.compile(rf"{date}([t\s]\s*{_TIME}{_ZONE})?", re.IGNORECASE) for date in _DATES]
_PATTERNS.append(re.compile(_TIME, re.IGNORECASE))
_WEEKDAY = re.compile(r"(mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}\.?,?\s+", re.IGNORECASE)


def is_date(text: str) -> bool:
    """Tell whether `text` is a date, with or without a time, or a time of the day.

    ISO 8601 and what is usual in English and in numbers; digits alone are numbers.
    """
    text = _WEEKDAY.sub("", text.strip(), count=1)
    return any(pattern.fullmatch(text) for pattern in _PATTERNS)


def most_are_dates(counts: Mapping[str, int]) -> bool:
    """Tell whether most texts of a column are dates, as the first of different ones tell.

    Parameters
    ----------
    counts : mapping of str to int
        How often each text is there.
    """
    looked_at = [*itertools.islice(counts.items(), _LOOKED_AT)]
    dates = sum(count for text, count in looked_at if is_date(text))
    return 2 * dates > sum(count for _, count in looked_at)

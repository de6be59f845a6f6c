"""CSV files are also opened by spreadsheets, which take some texts for formulas and run them."""

from __future__ import annotations

import csv
import re
from typing import Any, Literal

import pandas as pd

# With apostrophes before, or the text could not be told from one that was marked.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def csv_text(table: pd.DataFrame, *, header: bool = True) -> str:
    """Return a table as CSV in which no text is a formula.

    A text that a spreadsheet would take for one gets an apostrophe in front, which spreadsheets
    understand as "this is text" (OWASP, CSV injection). Numbers stay as they are, and so do texts
    that are numbers.
    """
    marked = table.rename(columns=_marked)
    # Python's writer leaves these without quotes, and readers end a row there.
    has_returns = any("\r" in str(name) for name in table.columns)
    for place in range(len(table.columns)):
        values = table.iloc[:, place]
        if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
            texts = values.map(_marked, na_action="ignore")
            has_returns = has_returns or any(
                "\r" in text for text in texts if isinstance(text, str)
            )
            if not texts.equals(values):
                marked.isetitem(place, texts.array)
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if has_returns else csv.QUOTE_MINIMAL
    return str(marked.to_csv(index=False, header=header, lineterminator="\n", quoting=quoting))


def _marked(value: Any) -> Any:
    if isinstance(value, str) and _FORMULA.match(value) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

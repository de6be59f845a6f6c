"""Finds what is no number among values that should all be some."""

from __future__ import annotations

from typing import Any

import numpy as np

from gridfold.arrays import Array


def first_word(values: Array) -> str:
    """Return the first value that is no number and its row, in words; the type where all are some.

    Parameters
    ----------
    values : array
        Samples first.
    """
    for place, value in np.ndenumerate(values):
        if not _is_number(value):
            kind = "" if isinstance(value, str) else f" ({type(value).__name__})"
            return f"{value!r}{kind} in row {place[0]}"
    return f"type {values.dtype}"


def _is_number(value: Any) -> bool:
    if isinstance(value, complex):
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True

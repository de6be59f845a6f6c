"""Numbers as the charts of the page hold them: short, and null where there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


def short_number(value: Any) -> float | int | None:
    """Return a number with five digits, which no screen can show more of; None without one."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{float(value):.5g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def short_numbers(values: Iterable[Any]) -> list[float | None]:
    """Return numbers with five digits each; None where there is none."""
    return [short_number(value) for value in values]

"""Lists the values of one axis of the search space."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from gridfold.study.sections.search import Axis


def count_values(axis: Axis) -> int | None:
    """Return the number of values of `axis` without making them; None for a real interval."""
    form, value = axis.form, axis.form_value(axis.form)
    if form == "float":
        return None
    if form in ("grid", "choice"):
        return len(list(value))
    if form == "range":
        return int((_exact(value.stop) - _exact(value.start)) / _exact(value.step)) + 1
    if form == "int":
        return int((value.max - value.min) // value.step) + 1
    return int(value.num)


def discrete_values(axis: Axis) -> list[Any]:
    """Return the values of `axis` in order.

    Decimal steps are computed in decimal, so that ``range: {start: 0, stop: 0.3, step: 0.1}``
    gives 0.3 and not 0.30000000000000004.

    Raises
    ------
    ValueError
        For a real interval, which has no list of values.
    """
    form, value = axis.form, axis.form_value(axis.form)
    if form in ("grid", "choice"):
        return list(value)
    if form == "range":
        start, step = _exact(value.start), _exact(value.step)
        whole = all(isinstance(v, int) for v in (value.start, value.step))
        number = int if whole else float
        return [number(start + i * step) for i in range(count_values(axis) or 0)]
    if form == "linspace":
        if value.num == 1:
            return [value.start]
        start, width = _exact(value.start), _exact(value.stop) - _exact(value.start)
        return [float(start + width * i / (value.num - 1)) for i in range(value.num)]
    if form == "logspace":
        if value.num == 1:
            return [value.start]
        # Rounded to 12 digits: from 1e-4 to 1e-2 the middle is 0.001, not 0.0010000000000000002.
        inner = [
            float(f"{_between(value.start, value.stop, i / (value.num - 1), log=True):.12g}")
            for i in range(1, value.num - 1)
        ]
        return [value.start, *inner, value.stop]
    if form == "int":
        return list(range(value.min, value.max + 1, value.step))
    raise ValueError("a real interval has no list of values")


def sample(axis: Axis, u: float) -> Any:
    """Return the value of `axis` at quantile `u` in [0, 1)."""
    form, interval = axis.form, axis.form_value(axis.form)
    if form == "float":
        return _between(interval.min, interval.max, u, log=interval.log)
    if form == "int":
        steps = int(u * (count_values(axis) or 0))
        if interval.log:
            # Each whole number gets the mass of its unit interval on the logarithmic scale.
            drawn = math.floor(_between(interval.min, interval.max + 1, u, log=True))
            steps = min(drawn - interval.min, interval.max - interval.min) // interval.step
        return interval.min + steps * interval.step
    values = discrete_values(axis)
    return values[int(u * len(values))]


def _between(low: float, high: float, u: float, *, log: bool) -> float:
    # Written as weighted ends, because `high / low` and `high - low` can overflow.
    if log:
        mean = math.exp((1 - u) * math.log(low) + u * math.log(high))
    else:
        mean = (1 - u) * low + u * high
    return min(max(mean, min(low, high)), max(low, high))


def _exact(number: float) -> Decimal:
    return Decimal(repr(number))

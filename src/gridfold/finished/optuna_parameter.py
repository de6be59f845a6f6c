"""Axes and measures as Optuna knows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from optuna import distributions

from gridfold.problems import Measure
from gridfold.tables.axes import is_logarithmic, is_ordered, sorted_values


def optuna_direction(measure: str) -> str:
    """Return ``minimize`` or ``maximize``, whichever makes a measure better."""
    return "minimize" if Measure.of(measure).lower_is_better else "maximize"


@dataclass(frozen=True)
class Parameter:
    """A parameter.

    Attributes
    ----------
    distribution : optuna.distributions.BaseDistribution
        From the smallest to the largest value that was tried, or the values without an order.
    value : callable
        Makes a value of the parameter of a cell of the table.
    """

    distribution: distributions.BaseDistribution
    value: Callable[[Any], Any]

    @classmethod
    def of(
        cls, values: pd.Series, axis: Mapping[str, Any], *, keep_whole: bool = False
    ) -> Parameter:
        """Return the parameter of an axis.

        Parameters
        ----------
        values : Series
            Of the axis, in the configurations.
        axis : mapping
            As in the study.
        keep_whole : bool
            Whether whole numbers stay whole, or are real numbers like others.
        """
        known = sorted_values(values, axis)
        if not is_ordered(values, axis):
            return cls(distributions.CategoricalDistribution([str(v) for v in known]), str)
        numbers = [float(value) for value in known]
        low, high, log = numbers[0], numbers[-1], is_logarithmic(numbers, axis)
        if keep_whole and all(number.is_integer() for number in numbers):
            whole = distributions.IntDistribution(int(low), int(high), log=log)
            return cls(whole, lambda cell: int(cell))
        return cls(distributions.FloatDistribution(low, high, log=log), float)

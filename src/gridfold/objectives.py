"""Names what a study may want of a configuration: measures, and what the configuration costs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from gridfold.problems import Measure

BEST, SMALLEST, KNEE = (
    "best_within_constraints",
    "smallest_within_one_standard_error",
    "knee",
)
RULES = (BEST, SMALLEST, KNEE)
"""How a configuration is selected."""


@dataclass(frozen=True)
class Cost:
    """What a configuration costs; less is better.

    Attributes
    ----------
    meaning : str
        What it is, in one sentence.
    unit : str
    column : str
        In the table of trials.
    is_measured : bool
        Whether each trial must look for it, which is done only where a study asks for it.
    """

    meaning: str
    unit: str
    column: str
    is_measured: bool


COSTS: Mapping[str, Cost] = MappingProxyType(
    {
        "parameters": Cost(
            "All weights of the trained model, those that are not trained included",
            "",
            "total_parameters",
            is_measured=True,
        ),
        "seconds_per_sample": Cost(
            "Time that the trained model takes to predict, by sample",
            "s",
            "seconds_per_sample",
            is_measured=True,
        ),
        "fit_seconds": Cost(
            "Wall time in epochs, validation included", "s", "fit_seconds", is_measured=False
        ),
    }
)
"""All costs by their names."""


def sign_of(name: str) -> int:
    """Return 1 where larger values of a measure or cost are better, else -1."""
    return -1 if name in COSTS else Measure.of(name).sign


def column_of(name: str) -> str:
    """Return the column of a measure or cost in the table of trials."""
    return COSTS[name].column if name in COSTS else name


def dominates(values: Sequence[float], others: Sequence[float]) -> bool:
    """Tell whether values are nowhere worse than others, and somewhere better; larger is better."""
    pairs = list(zip(values, others, strict=True))
    return all(one >= other for one, other in pairs) and any(one > other for one, other in pairs)


def front_numbers(points: Sequence[Sequence[float]]) -> list[int]:
    """Return for each point on which front it lies; larger values are better.

    Parameters
    ----------
    points : sequence of sequences of float
        One value for each objective, none of them NaN.

    Returns
    -------
    list of int
        1 for what nothing dominates, 2 for what nothing dominates but what is on front 1, and so on
        (non-dominated sorting, Deb et al., 2002; by ENS-BS of Zhang et al., 2015).
    """
    # Whatever dominates a point comes before it.
    order = sorted(range(len(points)), key=lambda place: tuple(points[place]), reverse=True)
    fronts: list[list[int]] = []
    found = [0] * len(points)
    for place in order:

        def is_free_of(number: int, own: Sequence[float] = points[place]) -> bool:
            # The last members of a front are the nearest: they dominate first.
            return not any(dominates(points[other], own) for other in reversed(fronts[number]))

        # What a front dominates, all fronts before it dominate, too.
        number = bisect_left(range(len(fronts)), True, key=is_free_of)
        if number == len(fronts):
            fronts.append([])
        fronts[number].append(place)
        found[place] = number + 1
    return found

"""Compute what the trials of a tuner come to: values of its objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from gridfold.objectives import COSTS

if TYPE_CHECKING:
    from gridfold.store.trials import TrialResult
from gridfold.study.objectives import VALIDATION_LOSS


def objective_value(name: str, direction: str, result: TrialResult) -> float:
    """Return what a finished trial comes to; of Keras' names the best epoch's, as in Keras Tuner.

    Parameters
    ----------
    name, direction : str
        Of :func:`known_objectives`.
    result : TrialResult
    """
    if name in COSTS:
        return result.costs[name] if COSTS[name].is_measured else result.fit_seconds
    if not name.startswith("val_"):
        return result.scores[name]
    column = VALIDATION_LOSS if name == VALIDATION_LOSS else "val_metric"
    best = min if direction == "min" else max
    return float(best(row[column] for row in result.history))


def mean_objectives(
    objectives: Mapping[str, str], results: Sequence[TrialResult]
) -> dict[str, float]:
    """Return the mean of each objective over splits and executions."""
    return {
        name: fmean(objective_value(name, direction, result) for result in results)
        for name, direction in objectives.items()
    }

"""What a tuner may look at: measures of the problem, and Keras' own names of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from gridfold.kinds import LOWER_IS_BETTER, PROBLEM_KINDS
from gridfold.study.problem import ProblemSection

if TYPE_CHECKING:
    from gridfold.runstore import TrialResult

_LOSS = "val_loss"


def known_objectives(problem_type: str) -> dict[str, str]:
    """Return every objective of a problem: ``min`` or ``max`` of each name."""
    kind = PROBLEM_KINDS[problem_type]
    directions = {name: _direction(name) for name in kind.measures}
    return {**directions, _LOSS: "min", f"val_{kind.metric}": _direction(kind.metric)}


def chosen_objectives(names: Sequence[str], problem: ProblemSection) -> dict[str, str]:
    """Return the objectives that a study names, or its measure when it names none."""
    known = known_objectives(problem.type)
    return {name: known[name] for name in names or [problem.ranking_measure]}


def _direction(measure: str) -> str:
    return "min" if measure in LOWER_IS_BETTER else "max"


def objective_value(name: str, direction: str, result: TrialResult) -> float:
    """Return what a finished trial comes to; of Keras' names the best epoch's, as in Keras Tuner.

    Parameters
    ----------
    name, direction : str
        Of :func:`known_objectives`.
    result : TrialResult
    """
    if not name.startswith("val_"):
        return result.scores[name]
    column = _LOSS if name == _LOSS else "val_metric"
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

"""Names what a tuner may optimise: measures of the problem, and what Keras calls them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gridfold.problems import LOWER_IS_BETTER, PROBLEM_KINDS
from gridfold.study.sections.problem import ProblemSection

if TYPE_CHECKING:
    pass

VALIDATION_LOSS = "val_loss"


def known_objectives(problem_type: str) -> dict[str, str]:
    """Return every objective of a problem: ``min`` or ``max`` of each name."""
    kind = PROBLEM_KINDS[problem_type]
    directions = {name: _direction(name) for name in kind.measures}
    return {**directions, VALIDATION_LOSS: "min", f"val_{kind.metric}": _direction(kind.metric)}


def chosen_objectives(names: Sequence[str], problem: ProblemSection) -> dict[str, str]:
    """Return the objectives that a study names, or its measure when it names none."""
    known = known_objectives(problem.type)
    return {name: known[name] for name in names or [problem.ranking_measure]}


def _direction(measure: str) -> str:
    return "min" if measure in LOWER_IS_BETTER else "max"

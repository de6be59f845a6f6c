"""Names what a tuner may optimise: measures of the problem, and what Keras calls them."""

from __future__ import annotations

from collections.abc import Sequence

from gridfold.problems import PROBLEM_KINDS, Measure
from gridfold.study.sections.problem import ProblemSection

VALIDATION_LOSS = "val_loss"


def known_objectives(problem_type: str) -> dict[str, str]:
    """Return every objective of a problem: ``min`` or ``max`` of each name."""
    kind = PROBLEM_KINDS[problem_type]
    directions: dict[str, str] = {name: Measure.of(name).direction for name in kind.all_measures}
    followed = Measure.of(kind.metric).direction
    return {**directions, VALIDATION_LOSS: "min", f"val_{kind.metric}": followed}


def chosen_objectives(names: Sequence[str], problem: ProblemSection) -> dict[str, str]:
    """Return the objectives that a study names, or its measure when it names none."""
    known = known_objectives(problem.type)
    return {name: known[name] for name in names or [problem.ranking_measure]}

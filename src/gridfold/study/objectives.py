"""Names what a tuner may optimise: measures of the problem, and what Keras calls them."""

from __future__ import annotations

from collections.abc import Sequence

from gridfold.problems import Measure, is_own_measure
from gridfold.study.sections.problem import ProblemSection

VALIDATION_LOSS = "val_loss"


def known_objectives(problem: ProblemSection) -> dict[str, str]:
    """Return every objective of a problem: ``min`` or ``max`` of each name."""
    kind = problem.kind
    # Names that no measure of one's own may have are refused by the section itself.
    names = (*kind.all_measures, *filter(is_own_measure, problem.own_measures))
    directions: dict[str, str] = {name: Measure.of(name).direction for name in names}
    followed = Measure.of(kind.metric).direction
    return {**directions, VALIDATION_LOSS: "min", f"val_{kind.metric}": followed}


def chosen_objectives(names: Sequence[str], problem: ProblemSection) -> dict[str, str]:
    """Return the objectives that a study names, or its measure when it names none."""
    known = known_objectives(problem)
    return {name: known[name] for name in names or [problem.ranking_measure]}

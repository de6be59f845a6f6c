"""Names what a search may optimise: measures of the problem, costs, and what Keras calls them."""

from __future__ import annotations

from collections.abc import Sequence

from gridfold.objectives import BEST, COSTS, sign_of
from gridfold.problems import Measure, is_own_measure
from gridfold.requests import Constraint, Objectives
from gridfold.study.sections.problem import ProblemSection
from gridfold.study.sections.search import Search

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


def known_wishes(problem: ProblemSection) -> list[str]:
    """Return the names that objectives and constraints of a study may have."""
    return [*problem.kind.all_measures, *filter(is_own_measure, problem.own_measures), *COSTS]


def objectives_of(problem: ProblemSection, search: Search) -> Objectives | None:
    """Return what a study wants besides the best mean of its measure; None where it is only that.

    Parameters
    ----------
    problem : ProblemSection
    search : Search
    """
    if not search.weighs:
        return None
    rule = search.select.rule if search.select else BEST
    names = tuple(search.objectives or [problem.ranking_measure])
    limits = tuple(
        Constraint(name, limit.at_most, limit.at_least)
        for name, limit in search.constraints.items()
    )
    return Objectives(names, limits, rule)


def looked_at_objectives(problem: ProblemSection, search: Search) -> dict[str, str]:
    """Return what a sampler of Optuna is told: ``min`` or ``max`` of each name.

    The objectives first, and then what else is limited.
    """
    wanted = objectives_of(problem, search)
    names = (problem.ranking_measure,) if wanted is None else wanted.looked_at
    return {name: "max" if sign_of(name) > 0 else "min" for name in names}


def named_measures(problem: ProblemSection, search: Search) -> tuple[str, ...]:
    """Return the measures that tables show because a study names them, in whatever section."""
    wanted = objectives_of(problem, search)
    named = [name for name in wanted.looked_at if name not in COSTS] if wanted else []
    names = dict.fromkeys((*problem.further_measures, *named))
    return tuple(name for name in names if name not in problem.kind.measures)


def measured_costs(problem: ProblemSection, search: Search) -> tuple[str, ...]:
    """Return the costs that each trial must look for, since the study asks for them."""
    wanted = objectives_of(problem, search)
    if wanted is None:
        return ()
    return tuple(name for name in wanted.looked_at if name in COSTS and COSTS[name].is_measured)

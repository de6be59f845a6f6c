"""Checks objectives, constraints and rules of the section `search`, and samplers of Optuna."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gridfold.errors import KeyPath, Problem
from gridfold.objectives import COSTS, SMALLEST
from gridfold.problems import RENAMED
from gridfold.study.checks.problem import unknown_measure
from gridfold.study.objectives import known_wishes, measured_costs
from gridfold.study.sections.explain import shown
from gridfold.study.sections.optuna_sampler import OptunaStrategy

_SEARCH: KeyPath = ("search",)
_SAMPLER: KeyPath = ("search", "strategy", "sampler")


def wish_problems(problem: Any, training: Any, search: Any) -> Iterator[Problem]:
    """Yield what is wrong with objectives, constraints and the rule that selects.

    Parameters
    ----------
    problem, training, search
        Valid sections of a study.
    """
    known = known_wishes(problem)
    named: list[tuple[KeyPath, str]] = [
        ((*_SEARCH, "objectives", place), name)
        for place, name in enumerate(search.objectives or [])
    ]
    named += [((*_SEARCH, "constraints", name), name) for name in search.constraints]
    for path, name in named:
        if name not in known:
            yield unknown_measure(path, name, problem.type, known)
    yield from _objective_problems(problem, search)
    rule = search.select.rule if search.select else None
    if rule == SMALLEST and not any(name in COSTS for name in search.objectives or []):
        yield Problem(
            (*_SEARCH, "select", "rule"),
            f"{rule} without a cost among the objectives",
            f"allowed: one of {', '.join(COSTS)} in `search.objectives`, or another rule",
        )
    if search.race is not None and search.weighs:
        yield Problem(
            (*_SEARCH, "race"),
            "a race with several objectives, constraints or a rule that selects: it keeps only "
            "what can be the best of its measure",
            "allowed: one of the two",
        )
    if "seconds_per_sample" in measured_costs(problem, search):
        axes = [name for name in search.space if name.startswith("training.distribution.")]
        if axes or training.distribution.world_size > 1:
            yield Problem(
                (*_SEARCH, "objectives" if search.objectives else "constraints"),
                "seconds_per_sample of models on several devices",
                "allowed: training.distribution.world_size 1, or another cost",
            )


def _objective_problems(problem: Any, search: Any) -> Iterator[Problem]:
    named = search.objectives or []
    path: KeyPath = (*_SEARCH, "objectives")
    for place, name in enumerate(named):
        if name in named[:place]:
            yield Problem((*path, place), f"{shown(name)} a second time", "allowed: each name once")
    if not named:
        return
    first = named[0]
    if first in COSTS:
        yield Problem(
            (*path, 0),
            f"{first}, a cost, as the first objective, which ranks",
            f"allowed: a measure first, as {problem.ranking_measure}",
        )
    elif problem.measure not in (None, first) and first not in RENAMED:
        yield Problem(
            (*path, 0),
            f"{first} with `problem.measure: {problem.measure}`",
            f"allowed: {problem.measure} first, or no `problem.measure`; the first objective ranks",
        )


def sampler_problems(model: Any, search: Any) -> Iterator[Problem]:
    """Yield what a sampler of Optuna can't do with this space, or with several objectives.

    Parameters
    ----------
    model, search
        Valid sections of a study.
    """
    strategy = search.strategy
    if not isinstance(strategy, OptunaStrategy):
        return
    name = strategy.sampler
    if not search.space and len(model.families) == 1:
        yield Problem(
            (*_SEARCH, "space"), "nothing to sample", "allowed: at least one axis, or two models"
        )
    if strategy.n > search.max_configurations:
        yield Problem(
            (*_SEARCH, "strategy", "n"),
            f"{strategy.n:,} configurations",
            f"allowed: at most {search.max_configurations:,} (search.max_configurations)",
        )
    if name == "cmaes":
        yield from _conditional(name, model, search)
        yield from _not_for_cmaes(search)


def _conditional(name: str, model: Any, search: Any) -> Iterator[Problem]:
    """Refuse axes that only some configurations have: the sampler would draw them at random."""
    reason = f"with `sampler: {name}`, which models only axes that every configuration has"
    allowed = "allowed: tpe, nsga2, nsga3, qmc or random, or no such axis"
    for axis, form in search.space.items():
        if form.when is not None:
            yield Problem((*_SEARCH, "space", axis, "when"), f"a condition {reason}", allowed)
    if len(model.families) > 1:
        families = " and ".join(model.families)
        yield Problem(_SAMPLER, f"the models {families} {reason}", allowed)


def _not_for_cmaes(search: Any) -> Iterator[Problem]:
    """Refuse what CMA-ES has no distance for, and what it can't weigh."""
    for axis, form in search.space.items():
        values = form.grid or form.choice or []
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        if len(values) > 1 and (form.choice is not None or not numbers):
            yield Problem(
                (*_SEARCH, "space", axis, form.form),
                "values without an order with `sampler: cmaes`, which needs distances",
                "allowed: numbers in order, or another sampler",
            )
    if search.zip:
        yield Problem(
            (*_SEARCH, "zip"),
            "axes that move together with `sampler: cmaes`, which needs distances",
            "allowed: none, or another sampler",
        )
    if len(search.space) < 2:
        yield Problem(
            _SAMPLER, "cmaes with one axis", "allowed: at least two axes, or another sampler"
        )
    if len(search.objectives or []) > 1:
        yield Problem(
            _SAMPLER,
            f"cmaes with {len(search.objectives)} objectives",
            "allowed: nsga2, nsga3, tpe, qmc or random",
        )

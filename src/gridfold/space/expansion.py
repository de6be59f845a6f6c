"""Expands a valid search space into configurations and names what is wrong with single ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from gridfold.errors import KeyPath, Problem
from gridfold.space.hyperband import drawn, schedule
from gridfold.space.sampling import Sampled
from gridfold.space.space import (
    Assignment,
    BadCombination,
    Configuration,
    Expansion,
    Space,
    shown_value,
)
from gridfold.space.starting_points import start_points
from gridfold.study.sections.optuna_sampler import TunerStrategy
from gridfold.study.sections.search import (
    GridStrategy,
    HyperbandStrategy,
    RandomStrategy,
    SobolStrategy,
)

_KINDS_SHOWN = 5
# A grid of which nearly everything is excluded must end, too: some seconds' worth.
_MOST_COMBINATIONS = 200_000
# Configurations that stand for those that a tuner will choose.
_SAMPLED = 30


@dataclass
class _Harvest:
    """What a sequence of assignments has led to."""

    found: dict[str, Configuration] = field(default_factory=dict)
    duplicates: list[Assignment] = field(default_factory=list)
    bad: dict[Problem, list[Assignment]] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    tried: int = 0

    def problems(self) -> list[Problem]:
        """Return one problem for each way in which combinations are bad, with an example."""
        problems = []
        for problem, where in self.bad.items():
            example = ", ".join(f"{key}={shown_value(value)}" for key, value in where[0].items())
            more = f", and {len(where) - 1} more" if len(where) > 1 else ""
            found = f"{problem.found} (in {example}{more})"
            problems.append(Problem(problem.path, found, problem.allowed))
        return problems


_NOTHING_LEFT = Problem(
    ("search", "exclude"), "nothing is left", "allowed: at least one configuration"
)


def expand(space: Space) -> tuple[Expansion, list[Problem]]:
    """Return the configurations, and what is wrong with single combinations.

    For a space without problems only.
    """
    strategy = space.search.strategy
    if isinstance(strategy, GridStrategy):
        return _expand_grid(space)
    if isinstance(strategy, TunerStrategy):
        return _sample(space)
    if isinstance(strategy, HyperbandStrategy):
        rungs = schedule(space.training.epochs, strategy.factor, strategy.brackets)
        kind = {"random": RandomStrategy, "sobol": SobolStrategy}[strategy.sampler]
        sample = kind(type=strategy.sampler, n=drawn(rungs), seed=strategy.seed)
        remedy = "a larger space, fewer `training.epochs`, or a smaller `factor` or `brackets`"
        return _expand_sampled(space, sample, ("search", "strategy"), remedy)
    return _expand_sampled(space, strategy, ("search", "strategy", "n"), "a larger space")


def _expand_grid(space: Space) -> tuple[Expansion, list[Problem]]:
    limit = space.search.max_configurations
    most = max(_MOST_COMBINATIONS, 2 * limit)
    harvest = _harvest(space, itertools.islice(space.product(), most + 1), limit + 1)
    remedy = "shorten axes, or sample with `strategy: {type: random, n: ...}`"
    if len(harvest.found) > limit:
        problem = Problem(
            ("search", "space"),
            f"up to {space.upper_bound():,} configurations",
            f"allowed: at most {limit:,} (search.max_configurations); {remedy}",
        )
        return Expansion([]), [problem]
    problems = harvest.problems()
    if harvest.tried > most:
        problems.append(
            Problem(
                ("search", "space"),
                f"up to {space.upper_bound():,} combinations, nearly all excluded or alike",
                f"allowed: at most {most:,} combinations; {remedy}",
            )
        )
    if not problems and not harvest.found:
        problems.append(_NOTHING_LEFT)
    if not problems:
        problems += [
            Problem(
                ("search", "space", name),
                "never active: no configuration meets its conditions",
                "allowed: conditions and exclusions that leave each axis somewhere",
            )
            for name in space.search.space
            if name not in harvest.active
        ]
    return Expansion(list(harvest.found.values()), harvest.duplicates), problems


def _expand_sampled(
    space: Space, strategy: Sampled, path: KeyPath, remedy: str
) -> tuple[Expansion, list[Problem]]:
    limit = space.search.max_configurations
    if strategy.n > limit:
        allowed = f"allowed: at most {limit:,} (search.max_configurations)"
        return Expansion([]), [Problem(path, f"{strategy.n:,} configurations", allowed)]
    bound = space.upper_bound()
    if bound is not None and bound <= limit:
        # Small enough to know all of it: what is wrong does not depend on the draw, and a
        # space that is too small need not be searched for what it does not hold.
        everything = _harvest(space, space.product(), limit)
        problems = everything.problems()
        if not problems and not everything.found:
            problems.append(_NOTHING_LEFT)
        if problems:
            return Expansion([]), problems
        if len(everything.found) < strategy.n:
            return Expansion([]), [_too_many(strategy.n, len(everything.found), path, remedy)]
    candidates = itertools.chain(start_points(space), space.draws(strategy))
    harvest = _harvest(space, candidates, strategy.n)
    problems = harvest.problems()
    if not problems and not harvest.found:
        problems.append(_NOTHING_LEFT)
    if not problems and len(harvest.found) < strategy.n:
        problems.append(_too_many(strategy.n, len(harvest.found), path, remedy))
    # Repeated draws are how sampling without replacement works, not a mistake.
    return Expansion(list(harvest.found.values())), problems


def _sample(space: Space) -> tuple[Expansion, list[Problem]]:
    """Return some configurations, for what must be known before a tuner has chosen its own.

    What is wrong with the space is found in all of it when it is small, else in what is drawn.
    """
    bound = space.upper_bound()
    if bound is not None and bound <= space.search.max_configurations:
        harvest = _harvest(space, space.product(), bound + 1)
        problems = harvest.problems()
        if not problems and not harvest.found:
            problems.append(_NOTHING_LEFT)
        if problems:
            return Expansion([]), problems
    drawn = RandomStrategy(type="random", n=_SAMPLED)
    harvest = _harvest(space, space.draws(drawn), _SAMPLED)
    problems = harvest.problems()
    if not problems and not harvest.found:
        problems.append(_NOTHING_LEFT)
    return Expansion(list(harvest.found.values())), problems


def _harvest(space: Space, assignments: Iterable[Assignment], wanted: int) -> _Harvest:
    """Make configurations of `assignments` until there are `wanted` different ones."""
    harvest = _Harvest()
    for assignment in assignments:
        harvest.tried += 1
        if space.is_excluded(assignment):
            continue
        harvest.active.update(assignment)
        try:
            configuration = space.configuration(assignment)
        except BadCombination as error:
            for problem in error.problems:
                harvest.bad.setdefault(problem, []).append(assignment)
            most_bad = max(map(len, harvest.bad.values()))
            if len(harvest.bad) > _KINDS_SHOWN or most_bad > space.search.max_configurations:
                break
            continue
        if configuration.id in harvest.found:
            harvest.duplicates.append(assignment)
            continue
        harvest.found[configuration.id] = configuration
        if len(harvest.found) >= wanted:
            break
    return harvest


def _too_many(wanted: int, available: int, path: KeyPath, remedy: str) -> Problem:
    return Problem(
        path,
        f"{wanted:,} configurations from a space of {available:,}",
        f"allowed: at most {available:,}, or {remedy}",
    )

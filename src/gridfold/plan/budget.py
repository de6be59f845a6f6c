"""What of a search its budget allows: before it runs, and while it does.

The end of a search comes first: without it, what was explored is worth nothing. So exploring leaves
enough for two finalists of the confirmation, for two configurations in each round of a race, and in
each refinement for the best ones and one neighbour of each. What is left explores; what is left
then confirms the other finalists, and only then refines further. In Hyperband, a bracket that has
begun can go on to its last rung before another one begins.

All amounts are in the unit of the budget: core-hours, GPU-hours, or, until a time, seconds of one
worker.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Protocol

from gridfold import typed_json
from gridfold.paths import StudyPaths
from gridfold.plan.cost import CostModel
from gridfold.plan.measured import Correction, measured_correction
from gridfold.plan.plan import Plan
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stage_names import CONFIRM, EXPLORE, is_race_round
from gridfold.plan.stages import Stage
from gridfold.space.space import Configuration
from gridfold.store.spending import Clock, Spending, SpentFolder
from gridfold.study.sections.budget import Budget, local_time
from gridfold.typed_json import DamagedRecord

# Finalists without whom a confirmation, or the last round of a race, compares nothing.
_FINALISTS = 2
# Of the whole budget, what is kept for the end of a search at most, however slow it looks.
_MOST_KEPT = 0.8
# Configurations that stand for all where there are more.
_MOST_KNOWN = 1000
_HOUR = 3600.0
_RUNG = re.compile(r"b([0-9]+)r([0-9]+)")


class Spent(Protocol):
    """What was spent."""

    @property
    def core_hours(self) -> float:
        """Of the training jobs."""

    @property
    def gpu_hours(self) -> float:
        """Of the training jobs."""


@dataclass(frozen=True)
class Limit:
    """What a search may take; one of the three.

    Attributes
    ----------
    core_hours, gpu_hours : float or None
    until : float or None
        Unix time.
    """

    core_hours: float | None = None
    gpu_hours: float | None = None
    until: float | None = None

    @classmethod
    def of(cls, budget: Budget) -> Limit:
        """Return the limit that a study asks for."""
        until = None if budget.until is None else local_time(budget.until)
        return cls(budget.core_hours, budget.gpu_hours, until)

    def __str__(self) -> str:
        if self.core_hours is not None:
            return f"{self.core_hours:g} core-hours"
        if self.gpu_hours is not None:
            return f"{self.gpu_hours:g} GPU-hours"
        assert self.until is not None
        return f"until {datetime.fromtimestamp(self.until):%Y-%m-%d %H:%M}"

    def is_above(self, other: Limit) -> bool:
        """Tell whether this one allows more than `other`, or is of another kind."""
        pairs = (
            (self.core_hours, other.core_hours),
            (self.gpu_hours, other.gpu_hours),
            (self.until, other.until),
        )
        for mine, others in pairs:
            if mine is not None:
                return others is None or mine > others
        return False

    def left(self, spending: Spending, seconds: float = 0.0) -> float:
        """Return what will be left in so many seconds if the jobs that run go on.

        Until a time, that is in seconds of one worker; at least one worker is there.
        """
        if self.core_hours is not None:
            return self.core_hours - spending.core_hours - spending.cores * seconds / _HOUR
        if self.gpu_hours is not None:
            return self.gpu_hours - spending.gpu_hours - spending.gpus * seconds / _HOUR
        assert self.until is not None
        return (self.until - spending.now - seconds) * max(1, spending.workers)

    def whole(self, began: float) -> float:
        """Return the whole budget, of a search that began then (Unix time), with one worker."""
        amount = self.core_hours or self.gpu_hours
        return amount if amount is not None else max(0.0, (self.until or 0.0) - began)

    def spent(self, spending: Spent) -> str:
        """Return what was spent, in words."""
        if self.gpu_hours is not None:
            return f"{amount_text(spending.gpu_hours)} GPU-hours"
        return f"{amount_text(spending.core_hours)} core-hours"


def amount_text(hours: float) -> str:
    """Return hours with three significant digits, never fewer than those before the point."""
    if hours >= 100:
        return f"{hours:,.0f}"
    return f"{hours:.3g}"


@dataclass(frozen=True)
class StageOrder:
    """A stage, as far as the budget is concerned.

    Attributes
    ----------
    name : str
    splits : tuple of str
    most : int
        Configurations at most.
    seconds : float
        Of one of them on one worker, all its splits, by the rough model.
    sources : tuple of str
        Stages whose scores decide which configurations these are.
    least : int
        Configurations that earlier stages leave room for.
    """

    name: str
    splits: tuple[str, ...]
    most: int
    seconds: float
    sources: tuple[str, ...] = ()
    least: int = 0

    @property
    def bracket(self) -> tuple[int, int] | None:
        """Bracket and rung of a stage of Hyperband; None of others."""
        found = _RUNG.fullmatch(self.name)
        return (int(found[1]), int(found[2])) if found else None

    @property
    def explores(self) -> bool:
        """Whether it is a stage of the strategy itself."""
        return self.name == EXPLORE or self.bracket is not None


@dataclass(frozen=True)
class BudgetOrder:
    """How the budget of a search is kept to: what a run leaves for its jobs.

    Attributes
    ----------
    limit : Limit
    began : float
        When the run began, in Unix time.
    cost : CostModel
    correction : float
        How many seconds a second of the rough model takes, before this search has measured it.
    stages : tuple of StageOrder
        In their order.
    price : float
        What a second of one worker costs, where no job says what it holds.
    """

    limit: Limit
    began: float
    cost: CostModel
    correction: float
    stages: tuple[StageOrder, ...]
    price: float

    @classmethod
    def of(cls, plan: Plan, now: float, correction: Correction | None = None) -> BudgetOrder:
        """Return the order of a plan whose study has a budget.

        Parameters
        ----------
        plan : Plan
        now : float
            Unix time.
        correction : Correction, optional
            Of the estimates; looked for where left out.
        """
        budget = plan.study.search.budget
        assert budget is not None, "asked for studies with a budget only"
        found = measured_correction(plan) if correction is None else correction
        limit, cost = Limit.of(budget), CostModel.of(plan.study)
        each = plan.study.execution.threads_per_worker if limit.core_hours is not None else 1
        price = 1.0 if limit.until is not None else each * _replicas(plan, limit) / _HOUR
        stages = tuple(_order(plan, stage, cost) for stage in plan.stages)
        return cls(limit, now, cost, found.factor, stages, price)

    @classmethod
    def read(cls, file: Path) -> BudgetOrder | None:
        """Read what the run has left for its jobs; None where the search has no budget.

        Raises
        ------
        DamagedRecord
        """
        try:
            return typed_json.read(cls, file)
        except FileNotFoundError:
            return None

    @cached_property
    def by_name(self) -> dict[str, StageOrder]:
        """The stages by name."""
        return {stage.name: stage for stage in self.stages}

    def cost_of(self, stage: StageOrder, spending: Spending, price: float | None = None) -> float:
        """Return what one configuration of a stage costs, by what is known now."""
        return stage.seconds * self.factor(spending) * (self.price if price is None else price)

    def factor(self, spending: Spending) -> float:
        """Return how many seconds a second of the rough model takes, by what is known now."""
        return self.correction if spending.correction is None else spending.correction

    def kept(
        self,
        name: str,
        begun: Mapping[str, int],
        decided: Mapping[str, int],
        spending: Spending,
        price: float | None = None,
        *,
        is_hard: bool = False,
    ) -> float:
        """Return what must be left for other stages while one of stage `name` is trained.

        Parameters
        ----------
        name : str
            Of a stage.
        begun : mapping of str to int
            By stage: how many configurations were begun.
        decided : mapping of str to int
            By stage: how many configurations it has, where that is known.
        spending : Spending
        price : float, optional
            Of a second of one worker.
        is_hard : bool
            Whether only the least counts: what a training that is under way must not touch.
        """
        stage = self.by_name[name]
        kept = 0.0
        for other in self._later(stage, begun, decided):
            wanted = other.least
            if not is_hard and other.name == CONFIRM and begun.get(name, 0) >= stage.least > 0:
                # Beyond its least, a refinement comes after all finalists.
                wanted = other.most
            if other.bracket is not None:
                wanted = self._promoted(other, name, begun)
            wanted = min(wanted, decided.get(other.name, wanted))
            missing = max(0, wanted - begun.get(other.name, 0))
            kept += missing * self._held(other, spending, price)
        # Where not even the least of all stages fits, none of them goes without.
        missing = max(0, max(1, stage.least) - begun.get(name, 0))
        own, left = missing * self._held(stage, spending, price), self.limit.left(spending)
        if kept + own > left > 0:
            kept = left * kept / (kept + own)
        return min(kept, _MOST_KEPT * self._whole(spending))

    def _held(self, stage: StageOrder, spending: Spending, price: float | None) -> float:
        """Return what a job holds for the last configuration of a stage: some workers are idle."""
        rounds = math.ceil(len(stage.splits) / spending.at_once)
        idle = rounds * spending.at_once / len(stage.splits)
        return idle * self.cost_of(stage, spending, price)

    def _whole(self, spending: Spending) -> float:
        workers = max(1, spending.workers) if self.limit.until is not None else 1
        return self.limit.whole(self.began) * workers

    def _later(
        self, stage: StageOrder, begun: Mapping[str, int], decided: Mapping[str, int]
    ) -> list[StageOrder]:
        """Return the stages that the search needs to end after `stage`, and that are not over."""
        over = {
            source for other in self.stages if other.name in decided for source in other.sources
        }
        later = []
        for other in self.stages:
            if other.name == stage.name or other.name in over:
                continue
            if not other.explores:
                if self.stages.index(other) > self.stages.index(stage):
                    later.append(other)
            elif other.bracket is not None and stage.bracket is not None:
                bracket, rung = other.bracket
                is_own = bracket == stage.bracket[0] and rung > stage.bracket[1]
                is_begun = bracket != stage.bracket[0] and rung > 0 and begun.get(f"b{bracket}r0")
                if is_own or is_begun:
                    later.append(other)
        return later

    def _over(self, decided: Mapping[str, int]) -> set[str]:
        """Return the stages from which others have already been chosen."""
        chosen = (stage for stage in self.stages if stage.name in decided)
        return {source for stage in chosen for source in stage.sources}

    def _promoted(self, rung: StageOrder, asking: str, begun: Mapping[str, int]) -> int:
        """Return how many configurations a rung can get from those that its bracket has begun."""
        assert rung.bracket is not None
        bracket, number = rung.bracket
        first = f"b{bracket}r0"
        # The one that is asked for counts with them.
        count = begun.get(first, 0) + (asking == first)
        for step in range(1, number + 1):
            before, own = self.by_name[f"b{bracket}r{step - 1}"], self.by_name[f"b{bracket}r{step}"]
            share = own.most / before.most
            count = min(own.most, math.ceil(count * share)) if count else 0
        return count

    def fitting(
        self, begun: Mapping[str, int], decided: Mapping[str, int], spending: Spending
    ) -> dict[str, int]:
        """Return how many further configurations of each stage fit, exploring first.

        Parameters
        ----------
        begun, decided : mapping of str to int
            As of :meth:`kept`.
        spending : Spending
        """
        left, counts = self.limit.left(spending), dict(begun)
        left -= sum(spending.open.values()) * self.factor(spending) * self.price
        found = dict.fromkeys(self.by_name, 0)
        over = {
            source for other in self.stages if other.name in decided for source in other.sources
        }
        for stage in self.stages:
            most = self._at_most(stage, counts, decided)
            each = self.cost_of(stage, spending)
            while stage.name not in over and counts.get(stage.name, 0) < most:
                if left - each < self.kept(stage.name, counts, decided, spending):
                    break
                left -= each
                counts[stage.name] = counts.get(stage.name, 0) + 1
                found[stage.name] += 1
        return found

    def _at_most(
        self, stage: StageOrder, begun: Mapping[str, int], decided: Mapping[str, int]
    ) -> int:
        """Return how many configurations a stage can have at most."""
        if stage.name in decided:
            return decided[stage.name]
        if stage.bracket is not None and stage.bracket[1]:
            return self._promoted(stage, "", begun)
        candidates = sum(begun.get(source, 0) for source in stage.sources)
        if stage.name == CONFIRM or is_race_round(stage.name):
            return min(stage.most, candidates)
        return stage.most if candidates or not stage.sources else 0


class BudgetView:
    """Reads how much of the budget of a search is left.

    Parameters
    ----------
    order : BudgetOrder
    paths : StudyPaths
    clock : callable, optional
        Returns Unix time.
    """

    def __init__(self, order: BudgetOrder, paths: StudyPaths, clock: Clock = time.time) -> None:
        self.order, self.paths, self.clock = order, paths, clock
        self._spent = SpentFolder(paths.spent)
        self._decided: dict[str, int] = {}

    @classmethod
    def of(cls, paths: StudyPaths, clock: Clock = time.time) -> BudgetView | None:
        """Return the view of a study; None where its search has no budget."""
        order = BudgetOrder.read(paths.budget_order)
        return None if order is None else cls(order, paths, clock)

    def look(self) -> Spending:
        """Return what was spent, and promised since this run began."""
        return Spending.of(self._spent.meters(), self.clock(), self.order.began)

    def decided(self) -> Mapping[str, int]:
        """Return how many configurations each stage has of which that is known."""
        for stage in self.order.stages:
            if stage.name not in self._decided:
                try:
                    file = StageFile.read(self.paths.stage(stage.name))
                except (FileNotFoundError, DamagedRecord):
                    continue
                self._decided[stage.name] = len(file.configurations)
        return self._decided

    def kept(
        self, stage: str, spending: Spending, price: float | None = None, *, is_hard: bool = False
    ) -> float:
        """Return what must be left for other stages while one of `stage` is trained."""
        begun = begun_by_stage(spending)
        return self.order.kept(stage, begun, self.decided(), spending, price, is_hard=is_hard)


def begun_by_stage(spending: Spending) -> Mapping[str, int]:
    """Return how many configurations of each stage were begun."""
    return Counter(key.partition("/")[0] for key in spending.begun)


def _replicas(plan: Plan, limit: Limit) -> float:
    """Return the processes or GPUs of a trial, by their mean."""
    sizes = []
    for configuration in plan.configurations:
        parallel = configuration.settings["training"].get("distribution")
        sizes.append(parallel["world_size"] if parallel else 1)
    return fmean(sizes) if limit.until is None else 1.0


def _order(plan: Plan, stage: Stage, cost: CostModel) -> StageOrder:
    known = _known(plan)
    # Not the epochs of each in its first stage, which may be fewer than those of this one.
    each = len(stage.splits) * fmean(
        cost.seconds(
            c.settings,
            (stage.epochs or plan.all_epochs(c)) - stage.epochs_before,
            stage.splits[0],
        )
        for c in known
    )
    least, refine = 0, plan.study.search.refine
    if stage.name == CONFIRM or is_race_round(stage.name):
        least = min(_FINALISTS, stage.max_configurations)
    elif stage.name.startswith("refine") and refine is not None:
        least = min(2 * refine.top, stage.max_configurations)
    return StageOrder(
        stage.name, stage.splits, stage.max_configurations, each, stage.sources, least
    )


def _known(plan: Plan) -> Sequence[Configuration]:
    """Return some of the drawn configurations, which stand for all: there may be very many."""
    every = max(1, len(plan.configurations) // _MOST_KNOWN)
    return plan.configurations[::every]


def write_order(plan: Plan, now: float) -> None:
    """Leave for the jobs of a run how its budget is kept to; nothing where it has none."""
    file = plan.paths.budget_order
    if plan.study.search.budget is None:
        file.unlink(missing_ok=True)
    else:
        typed_json.write(file, BudgetOrder.of(plan, now))

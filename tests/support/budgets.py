"""Searches with a budget on a clock that is simulated: jobs, workers, epochs, and kills.

What decides is the real thing: gates, meters and their files, checkpoints by their names. Only the
training is missing, so that an hour of eight workers takes a second.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridfold import typed_json
from gridfold.jobs.budget import BudgetedTrials, BudgetGate
from gridfold.jobs.pool import Event, Work
from gridfold.paths import StudyPaths, result_file
from gridfold.plan.budget import BudgetOrder, BudgetView, Limit, StageOrder
from gridfold.plan.cost import CostModel
from gridfold.plan.stage_file import StageFile
from gridfold.requests import ChosenConfiguration
from gridfold.store.job_records import JobResources
from gridfold.store.trials import TrialStore, TrialTask

SETTINGS: dict[str, Any] = {
    "model": {"family": "mlp", "units": [64], "layers": 1},
    "training": {"batch_size": 32},
    "problem": {"type": "multiclass"},
}
COST = CostModel(1_000_000.0, 1_000_000.0, (100,))
INTERVAL = 10.0
_HOUR = 3600.0


@dataclass
class Clock:
    """Time that passes when a test says so."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class SimulatedStage:
    """A stage: its configurations, splits, epochs, and how slow it really is."""

    name: str
    configurations: list[str]
    splits: tuple[str, ...]
    epochs: int
    sources: tuple[str, ...] = ()
    least: int = 0
    most: int = 0

    @property
    def order(self) -> StageOrder:
        seconds = sum(COST.seconds(SETTINGS, self.epochs, split) for split in self.splits)
        most = self.most or len(self.configurations)
        return StageOrder(self.name, self.splits, most, seconds, self.sources, self.least)


@dataclass
class Search:
    """A search whose trainings take `slowness` times as long as the rough model says.

    Attributes
    ----------
    held : float
        Core-seconds that jobs have really held.
    trained : Counter
        How many times each epoch of each trial was brought to its end.
    """

    root: Path
    limit: Limit
    stages: list[SimulatedStage]
    slowness: float = 1.0
    jobs: int = 2
    workers: int = 4
    seed: int = 0
    clock: Clock = field(default_factory=Clock)
    held: float = 0.0
    kills: int = 0
    trained: Counter[tuple[str, str, int]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.paths = StudyPaths(self.root)
        self.random = random.Random(self.seed)

    def write_order(self) -> None:
        """Leave for the jobs what a run leaves for them."""
        price = 1.0 if self.limit.until is not None else 1 / _HOUR
        orders = tuple(stage.order for stage in self.stages)
        order = BudgetOrder(self.limit, self.clock.now, COST, 1.0, orders, price)
        typed_json.write(self.paths.budget_order, order)

    def decide(self, stage: SimulatedStage) -> None:
        """Write which configurations a stage has."""
        chosen = tuple(
            ChosenConfiguration(c, c, {}, SETTINGS, stage.epochs) for c in stage.configurations
        )
        StageFile(stage.name, stage.splits, chosen).write(self.paths.stage(stage.name))

    def work(self, stage: SimulatedStage, config: str, split: str) -> Work:
        folder = self.paths.trial(config, split)
        folder.mkdir(parents=True, exist_ok=True)
        task = TrialTask(config, split, stage.epochs, SETTINGS, Path(), Path(), folder)
        return Work(task, TrialStore(folder, self.paths.set_aside, {}))

    def is_trained(self, stage: SimulatedStage, config: str, split: str) -> bool:
        return result_file(self.paths.trial(config, split), stage.epochs).exists()

    def complete(self, stage: SimulatedStage) -> list[str]:
        """Return the configurations of a stage with all splits."""
        return [
            c
            for c in stage.configurations
            if all(self.is_trained(stage, c, s) for s in stage.splits)
        ]

    def incomplete(self, stage: SimulatedStage) -> list[str]:
        """Return the configurations of which something was trained, and not all splits."""
        whole = set(self.complete(stage))
        return [
            c
            for c in stage.configurations
            if c not in whole and any(list(self.paths.trial(c, s).glob("*")) for s in stage.splits)
        ]

    def run(self, stage: SimulatedStage, kill_after: Iterable[float] = ()) -> None:
        """Train a stage in jobs side by side, each with its part; kill one every so often.

        Parameters
        ----------
        stage : SimulatedStage
        kill_after : iterable of float
            Seconds from one kill to the next, until there are no more.
        """
        kills = iter(kill_after)
        parts = [stage.configurations[number :: self.jobs] for number in range(self.jobs)]
        running = [_Job(self, stage, number, part) for number, part in enumerate(parts)]
        next_kill = self.clock.now + next(kills, float("inf"))
        while running:
            now = min([next_kill, *(job.next_event for job in running)])
            self.clock.now = max(self.clock.now, now)
            if now == next_kill:
                victim = running.pop(self.random.randrange(len(running)))
                victim.kill()
                self.kills += 1
                running.append(_Job(self, stage, victim.number, victim.part))
                next_kill = self.clock.now + next(kills, float("inf"))
                continue
            job = min(running, key=lambda job: job.next_event)
            if not job.step():
                running.remove(job)

    @property
    def counted(self) -> float:
        """Core-hours by the meters."""
        view = BudgetView.of(self.paths, self.clock)
        assert view is not None
        return view.look().core_hours


@dataclass
class _Training:
    work: Work
    epoch: int
    seconds: float
    ends: float


class _Job:
    """One run of a job, without processes."""

    def __init__(self, search: Search, stage: SimulatedStage, number: int, part: list[str]) -> None:
        self._search, self._stage = search, stage
        self.number, self.part = number, part
        view = BudgetView.of(search.paths, search.clock)
        assert view is not None
        resources = JobResources(search.workers, 0, search.workers)
        self._gate = BudgetGate(view, f"{stage.name}-{number}", resources, INTERVAL)
        self._gate.beat()
        self._began = search.clock.now
        self._beat = search.clock.now + INTERVAL
        self._idle: float | None = None
        works = [
            search.work(stage, config, split)
            for config in part
            for split in stage.splits
            if not search.is_trained(stage, config, split)
        ]
        self._trials = BudgetedTrials(works, self._gate, stage.name)
        self._running: list[_Training] = []
        self._is_over = self._trials.is_over()
        if not self._is_over:
            self._fill()

    @property
    def next_event(self) -> float:
        times = [training.ends for training in self._running]
        if self._is_over:
            times.append(self._search.clock.now)
        elif not self._running or self._idle is not None:
            times.append(self._idle or self._search.clock.now)
        return min([self._beat, *times])

    def step(self) -> bool:
        """Do what is to be done now; tell whether the job goes on."""
        now = self._search.clock.now
        if now >= self._beat:
            self._gate.beat()
            self._beat = now + INTERVAL
        for training in [t for t in self._running if t.ends <= now]:
            self._end_epoch(training)
        if len(self._running) < self._search.workers:
            self._fill()
        if not self._running and self._trials.is_over():
            self._gate.meter.ended = True
            self._gate.beat()
            self._search.held += self._search.workers * (now - self._began)
            return False
        return True

    def kill(self) -> None:
        now = self._search.clock.now
        self._search.held += self._search.workers * (now - self._began)

    def _fill(self) -> None:
        now = self._search.clock.now
        while len(self._running) < self._search.workers:
            work = self._trials.take()
            if work is None:
                # It looks again when something ends, or after a while.
                self._idle = now + 10.0
                return
            self._gate.hear(Event("started", work), self._stage.name)
            task = work.task
            found = [int(f.stem.split("-")[1]) for f in task.folder.glob("checkpoint-*.npz")]
            jitter = self._search.random.uniform(0.9, 1.1)
            one = COST.seconds(task.settings, 2) - COST.seconds(task.settings, 1)
            seconds = one * self._search.slowness * jitter
            start = now + 1.5 * self._search.slowness + seconds
            self._running.append(_Training(work, max(found, default=0), seconds, start))
        self._idle = None

    def _end_epoch(self, training: _Training) -> None:
        work, task = training.work, training.work.task
        training.epoch += 1
        self._search.trained[task.config_id, task.split, training.epoch] += 1
        (task.folder / f"checkpoint-{training.epoch:05d}.npz").touch()
        row = {"epoch": float(training.epoch), "seconds": training.seconds}
        self._gate.hear(Event("epoch", work, row=row), self._stage.name)
        if training.epoch == task.epochs:
            result_file(task.folder, task.epochs).write_text(json.dumps({}))
            kind = "finished"
        elif work.limit is not None and work.limit.is_reached(work, row):
            kind = "left_out"
        else:
            training.ends = self._search.clock.now + training.seconds
            return
        self._running.remove(training)
        self._gate.hear(Event(kind, work, row={"epoch": training.epoch}), self._stage.name)

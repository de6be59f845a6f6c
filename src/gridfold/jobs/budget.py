"""Jobs keep to the budget of a search: they ask before each trial, and look after each epoch.

A configuration is begun only when all its splits still fit, beside what other jobs have begun and
what the end of the search needs (:mod:`gridfold.plan.budget`). A training that is under way ends
at the last epoch that fits, and leaves its checkpoint. Both go by the meters of all jobs of the
study (:mod:`gridfold.store.spending`), not by a server.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gridfold.errors import GridfoldError
from gridfold.jobs.pool import Event, Work
from gridfold.paths import StudyPaths, result_file
from gridfold.plan.budget import BudgetView, Limit
from gridfold.plan.shards import TrialKey
from gridfold.store.job_records import JobResources
from gridfold.store.locks import holding
from gridfold.store.spending import (
    INTERVAL_SECONDS,
    Clock,
    Meter,
    MeterFile,
    Spending,
)
from gridfold.store.trials import LEFT_OUT, TrialResult

_HOUR = 3600.0
# Between two looks at what can't begin at the moment, and at what the jobs have taken while a
# training runs.
_PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = INTERVAL_SECONDS / 2
# From the begin of a job to its first trial, in which TensorFlow is imported.
_START_SECONDS = 10.0
# While a job waits for another one that is at its turn.
_TURN_SECONDS = 0.2


def not_trained(epochs: int, limit: Limit, trained: int = 0) -> TrialResult:
    """Return the result of a trial that the budget has left out.

    Parameters
    ----------
    epochs : int
        Asked for.
    limit : Limit
    trained : int
        Epochs that it has been trained, and that are kept.
    """
    kept = f" after {trained} of {epochs} epochs, which are kept" if trained else ""
    reason = f"not trained{' to its end' * bool(trained)}: the budget ({limit}) was spent{kept}"
    return TrialResult(LEFT_OUT, epochs, kind="budget", reason=reason, epochs_trained=trained)


class EpochLimit:
    """Tells a training after each epoch whether the next one still fits.

    Travels with the training to the process that trains it.

    Parameters
    ----------
    paths : StudyPaths
    stage : str
    clock : callable, optional
    """

    def __init__(self, paths: StudyPaths, stage: str, clock: Clock = time.time) -> None:
        self._paths, self.stage, self._clock = paths, stage, clock
        self._view: BudgetView | None = None
        self._seen: Spending | None = None

    def gate(self, job: str) -> BudgetGate | None:
        """Return a gate for a process of a job whose meter another process keeps."""
        view = BudgetView.of(self._paths, self._clock)
        return None if view is None else BudgetGate(view, job, JobResources(cores=0))

    def absolute(self) -> EpochLimit:
        """Return the same, which stays where it is when the working folder changes."""
        return EpochLimit(StudyPaths(self._paths.root.absolute()), self.stage, self._clock)

    def is_reached(self, work: Work, row: Mapping[str, float]) -> bool:
        """Tell whether a training must end after an epoch.

        Parameters
        ----------
        work : Work
        row : mapping
            Of the history, of the epoch that has just ended.
        """
        if int(row["epoch"]) >= work.task.epochs:
            return False
        self._view = self._view or BudgetView.of(self._paths, self._clock)
        if self._view is None:
            return False
        now = self._clock()
        if self._seen is None or now - self._seen.now > _LOOK_SECONDS:
            self._seen = self._view.look()
        ahead = now - self._seen.now + float(row["seconds"])
        left = self._view.order.limit.left(self._seen, ahead)
        return left < self._view.kept(self.stage, self._seen, is_hard=True)


@dataclass
class _Running:
    """A trial that is being trained.

    Attributes
    ----------
    key : str
        ``<stage>/<config_id>``.
    started : float
        By the clock.
    before : int
        Epochs that it had then.
    whole : float
        Estimated seconds of all that is missing.
    estimated, took : float
        Seconds of what is done: estimated, and by the clock.
    """

    key: str
    started: float
    before: int
    whole: float
    estimated: float = 0.0
    took: float = 0.0


class BudgetGate:
    """Lets trials of a job begin as long as the budget allows it, and keeps the job's meter.

    A context manager, for the time in which the job trains.

    Parameters
    ----------
    view : BudgetView
    job : str
        Name of the shard, slot or worker.
    resources : JobResources
        What the job holds; nothing for one whose meter another process keeps.
    interval : float, optional
        Seconds between two words of the meter.

    Raises
    ------
    GridfoldError
        When GPU-hours are counted and the job has no GPU.
    """

    def __init__(
        self,
        view: BudgetView,
        job: str,
        resources: JobResources,
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        self._view, self._order, self._clock = view, view.order, view.clock
        limit = self._order.limit
        if limit.gpu_hours is not None and not resources.gpus and resources.cores:
            raise GridfoldError(
                f"search.budget.gpu_hours: job {job} has no GPU, so nothing would be counted; use "
                "core_hours or until, or ask for GPUs (CUDA_VISIBLE_DEVICES names them)"
            )
        now = self._clock()
        workers = resources.workers
        meter = Meter(job, now, now, resources.cores, resources.gpus, workers, interval)
        self._file = MeterFile(view.paths.spent, meter, self._clock)
        self._running: dict[TrialKey, _Running] = {}
        self._estimated = self._took = 0.0
        self._done: dict[str, float] = {}
        # Of a configuration, while it has not begun.
        self._needs: dict[str, float] = {}
        self._looked = -_PATIENCE_SECONDS
        self._has_started = False
        if limit.until is not None:
            self._price = 1.0
        else:
            held = resources.cores if limit.core_hours is not None else resources.gpus
            self._price = held / workers / _HOUR if held else self._order.price

    @property
    def limit(self) -> Limit:
        """What the search may take."""
        return self._order.limit

    @property
    def paths(self) -> StudyPaths:
        """Where the study lies."""
        return self._view.paths

    @property
    def clock(self) -> Clock:
        """The clock that it goes by."""
        return self._clock

    @property
    def meter(self) -> Meter:
        """What the job has taken."""
        return self._file.meter

    def __enter__(self) -> BudgetGate:
        self._file.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.__exit__()

    def beat(self) -> None:
        """Say what the job has taken so far; done by itself as long as the clock is a real one."""
        self._file.write()

    # -- what may begin --------------------------------------------------------------------------

    def next_of(self, works: Sequence[Work], stage: str, *, now: bool = False) -> int | None:
        """Return the position of the first of `works` that may begin; None if there is none.

        Its configuration counts as begun from then on.

        Parameters
        ----------
        works : sequence of Work
        stage : str
        now : bool
            Whether to look again, even if the last look was a moment ago.
        """
        if not works:
            return None
        if not now and self._clock() - self._looked < _PATIENCE_SECONDS:
            return None
        with holding(self._view.paths.budget / "gate", _TURN_SECONDS):
            spending = self._view.look()
            refused: set[str] = set()
            # What was begun before this run comes first: few shall be left incomplete.
            for known in (True, False):
                for position, work in enumerate(works):
                    key = f"{stage}/{work.task.config_id}"
                    if key in refused or (key in spending.begun) is not known:
                        continue
                    if self._may_begin(key, work, stage, spending):
                        self._promise(key, work, stage, spending)
                        self._looked = -_PATIENCE_SECONDS
                        return position
                    refused.add(key)
        self._looked = self._clock()
        return None

    def has_room(self, stage: str) -> bool:
        """Tell whether another configuration of a stage fits that nobody knows yet."""
        spending = self._view.look()
        seconds = self._order.by_name[stage].seconds
        return self._fits(seconds, len(self._order.by_name[stage].splits), stage, spending)

    def begin(self, work: Work, stage: str) -> None:
        """Take note that a configuration was begun, whether it fits or not."""
        key = f"{stage}/{work.task.config_id}"
        if key in self.meter.promised:
            return
        with holding(self._view.paths.budget / "gate", _TURN_SECONDS):
            self._promise(key, work, stage, self._view.look())

    def can_start(self, work: Work, stage: str) -> bool:
        """Tell whether a training of a configuration that was begun can reach a checkpoint."""
        return self._fits_an_epoch(work, stage, self._view.look())

    def may_change(self) -> bool:
        """Tell whether what does not fit now may do so soon: trials run, or nothing is measured."""
        if self._running:
            return True
        spending = self._view.look()
        return spending.correction is None and spending.workers > self.meter.workers

    def _may_begin(self, key: str, work: Work, stage: str, spending: Spending) -> bool:
        if not self._fits_an_epoch(work, stage, spending):
            return False
        if key in spending.open:
            return True
        if key not in self._needs:
            self._needs[key] = self._needed(work, stage)
        return self._fits(self._needs[key], len(self._order.by_name[stage].splits), stage, spending)

    def _fits_an_epoch(self, work: Work, stage: str, spending: Spending) -> bool:
        task = work.task
        before = epochs_known(task.folder, task.epochs)
        seconds = self._order.cost.seconds(task.settings, min(1, task.epochs - before), task.split)
        if spending.correction is not None:
            seconds *= spending.correction
        elif not spending.begun:
            # Something must be the first that is measured.
            seconds = 0.0
        left = self.limit.left(spending, seconds)
        return left > self._view.kept(stage, spending, self._price, is_hard=True)

    def _fits(self, seconds: float, splits: int, stage: str, spending: Spending) -> bool:
        if spending.correction is None and not spending.begun:
            return self.limit.left(spending) > 0
        factor = self._order.factor(spending)
        until = self.limit.until
        if until is not None and spending.now + seconds * factor / splits > until:
            return False
        open_seconds = sum(spending.open.values())
        needed = (open_seconds + seconds) * factor * self._price
        if not self._has_started:
            needed += _START_SECONDS * self.meter.workers * self._price
        kept = self._view.kept(stage, spending, self._price)
        return self.limit.left(spending) - needed >= kept

    def _needed(self, work: Work, stage: str) -> float:
        """Return the estimated seconds of what is missing of a configuration, all its splits."""
        task, total = work.task, 0.0
        for split in self._order.by_name[stage].splits:
            folder = self._view.paths.trial(task.config_id, split)
            if not result_file(folder, task.epochs).exists():
                total += self._seconds(task.settings, folder, task.epochs, split)[0]
        return total

    def _seconds(
        self, settings: Mapping[str, object], folder: Path, epochs: int, split: str
    ) -> tuple[float, int]:
        """Return the estimated seconds of what is missing of a trial, and the epochs it has."""
        before = epochs_known(folder, epochs)
        return self._order.cost.seconds(settings, epochs - before, split), before

    def _promise(self, key: str, work: Work, stage: str, spending: Spending) -> None:
        if key not in spending.open and key not in self.meter.promised:
            promised = self._needs.pop(key, None) or self._needed(work, stage)
            self.meter.promised = {**self.meter.promised, key: promised}
            self._file.write()

    # -- what has happened -----------------------------------------------------------------------

    def hear(self, event: Event, stage: str) -> None:
        """Take note of an event of a trial of `stage`."""
        task = event.work.task
        trial = TrialKey(task.config_id, task.split)
        if event.kind == "started":
            self._has_started = True
            whole, before = self._seconds(task.settings, task.folder, task.epochs, task.split)
            key = f"{stage}/{task.config_id}"
            self._running[trial] = _Running(key, self._clock(), before, whole)
        elif event.kind == "epoch":
            assert event.row is not None, "an epoch has a row of the history"
            if (running := self._running.get(trial)) is not None:
                epochs = max(0, int(event.row["epoch"]) - running.before)
                running.estimated = self._order.cost.seconds(task.settings, epochs, task.split)
                running.took = self._clock() - running.started
            self._sum_up()
            return
        elif (running := self._running.pop(trial, None)) is not None:
            if running.estimated:
                self._estimated += running.estimated
                self._took += self._clock() - running.started
            # Whatever is missing of it now, this job does not train it.
            self._done[running.key] = self._done.get(running.key, 0.0) + running.whole
        self._looked = -_PATIENCE_SECONDS
        self._sum_up()
        self._file.write()

    def _sum_up(self) -> None:
        running, done = self._running.values(), dict(self._done)
        for trial in running:
            done[trial.key] = done.get(trial.key, 0.0) + min(trial.estimated, trial.whole)
        self.meter.done = done
        self.meter.estimated = self._estimated + sum(trial.estimated for trial in running)
        self.meter.took = self._took + sum(trial.took for trial in running)


class BudgetedTrials:
    """The trials of a job, handed out as long as the budget allows it: the supply of its pool.

    Parameters
    ----------
    works : sequence of Work
    gate : BudgetGate
    stage : str

    Attributes
    ----------
    stage : str
    left_out : list of Work
        What was not begun, once it is over.
    """

    def __init__(self, works: Sequence[Work], gate: BudgetGate, stage: str) -> None:
        self._gate, self.stage = gate, stage
        self._waiting = list(works)
        self._ready: Work | None = None
        self.left_out: list[Work] = []

    def take(self) -> Work | None:
        """Return the next trial; None when none may begin at the moment."""
        work, self._ready = self._ready or self._next(), None
        return work

    def is_over(self) -> bool:
        """Tell whether there will be no more trials."""
        if self._ready is not None:
            return False
        if self._waiting:
            self._ready = self._next()
            if self._ready is not None or self._gate.may_change():
                return False
            # Once more: what ran a moment ago may have made room.
            self._ready = self._next(now=True)
            if self._ready is not None:
                return False
            self.left_out, self._waiting = self._waiting, []
        return True

    def all(self) -> list[Work]:
        """Hand out all trials at once, to ranks that ask for each of them before it begins."""
        ready = [] if self._ready is None else [self._ready]
        works = [*ready, *(limited(work, self._gate, self.stage) for work in self._waiting)]
        self._ready, self._waiting = None, []
        return works

    def _next(self, *, now: bool = False) -> Work | None:
        position = self._gate.next_of(self._waiting, self.stage, now=now)
        if position is None:
            return None
        work = self._waiting.pop(position)
        return limited(work, self._gate, self.stage)


def limited(work: Work, gate: BudgetGate, stage: str) -> Work:
    """Return the work of a trial that looks at the budget after each epoch."""
    return replace(work, limit=EpochLimit(gate.paths, stage, gate.clock))


def epochs_known(folder: Path, epochs: int) -> int:
    """Return the epochs of the newest checkpoint of a trial, by its name, at most `epochs`."""
    numbers = (name.stem.rpartition("-")[2] for name in folder.glob("checkpoint-*.npz"))
    return max((int(n) for n in numbers if n.isdigit() and int(n) <= epochs), default=0)

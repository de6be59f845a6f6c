"""Training jobs help each other: a free worker trains what no other job has begun.

A job holds the lock of a trial only while it trains it. So one that has begun all of its own trials
begins those of jobs that wait in the queue, or that have more trials than workers; they find the
results in the run store. What there is to do says a file of the run
(:class:`gridfold.store.help_order.HelpOrder`), who does it say the locks. So one job that runs gets
a whole study done, and no job trains on when all others have ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gridfold.jobs import pool
from gridfold.jobs.work import JobInputs
from gridfold.paths import StudyPaths, result_file
from gridfold.plan.shards import TrialKey
from gridfold.requests import WantedConfiguration
from gridfold.store.help_order import HelpOrder
from gridfold.store.locks import Heartbeat

log = logging.getLogger(__name__)

# In seconds: a job is told of its time limit two minutes before, and its tables take a moment.
_MARGIN_SECONDS = 180.0
# What of the longest trial so far another one may take.
_CAUTION = 1.2
# Trials that are looked at in one go; a file system of a network answers in milliseconds.
_LOOKS = 200


@dataclass
class TimeLeft:
    """Tells whether another trial fits into the time of a job.

    Parameters
    ----------
    minutes : int
        Time limit of the job; 0 where there is none.
    longest : float
        Seconds of the longest trial that is known.
    clock : callable
        Returns seconds.
    """

    minutes: int
    longest: float = 0.0
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _running: dict[Path, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def hear(self, event: pool.Event) -> None:
        """Learn from an event how long trials take."""
        folder = event.work.task.folder
        if event.kind == "started":
            self._running[folder] = self.clock()
        elif event.kind != "epoch" and folder in self._running:
            self.longest = max(self.longest, self.clock() - self._running.pop(folder))

    def is_enough(self) -> bool:
        """Tell whether a trial that begins now ends in time, by those that have ended."""
        if not self.minutes:
            return True
        left = self._began + 60 * self.minutes - _MARGIN_SECONDS - self.clock()
        return 0 < self.longest * _CAUTION < left


class TrialsOfOthers:
    """Gives the trials of other jobs to a pool.

    Parameters
    ----------
    name : str
        Of the job that helps.
    order : HelpOrder
    inputs : JobInputs
    locks : Heartbeat
    time_left : TimeLeft

    Attributes
    ----------
    given : int
        How many it has given.
    """

    def __init__(
        self,
        name: str,
        order: HelpOrder,
        inputs: JobInputs,
        locks: Heartbeat,
        time_left: TimeLeft,
    ) -> None:
        self._wanted: Mapping[str, WantedConfiguration] = order.configurations
        self._inputs, self._locks, self._time_left = inputs, locks, time_left
        self._waiting = _from_the_back(name, order)
        self.given = 0

    def take(self) -> pool.Work | None:
        """Return the next trial, its lock held; None when there is none at the moment."""
        if self._waiting and not self._time_left.is_enough():
            log.info("what other jobs have not begun does not fit into the time of this one")
            self.leave()
        for _ in range(_LOOKS):
            if not self._waiting:
                break
            trial = self._waiting.pop()
            if (work := self._claimed(trial)) is not None:
                log.info("%s is free: it is trained for another job", trial)
                self.given += 1
                return work
        return None

    def is_over(self) -> bool:
        """Tell whether there will be no more trials."""
        return not self._waiting

    def leave(self) -> None:
        """Leave all that is not begun to its own jobs."""
        self._waiting = []

    def _claimed(self, trial: TrialKey) -> pool.Work | None:
        """Return the work of a trial that nobody has trained or trains, its lock held."""
        wanted = self._wanted[trial.config_id]
        folder = self._inputs.paths.trial(trial.config_id, trial.split)
        if result_file(folder, wanted.epochs).exists() or not self._locks.acquire(folder):
            return None
        work = self._inputs.work(trial, wanted)
        # Whether what has failed is tried again is a matter of its own job.
        if work.store.result(wanted.epochs) is None and work.store.failure() is None:
            return work
        self._locks.release(folder)
        return None


class OwnThenOthers:
    """Gives a pool the trials of its job that nobody else trains, and then those of others.

    Parameters
    ----------
    own : sequence of Work
        Their locks are held, and given back until their turn comes.
    reopened : callable
        Returns the work of a trial anew, its lock held: another job may have begun it meanwhile.
    others : TrialsOfOthers
    locks : Heartbeat
    """

    def __init__(
        self,
        own: Sequence[pool.Work],
        reopened: Callable[[pool.Work], pool.Work],
        others: TrialsOfOthers,
        locks: Heartbeat,
    ) -> None:
        self._own, self._others = pool.Listed(own), others
        self._reopened, self._locks = reopened, locks
        self._ready: pool.Work | None = None
        for work in own:
            locks.release(work.task.folder)

    def take(self) -> pool.Work | None:
        """Return the next trial, its lock held; None when there is none at the moment."""
        ready, self._ready = self._ready, None
        return ready or self._find()

    def is_over(self) -> bool:
        """Tell whether there will be no more trials."""
        while self._ready is None and not (self._own.is_over() and self._others.is_over()):
            self._ready = self._find()
        return self._ready is None

    def _find(self) -> pool.Work | None:
        while (found := self._own.take()) is not None:
            if not self._locks.acquire(found.task.folder):
                continue
            work = self._reopened(found)
            if work.store.result(work.task.epochs) is None:
                return work
            self._locks.release(work.task.folder)
        return self._others.take()


def is_wanted(name: str, order: HelpOrder, paths: StudyPaths) -> bool:
    """Tell whether there are trials of other jobs that nobody has trained."""
    return any(
        not result_file(
            paths.trial(trial.config_id, trial.split), order.configurations[trial.config_id].epochs
        ).exists()
        for trial in _from_the_back(name, order)
    )


def _from_the_back(name: str, order: HelpOrder) -> list[TrialKey]:
    """Return the trials of other jobs, the first to be taken at the end.

    Each job begins with those of the one behind it, whose last ones come first: its own job is
    farthest from them. What needs more memory than this job has for a trial is left out.
    """
    names = list(order.jobs)
    own = order.jobs.get(name)
    if own is None:
        return []
    place = names.index(name)
    others = [order.jobs[other] for other in names[place + 1 :] + names[:place]]
    fitting = [job for job in others if job.memory_mb <= own.memory_mb]
    taken_first = [TrialKey.parse(text) for job in fitting for text in reversed(job.trials)]
    return taken_first[::-1]

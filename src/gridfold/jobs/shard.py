"""The job of a shard asks the run store, trains what is missing, and writes the tables."""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gridfold import advice
from gridfold.errors import GridfoldError, Interrupted, TrialFailure
from gridfold.jobs import pool
from gridfold.jobs.budget import BudgetedTrials, BudgetGate
from gridfold.jobs.fork_server import ForkServerFailed
from gridfold.jobs.helping import OwnThenOthers, TimeLeft, TrialsOfOthers, is_wanted
from gridfold.jobs.watcher import TrialWatcher, out_of_memory
from gridfold.jobs.work import JobInputs
from gridfold.paths import StudyPaths
from gridfold.plan.budget import BudgetView, Limit
from gridfold.plan.left_out import write_left_out
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_names import stage_of
from gridfold.requests import TrainRequest
from gridfold.store.help_order import HelpOrder
from gridfold.store.job_records import JobRecorder, JobResources
from gridfold.store.locks import Heartbeat, TrialLock
from gridfold.store.progress import JobProgress, ProgressFile, UnseenProgress
from gridfold.store.trials import DIVERGED, LEFT_OUT, TrialResult

log = logging.getLogger(__name__)


# Between looks at trials that another job trains.
_BUSY_SECONDS = 2.0

# Trials to train, who wants to hear of them, and what can be done before the first begins.
Trials = Sequence[pool.Work] | BudgetedTrials | OwnThenOthers
Trainer = Callable[[Trials, pool.Listener, Callable[[], None]], None]


class TrialsFailed(GridfoldError):
    """Trials of a shard have no score; the others are in the run store."""


@dataclass(frozen=True)
class ShardTables:
    """Where the tables of a shard go."""

    trials: Path
    epochs: Path
    predictions: Path


@dataclass(frozen=True)
class Attempt:
    """Which attempt at a job this is.

    Attributes
    ----------
    is_first : bool
        Whether this is not a retry. A retry leaves out the trials whose failure in an earlier
        attempt was their own code's, see :func:`gridfold.advice.is_final`.
    is_last : bool
        Whether no retry follows. Failed trials may be reported instead if so, or if none of them
        would end otherwise in another attempt.
    """

    is_first: bool = True
    is_last: bool = True

    @classmethod
    def of(cls, number: int, retries: int) -> Attempt:
        """Return the attempt with this number, from 1, where so many retries follow the first."""
        return cls(is_first=number == 1, is_last=number > retries)


def refuse_failures(
    failures: Mapping[TrialKey, TrialFailure],
    attempt: Attempt,
    *,
    trials: int,
    hopeless: int,
    reports_failed: bool,
) -> None:
    """Raise when there are failures that can't be reported, or not yet.

    Parameters
    ----------
    failures : mapping of TrialKey to TrialFailure
    attempt : Attempt
    trials : int
        Trials of the job.
    hopeless : int
        How many of the failed ones were not tried again.
    reports_failed : bool
        Whether failed trials are reported in the end (``execution.failed_trials``).

    Raises
    ------
    TrialsFailed
    """
    ended = attempt.is_last or all(map(advice.is_final, failures.values()))
    if not failures or (ended and reports_failed):
        return
    lines = advice.explained((str(trial), failure) for trial, failure in failures.items())
    if hopeless:
        lines.append(f"  ({hopeless} not tried again: their own code fails.)")
    raise TrialsFailed(
        f"{len(failures)} of {trials} trials failed; the others are kept.\n" + "\n".join(lines)
    )


class ShardJob:
    """Brings every trial of a shard to an answer and writes the shard's tables.

    Parameters
    ----------
    name : str
        Of the shard.
    request : TrainRequest
    paths : StudyPaths
    attempt : Attempt
    resources : JobResources
        Of the job, for its record.
    versions : mapping of str to str, optional
        As in :class:`gridfold.jobs.work.JobInputs`.
    """

    def __init__(
        self,
        name: str,
        request: TrainRequest,
        paths: StudyPaths,
        attempt: Attempt,
        resources: JobResources,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        self._name, self._paths = name, paths
        self._attempt, self._resources = attempt, resources
        conditions = request.conditions
        self._inputs = JobInputs.load(conditions, paths, conditions.threads, versions=versions)
        self._trials = [TrialKey.parse(text) for text in request.trials]
        self._configurations = request.configurations
        self._reports_failed = request.failed_trials == "report"
        self._works: dict[TrialKey, pool.Work] = {}
        self._results: dict[TrialKey, TrialResult] = {}
        self._failures: dict[TrialKey, TrialFailure] = {}
        # Trials that are not tried again.
        self._hopeless = 0
        self._limit: Limit | None = None
        order = HelpOrder.read(paths.help_order)
        # It may be of another run.
        fits = order and order.conditions == request.conditions and name in order.jobs
        self._help = order if fits else None

    def run(self, train: Trainer, tables: ShardTables) -> None:
        """Train what is missing and write the tables.

        Parameters
        ----------
        train : callable
            Trains trials: :func:`gridfold.jobs.pool.run` or :func:`gridfold.jobs.ranks.run`.
        tables : ShardTables

        Raises
        ------
        TrialsFailed
            When trials failed and must not be reported as such.
        """
        progress = ProgressFile(
            self._paths.progress / f"{self._name}.json", JobProgress(len(self._trials))
        )
        with Heartbeat() as locks, progress:
            self._take_known(progress.progress)
            for trials in self._as_they_get_free(locks):
                missing = self._missing(trials, progress.progress)
                for trial in trials:
                    if trial in self._results:
                        locks.release(self._folder(trial))
                progress.write(now=True)
                if missing or self._is_help_wanted():
                    self._train(missing, train, progress, locks)
        self._raise_failures()
        self._write(tables)

    def _is_help_wanted(self) -> bool:
        return self._help is not None and is_wanted(self._name, self._help, self._paths)

    def _train(
        self,
        missing: Sequence[pool.Work],
        train: Trainer,
        progress: ProgressFile,
        locks: Heartbeat,
    ) -> None:
        """Train what is missing, as far as the budget of the search allows it."""
        view = BudgetView.of(self._paths)
        with JobRecorder(self._paths.jobs, self._name, self._resources) as record:
            if view is None:
                watcher = TrialWatcher(progress, record, locks, self._note)
                with _memory_named(watcher):
                    if self._help is None:
                        train(missing, watcher, _import_tables)
                    else:
                        aside = TrialWatcher(UnseenProgress(), record, locks, lambda *_: None)
                        self._train_and_help(missing, self._help, train, (watcher, aside), locks)
                return
            limit = self._limit = view.order.limit
            watcher = TrialWatcher(progress, record, locks, self._note, limit)
            with BudgetGate(view, self._name, self._resources) as gate:
                trials = BudgetedTrials(missing, gate, stage_of(self._name))

                def hear(event: pool.Event) -> None:
                    gate.hear(event, trials.stage)
                    watcher(event)

                if not trials.is_over():
                    with _memory_named(watcher):
                        train(trials, hear, _import_tables)
                for work in trials.left_out:
                    hear(pool.Event("left_out", work))

    def _train_and_help(
        self,
        missing: Sequence[pool.Work],
        order: HelpOrder,
        train: Trainer,
        listeners: tuple[pool.Listener, pool.Listener],
        locks: Heartbeat,
    ) -> None:
        """Train what is missing, and then what no other job has begun.

        Parameters
        ----------
        missing : sequence of Work
            Their locks are held.
        order : HelpOrder
        train : Trainer
        listeners : (callable, callable)
            Of the trials of this job, and of those of others, which it does not count as its own.
        locks : Heartbeat
        """
        longest = max((result.seconds for result in self._results.values()), default=0.0)
        time_left = TimeLeft(self._resources.minutes, longest)
        others = TrialsOfOthers(self._name, order, self._inputs, locks, time_left)

        def hear(event: pool.Event) -> None:
            time_left.hear(event)
            listeners[_key(event.work) not in self._works](event)
            if self._failures:
                # Whoever waits to hear of these must not wait for the trials of others.
                others.leave()

        def reopened(work: pool.Work) -> pool.Work:
            return self.work(_key(work))

        try:
            train(OwnThenOthers(missing, reopened, others, locks), hear, _import_tables)
        except Interrupted:
            if len(self._results) < len(self._works):
                raise
            log.info("told to stop, when all trials of this job had ended")
        if others.given:
            log.info("%d trials were trained for other jobs", others.given)

    def work(self, trial: TrialKey) -> pool.Work:
        """Return the work of one trial, its store opened; its lock should be held."""
        return self._inputs.work(trial, self._configurations[trial.config_id])

    def _folder(self, trial: TrialKey) -> Path:
        return self._paths.trial(trial.config_id, trial.split)

    def _take_known(self, progress: JobProgress) -> None:
        """Take the answers that are there and need nothing done; no lock for each of them."""
        for trial in self._trials:
            work = self._inputs.unopened(trial, self._configurations[trial.config_id])
            if (known := work.store.answer(work.task.epochs)) is not None:
                self._works[trial], self._results[trial] = work, known
                progress.done += 1

    def _as_they_get_free(self, locks: Heartbeat) -> Iterator[list[TrialKey]]:
        """Yield trials without an answer that are locked for this job, until it had all of them.

        Those that another job trains, one whose controller has died, come when it is done with
        them; then its results are taken. Where all are answered, this yields none, once.
        """
        busy, told = [trial for trial in self._trials if trial not in self._results], False
        if not busy:
            yield []
        while busy:
            ours = [trial for trial in busy if locks.acquire(self._folder(trial))]
            taken = set(ours)
            busy = [trial for trial in busy if trial not in taken]
            if ours:
                yield ours
                # Those that another job has begun meanwhile.
                busy += [trial for trial in ours if trial not in self._results]
                continue
            if not told:
                holder = TrialLock(self._folder(busy[0])).live_holder()
                log.info("waiting for %d trials that are trained by %s", len(busy), holder)
                told = True
            with pool.stop_signals() as stopped:
                if stopped.wait(_BUSY_SECONDS):
                    raise Interrupted

    def _missing(self, trials: Sequence[TrialKey], progress: JobProgress) -> list[pool.Work]:
        """Return the work of those of `trials` that must be trained; the others have a result."""
        for trial in trials:
            work = self._works[trial] = self.work(trial)
            known = work.store.result(work.task.epochs)
            if known is not None:
                self._results[trial] = known
                progress.done += 1
            elif (hopeless := self._hopeless_result(trial)) is not None:
                self._results[trial] = hopeless
                self._hopeless += 1
                progress.failed += 1
        missing = [self._works[trial] for trial in trials if trial not in self._results]
        known_trials = len(self._results) - self._hopeless
        log.info("%d trials, %d known, %d to train", len(self._trials), known_trials, len(missing))
        if self._hopeless:
            log.info("%d not tried again: their own code has failed", self._hopeless)
        return missing

    def _hopeless_result(self, trial: TrialKey) -> TrialResult | None:
        """Return the result of a trial that another attempt can't help; None of all others.

        A new run tries all of them: somebody may have mended what its files and its fingerprint do
        not show, a module or the file system.
        """
        work = self._works[trial]
        if self._attempt.is_first:
            work.store.forget_failure()
            return None
        known = work.store.failure()
        if known is None or not advice.is_final(known[0]):
            return None
        failure, usage = known
        self._failures[trial] = failure
        reason = advice.in_full(failure)
        return TrialResult(
            "failed", work.task.epochs, kind=failure.kind, reason=reason, usage=usage
        )

    def _note(self, work: pool.Work, result: TrialResult, failure: TrialFailure | None) -> None:
        """Keep the result of a trial that has ended."""
        trial = _key(work)
        self._results[trial] = result
        if failure is not None:
            self._results[trial] = replace(result, reason=advice.in_full(failure))
            if failure.kind != DIVERGED:
                self._failures[trial] = failure

    def _raise_failures(self) -> None:
        """Raise when there are failures that can't be reported, or not yet."""
        refuse_failures(
            self._failures,
            self._attempt,
            trials=len(self._works),
            hopeless=self._hopeless,
            reports_failed=self._reports_failed,
        )

    def _write(self, files: ShardTables) -> None:
        self._remember_left_out()

        from gridfold.tables import trials as tables

        rows = [(trial, self._results[trial], self._works[trial].store) for trial in self._trials]
        tables.write_shard(rows, self._inputs.splits, files.trials, files.epochs, files.predictions)

    def _remember_left_out(self) -> None:
        """Leave word of what the budget has left out; a larger one makes the tables anew."""
        left = [t for t in self._trials if self._results[t].status == LEFT_OUT]
        if left:
            assert self._limit is not None, "without a budget nothing is left out"
            write_left_out(self._paths, self._name, self._limit, left)
        else:
            self._paths.left_out(self._name).unlink(missing_ok=True)


def _key(work: pool.Work) -> TrialKey:
    return TrialKey(work.task.config_id, work.task.split)


@contextlib.contextmanager
def _memory_named(watcher: TrialWatcher) -> Iterator[None]:
    """Say that memory was short where that has cost the process from which trials start."""
    try:
        yield
    except ForkServerFailed:
        if not watcher.is_out_of_memory():
            raise
        raise GridfoldError(
            f"the process from which trials start was {out_of_memory()}.\n"
            f"{advice.OUT_OF_MEMORY.advice}"
        ) from None


def _import_tables() -> None:
    """Import what writes the tables: earlier it would delay the first trial, later the end."""
    importlib.import_module("gridfold.tables.trials")

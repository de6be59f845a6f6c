"""A job of an asynchronous Hyperband promotes what can be promoted, or begins something new.

Any number of jobs do so at the same time, on any nodes (:mod:`gridfold.search.rungs`). Whoever has
a free worker trains what was decided and nobody trains yet; where there is no such trial, the job
takes its turn to decide (:class:`gridfold.space.promotions.Promotions`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridfold import advice, typed_json
from gridfold.errors import TrialFailure
from gridfold.jobs import pool
from gridfold.jobs.local import trainer_of_job
from gridfold.jobs.shard import Attempt, refuse_failures
from gridfold.jobs.watcher import TrialWatcher
from gridfold.jobs.work import JobInputs
from gridfold.paths import StudyPaths, result_file
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stage_names import rungs_jobs
from gridfold.requests import RungsRequest
from gridfold.search.rungs import Rungs, mean_score
from gridfold.store.decision_log import Decision
from gridfold.store.job_records import JobRecorder, JobResources
from gridfold.store.locks import Heartbeat, is_locked
from gridfold.store.progress import JobProgress, ProgressFile, read_jobs
from gridfold.store.trials import DIVERGED, TrialResult

log = logging.getLogger(__name__)

# Seconds between looks while there is nothing to do; and between questions whether whoever trains
# a trial is still there, at first and at most.
_LOOK_SECONDS = 0.2
_FIRST_QUESTION_SECONDS, _QUESTION_SECONDS = 0.2, 10.0


@dataclass
class _OpenDecision:
    """A decision whose trials have not all ended.

    Attributes
    ----------
    decision : Decision
    values : dict of str to (float or None)
        What the ended trials are ranked by, by their splits; None of those without a score.
    """

    decision: Decision
    values: dict[str, float | None] = field(default_factory=dict)


@dataclass
class _Question:
    """When to ask next whether a trial can be had."""

    at: float = 0.0
    pause: float = _FIRST_QUESTION_SECONDS


@dataclass(frozen=True)
class Crew:
    """The jobs of a search.

    Attributes
    ----------
    name : str
        Of this one.
    others : tuple of str
        Names of the others.
    trials : int
        Trials after which a job leaves the rest to those that have not begun.
    """

    name: str
    others: tuple[str, ...] = ()
    trials: int = 10**9

    def all_begun(self, paths: StudyPaths) -> bool:
        """Tell whether no other job will begin any more."""
        return all(
            (paths.progress / f"{other}.json").exists() or paths.rungs_job(other).exists()
            for other in self.others
        )

    def others_train(self, paths: StudyPaths) -> bool:
        """Tell whether another job is under way, or was killed so that it is repeated."""
        found = read_jobs(paths.progress, self.others)
        return any(not progress.ended for progress in found.values())


class RungsSearch:
    """Finds trials for a pool, whose supply it is, and hears how they went.

    Parameters
    ----------
    rungs : Rungs
    crew : Crew
    attempt : Attempt
    locks : Heartbeat
    progress : ProgressFile

    Attributes
    ----------
    failures : dict of TrialKey to TrialFailure
        Trials that this job has seen fail, diverged ones left out.
    hopeless : int
        How many of them it has not tried again.
    given : int
        Trials that it has trained.
    """

    def __init__(
        self,
        rungs: Rungs,
        crew: Crew,
        attempt: Attempt,
        locks: Heartbeat,
        progress: ProgressFile,
    ) -> None:
        self._rungs, self._crew, self._attempt = rungs, crew, attempt
        self._locks, self._progress = locks, progress
        self._open: dict[Decision, _OpenDecision] = {}
        self._running: dict[TrialKey, _OpenDecision] = {}
        self._questions: dict[TrialKey, _Question] = {}
        self._ready: pool.Work | None = None
        self._looked = 0.0
        self._since = self._failures_count_since()
        self.failures: dict[TrialKey, TrialFailure] = {}
        self.hopeless = self.given = 0

    def _failures_count_since(self) -> float:
        """Return from when on what failed counts as ended, and is not tried by this job.

        A new run tries what has failed before it; a further attempt, what has failed before that.
        """
        if self._attempt.is_first:
            try:
                return self._rungs.paths.last_run.stat().st_mtime
            except FileNotFoundError:
                pass
        return time.time()

    # -- supply ----------------------------------------------------------------------------------

    def take(self) -> pool.Work | None:
        """Return the next trial; None when there is none at the moment."""
        ready, self._ready = self._ready, None
        return ready or self._find()

    def is_over(self) -> bool:
        """Tell whether this job has nothing more to do.

        It stays as long as the trials that others train may be followed by more trials than these
        have workers for; and if no other job of the search is under way: whoever holds their locks
        then may be gone, though nobody can tell yet.
        """
        if self._running:
            return False
        if self._ready is None:
            self._ready = self._find()
        if self._ready is not None:
            return False
        if self._is_relieved():
            return True
        splits, promotions = len(self._rungs.split_names), self._rungs.promotions
        elsewhere = sum(splits - len(each.values) for each in self._open.values())
        going_on = sum(not promotions.is_last(decision) for decision in self._open)
        return going_on * splits <= elsewhere and (not elsewhere or self._leave())

    def _leave(self) -> bool:
        """Leave what is under way to another job of the search; say whether there is one.

        In turn, so that two jobs do not leave it to each other.
        """
        with self._rungs.log.turn():
            if not self._crew.others_train(self._rungs.paths):
                return False
            self._progress.progress.ended = True
            self._progress.write(now=True)
            return True

    def _is_relieved(self) -> bool:
        """Tell whether this job has done its part, and another one will begin."""
        return self.given >= self._crew.trials and not self._crew.all_begun(self._rungs.paths)

    def _find(self) -> pool.Work | None:
        if self._is_relieved() or time.monotonic() - self._looked < _LOOK_SECONDS:
            return None
        while True:
            self._hear()
            work = self._claim()
            if work is not None:
                self.given += 1
                self._progress.progress.total += 1
                return work
            if not self._decide():
                self._looked = time.monotonic()
                return None

    def _hear(self) -> None:
        """Take note of what other jobs have decided."""
        for decision in self._rungs.log.news():
            self._note(decision)

    def _note(self, decision: Decision) -> None:
        if self._rungs.promotions.take(decision):
            self._open[decision] = _OpenDecision(decision)

    def _decide(self) -> bool:
        """Decide what is trained next, in turn with other jobs; say whether there may be a trial.

        Trials that others have ended must be known before: the best are chosen from all.
        """
        if self._rungs.promotions.next() is None:
            return False
        with self._rungs.log.turn():
            self._hear()
            self._settle()
            decision = self._rungs.promotions.next()
            if decision is not None:
                self._rungs.log.append(decision)
                self._note(decision)
        if decision is not None:
            log.info("rung %d of bracket %d: %s", decision.rung, decision.bracket, decision)
        return True

    def _settle(self) -> None:
        """Take note of trials that others have ended by now."""
        for each in list(self._open.values()):
            epochs = self._rungs.promotions.epochs(each.decision)
            for split in self._rungs.split_names:
                trial = TrialKey(each.decision.config_id, split)
                folder = self._rungs.folder(trial)
                is_open = split not in each.values and trial not in self._running
                if is_open and result_file(folder, epochs).exists() and self._acquire(each, trial):
                    work = self._rungs.inputs.work(trial, self._rungs.wanted(each.decision))
                    self._is_known(each, trial, work)
                    self._locks.release(folder)

    def _claim(self) -> pool.Work | None:
        """Return a trial that was decided and that nobody trains; take note of what has ended."""
        for each in list(self._open.values()):
            for split in self._rungs.split_names:
                trial = TrialKey(each.decision.config_id, split)
                if split in each.values or trial in self._running or not self._acquire(each, trial):
                    continue
                work = self._rungs.inputs.work(trial, self._rungs.wanted(each.decision))
                if not self._is_known(each, trial, work):
                    work.store.forget_failure()
                    self._running[trial] = each
                    return work
                self._locks.release(work.task.folder)
        return None

    def _acquire(self, each: _OpenDecision, trial: TrialKey) -> bool:
        """Take the lock of a trial; say whether it is ours.

        Whether its holder lives is asked rarely: the answer may come from Slurm. What has a result
        for this rung is let go in a moment.
        """
        folder = self._rungs.folder(trial)
        question = self._questions.setdefault(trial, _Question())
        has_ended = result_file(folder, self._rungs.promotions.epochs(each.decision)).exists()
        if is_locked(folder) and not has_ended and time.monotonic() < question.at:
            return False
        if self._locks.acquire(folder):
            self._questions.pop(trial)
            return True
        question.at = time.monotonic() + question.pause
        question.pause = min(_QUESTION_SECONDS, 2 * question.pause)
        return False

    def _is_known(self, each: _OpenDecision, trial: TrialKey, work: pool.Work) -> bool:
        """Tell whether a trial has ended, and take note of how."""
        known = work.store.result(work.task.epochs)
        if known is not None:
            self._end(each, trial, self._rungs.value(known))
            return True
        failed = work.store.failure()
        if failed is None:
            return False
        failure, failed_at = failed[0], work.store.failed_at() or 0.0
        is_hopeless = not self._attempt.is_first and advice.is_final(failure)
        if is_hopeless:
            self.failures[trial] = failure
            self.hopeless += 1
        elif failed_at < self._since:
            return False
        self._end(each, trial, None)
        return True

    # -- what the trials come to -----------------------------------------------------------------

    def end(self, work: pool.Work, result: TrialResult, failure: TrialFailure | None) -> None:
        """Take note of how a trial went."""
        trial = TrialKey(work.task.config_id, work.task.split)
        self._looked = 0.0
        if failure is not None and failure.kind != DIVERGED:
            self.failures[trial] = failure
        self._end(self._running.pop(trial), trial, self._rungs.value(result))

    def _end(self, each: _OpenDecision, trial: TrialKey, value: float | None) -> None:
        each.values[trial.split] = value
        if len(each.values) == len(self._rungs.split_names):
            del self._open[each.decision]
            # In the order of the splits, so that the sum is the same whoever was first.
            values = [each.values[split] for split in self._rungs.split_names]
            self._rungs.promotions.end(each.decision, mean_score(values))


@dataclass(frozen=True)
class RungsJobDone:
    """What a job of a search says at its end.

    Attributes
    ----------
    job : str
    trained : int
        Trials that it has trained.
    failed : int
        How many of them have no score, diverged ones left out.
    """

    job: str
    trained: int
    failed: int


Trainer = Callable[[RungsSearch, pool.Listener, Callable[[], None]], None]


def run_rungs(
    rungs: Rungs,
    request: RungsRequest,
    crew: Crew,
    attempt: Attempt,
    train: Trainer,
    resources: JobResources,
) -> RungsJobDone:
    """Decide and train until there is nothing left to do for this job.

    Parameters
    ----------
    rungs : Rungs
    request : RungsRequest
    crew : Crew
    attempt : Attempt
    train : callable
        Gives the trials of a search to a pool (:func:`gridfold.jobs.pool.run`).
    resources : JobResources
        Of the job, for its record.

    Raises
    ------
    TrialsFailed
        When trials failed and must not be reported as such.
    Interrupted
        After SIGTERM, SIGINT or SIGUSR1.
    """
    paths = rungs.paths
    with (
        Heartbeat() as locks,
        ProgressFile(paths.progress / f"{crew.name}.json", JobProgress(0)) as progress,
        JobRecorder(paths.jobs, crew.name, resources) as record,
    ):
        search = RungsSearch(rungs, crew, attempt, locks, progress)
        progress.write(now=True)
        train(search, TrialWatcher(progress, record, locks, search.end), lambda: None)
    refuse_failures(
        search.failures,
        attempt,
        trials=search.given,
        hopeless=search.hopeless,
        reports_failed=request.failed_trials == "report",
    )
    return RungsJobDone(crew.name, search.given, len(search.failures))


def train_rungs(
    job: str,
    request: RungsRequest,
    root: Path,
    files: Sequence[StageFile],
    *,
    threads: int,
    resources: Mapping[str, Any],
    retries: int,
) -> None:
    """Do the work of one job of the rule `train_rungs`.

    Parameters
    ----------
    job : str
        Its name, ``rungs-<number>``.
    request : RungsRequest
    root : Path
        ``results/<study>``.
    files : sequence of StageFile
        What each bracket begins with.
    threads : int
        CPU cores that the job has asked for.
    resources : mapping of str to object
        Of the job, as for :func:`gridfold.jobs.local.train_here`; and ``jobs``, how many there are.
    retries : int
        Attempts after the first.
    """
    paths, conditions = StudyPaths(root), request.conditions
    train, asked = trainer_of_job(threads, conditions.threads, resources)
    rungs = Rungs(request, files, paths, JobInputs.load(conditions, paths, conditions.threads))
    others = tuple(name for name in rungs_jobs(resources["jobs"]) if name != job)
    done = run_rungs(
        rungs,
        request,
        Crew(job, others, request.trials_per_job),
        Attempt.of(resources["attempt"], retries),
        train,
        asked,
    )
    typed_json.write(paths.rungs_job(job), done)

"""The training job of one shard: ask the run store, train what is missing, write the tables."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gridfold import advice
from gridfold.data.splits import Splits
from gridfold.errors import GridfoldError, Interrupted, TrialFailure
from gridfold.jobs import pool
from gridfold.jobs.work import digest_of_data, trial_work
from gridfold.paths import StudyPaths
from gridfold.plan.shards import Trial
from gridfold.problems import PROBLEM_KINDS
from gridfold.store import job_records
from gridfold.store.locks import Heartbeat, TrialLock
from gridfold.store.progress import JobProgress, ProgressFile
from gridfold.store.trials import TrialResult

log = logging.getLogger(__name__)


# Between looks at trials that another job trains.
_BUSY_SECONDS = 2.0

# Trials to train, who wants to hear of them, and what can be done before the first begins.
Trainer = Callable[[Sequence[pool.Work], Callable[[pool.Event], None], Callable[[], None]], None]


class TrialsFailed(GridfoldError):
    """Trials of a shard have no score; the others are in the run store."""


@dataclass(frozen=True)
class ShardTables:
    """Where the tables of a shard go."""

    trials: Path
    epochs: Path
    predictions: Path


def run_shard(
    name: str,
    request: Mapping[str, Any],
    paths: StudyPaths,
    train: Trainer,
    outputs: ShardTables,
    *,
    last_attempt: bool,
    first_attempt: bool = True,
    asked: job_records.Asked | None = None,
) -> None:
    """Bring every trial of a shard to an answer and write the shard's tables.

    Parameters
    ----------
    name : str
        Of the shard.
    request : mapping
        :meth:`gridfold.plan.plan.Plan.train_request`.
    paths : StudyPaths
    train : callable
        Trains what is missing: :func:`gridfold.jobs.pool.run` or :func:`gridfold.jobs.ranks.run`.
    outputs : ShardTables
    last_attempt : bool
        Whether no retry follows. Failed trials may be reported instead if so, or if none of them
        would end otherwise in another attempt.
    first_attempt : bool
        Whether this is not a retry. A retry leaves out the trials whose failure in an earlier
        attempt was their own code's, see :func:`gridfold.advice.is_final`.
    asked : Asked, optional
        What the job was given, for its record.

    Raises
    ------
    TrialsFailed
        When trials failed and must not be reported as such.
    """
    data_digest = digest_of_data(paths)
    splits = Splits.load(paths.splits).by_name
    trials = list(map(Trial.parse, request["trials"]))
    works: dict[Trial, pool.Work] = {}
    results: dict[Trial, TrialResult] = {}
    progress = ProgressFile(paths.progress / f"{name}.json", JobProgress(len(trials)))
    failures: dict[Trial, TrialFailure] = {}

    def open_store(trial: Trial) -> None:
        configuration = request["configurations"][trial.config_id]
        works[trial] = trial_work(
            request,
            trial,
            configuration["settings"],
            configuration["epochs"],
            paths,
            data_digest,
            splits[trial.split].digest,
            request["threads"],
        )
        known = works[trial].store.result(configuration["epochs"])
        if known is not None:
            results[trial] = known
            progress.progress.done += 1

    hopeless = 0
    with Heartbeat() as locks:
        try:
            for ours in _as_they_get_free(trials, paths, locks):
                for trial in ours:
                    open_store(trial)
                left = {t: works[t] for t in ours if t not in results}
                for trial, (failure, usage) in _hopeless(left, first_attempt=first_attempt).items():
                    failures[trial] = failure
                    results[trial] = TrialResult(
                        "failed",
                        works[trial].task.epochs,
                        kind=failure.kind,
                        reason=advice.in_full(failure),
                        usage=usage,
                    )
                    hopeless += 1
                    progress.progress.failed += 1
                for trial in ours:
                    if trial in results:
                        locks.release(paths.trial(trial.config_id, trial.split))
                missing = [works[trial] for trial in ours if trial not in results]
                known = len(results) - hopeless
                log.info("%d trials, %d known, %d to train", len(trials), known, len(missing))
                if hopeless:
                    log.info("%d not tried again: their own code has failed", hopeless)
                progress.write(now=True)
                if missing:
                    with job_records.recording(
                        paths.jobs, name, asked or job_records.Asked(1)
                    ) as record:
                        listener = _Listener(progress, results, failures, record, locks)
                        train(missing, listener, _import_tables)
        finally:
            progress.progress.running.clear()
            progress.progress.ended = True
            progress.write(now=True)
    ended = last_attempt or all(map(advice.is_final, failures.values()))
    if failures and not (ended and request["failed_trials"] == "report"):
        lines = advice.explained((str(trial), failure) for trial, failure in failures.items())
        if hopeless:
            lines.append(f"  ({hopeless} not tried again: their own code fails.)")
        raise TrialsFailed(
            f"{len(failures)} of {len(works)} trials failed; the others are kept.\n"
            + "\n".join(lines)
        )
    from gridfold.tables import trials as tables

    rows = [(trial, results[trial], works[trial].store) for trial in trials]
    tables.write_shard(rows, splits, outputs.trials, outputs.epochs, outputs.predictions)


def _as_they_get_free(
    trials: Sequence[Trial], paths: StudyPaths, locks: Heartbeat
) -> Iterator[list[Trial]]:
    """Yield trials that are locked for this job, until it had all of them.

    Those that another job trains, one whose controller has died, come when it is done with them;
    then its results are taken.
    """
    busy = list(trials)
    told = False
    while busy:
        ours = [t for t in busy if locks.acquire(paths.trial(t.config_id, t.split))]
        busy = [trial for trial in busy if trial not in set(ours)]
        if ours:
            yield ours
            continue
        if not told:
            holder = TrialLock(paths.trial(busy[0].config_id, busy[0].split)).live_holder()
            log.info("waiting for %d trials that are trained by %s", len(busy), holder)
            told = True
        with pool.stop_signals() as stopped:
            if stopped.wait(_BUSY_SECONDS):
                raise Interrupted


def _hopeless(
    works: Mapping[Trial, pool.Work], *, first_attempt: bool
) -> dict[Trial, tuple[TrialFailure, dict[str, float | None]]]:
    """Return the trials that another attempt can't help, with failure and usage.

    A new run tries all of them: somebody may have mended what its files and its fingerprint do not
    show, a module or the file system.
    """
    hopeless = {}
    for trial, work in works.items():
        if first_attempt:
            work.store.forget_failure()
        elif (known := work.store.failure()) is not None and advice.is_final(known[0]):
            hopeless[trial] = known
    return hopeless


def _import_tables() -> None:
    """Import what writes the tables: earlier it would delay the first trial, later the end."""
    importlib.import_module("gridfold.tables.trials")


class _Listener:
    """Keeps results, log and progress up to date while the pool runs."""

    def __init__(
        self,
        progress: ProgressFile,
        results: dict[Trial, TrialResult],
        failures: dict[Trial, TrialFailure],
        record: job_records.JobRecord,
        locks: Heartbeat,
    ) -> None:
        self._record = record
        self._locks = locks
        self._file = progress
        self._results = results
        self._failures = failures

    def __call__(self, event: pool.Event) -> None:
        task, state = event.work.task, self._file.progress
        trial = Trial(task.config_id, task.split)
        if event.kind == "started":
            metric = PROBLEM_KINDS[task.settings["problem"]["type"]].metric
            state.running[str(trial)] = {
                "epoch": 0,
                "epochs": task.epochs,
                "metric": metric,
                "val_metric": None,
            }
            self._record.adopt(event.elsewhere)
        elif event.kind == "epoch" and event.row is not None:
            value = event.row["val_metric"]
            state.running[str(trial)].update(epoch=int(event.row["epoch"]), val_metric=value)
        else:
            self._ended(trial, event)
        self._file.write(now=event.kind in ("finished", "failed"))

    def _ended(self, trial: Trial, event: pool.Event) -> None:
        self._keep(trial, event)
        # Not earlier: whoever waits for the lock then finds what there is to know.
        self._locks.release(event.work.task.folder)

    def _keep(self, trial: Trial, event: pool.Event) -> None:
        task, state = event.work.task, self._file.progress
        state.running.pop(str(trial), None)
        state.trained += 1
        if event.failure is not None:
            result = event.work.store.fail(task.epochs, event.failure, event.usage)
            log.error("%s failed (%s): %s", trial, event.failure.kind, event.failure.reason)
            state.failed += 1
            self._record.count(result.usage, failed=True)
            self._results[trial] = replace(result, reason=advice.in_full(event.failure))
            if result.kind != "diverged":
                self._failures[trial] = event.failure
            return
        found = event.work.store.result(task.epochs)
        assert found is not None, f"{trial} ended well but left no result"
        self._results[trial] = found
        self._record.count(found.usage, failed=False)
        state.done += 1
        log.info("%s finished: %s", trial, found.scores)

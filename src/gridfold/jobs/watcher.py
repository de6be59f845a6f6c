"""The watcher of a job keeps results, progress, record, log and locks up to date."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace

from gridfold.environment.memory_kills import MemoryKills, limit_in_words
from gridfold.errors import TrialFailure
from gridfold.jobs.budget import not_trained
from gridfold.jobs.pool import Event, Work
from gridfold.plan.budget import Limit
from gridfold.problems import PROBLEM_KINDS
from gridfold.store.job_records import JobRecorder
from gridfold.store.locks import Heartbeat
from gridfold.store.progress import JobProgress, ProgressFile
from gridfold.store.trials import TrialResult

log = logging.getLogger(__name__)

# A trial that has ended, its result, and why it has no score, if so.
OnEnd = Callable[[Work, TrialResult, TrialFailure | None], None]


class TrialWatcher:
    """Takes note of all that a pool, or ranks, say of the trials that they train.

    Parameters
    ----------
    progress : ProgressFile
        Of the job.
    record : JobRecorder
        Of the job.
    locks : Heartbeat
        Holds the locks of the trials; that of a trial that has ended is released.
    on_end : callable
        Gets each trial that has ended, when its result is in the run store.
    limit : Limit, optional
        What the search may take, if there is a limit.
    """

    def __init__(
        self,
        progress: ProgressFile,
        record: JobRecorder,
        locks: Heartbeat,
        on_end: OnEnd,
        limit: Limit | None = None,
    ) -> None:
        self._file, self._record, self._locks = progress, record, locks
        self._on_end, self._limit = on_end, limit
        self._kills = MemoryKills()

    def __call__(self, event: Event) -> None:
        """Take note of an event of a trial."""
        if event.kind == "started":
            self._record.adopt(event.elsewhere)
            self._progress.running[_name(event.work)] = {
                "epoch": 0,
                "epochs": event.work.task.epochs,
                "metric": PROBLEM_KINDS[event.work.task.settings["problem"]["type"]].metric,
                "val_metric": None,
            }
            self._file.write()
        elif event.kind == "left_out":
            self._leave_out(event)
        elif event.kind == "epoch":
            assert event.row is not None, "an epoch has a row of the history"
            epoch, value = int(event.row["epoch"]), event.row["val_metric"]
            self._progress.running[_name(event.work)].update(epoch=epoch, val_metric=value)
            self._file.write()
        else:
            result, failure = self._result(event)
            # Not earlier: whoever waits for the lock then finds what there is to know.
            self._locks.release(event.work.task.folder)
            self._on_end(event.work, result, failure)
            self._file.write(now=True)

    def _leave_out(self, event: Event) -> None:
        """Take note of a trial for which the budget of the search leaves nothing, or no more."""
        work, trained = event.work, int((event.row or {}).get("epoch", 0))
        assert self._limit is not None, "without a budget nothing is left out"
        result = not_trained(work.task.epochs, self._limit, trained)
        log.info("%s: %s", _name(work), result.reason)
        self._progress.running.pop(_name(work), None)
        self._locks.release(work.task.folder)
        usage = dict(event.usage or {})
        self._record.used(usage)
        self._on_end(work, replace(result, usage=usage), None)
        self._file.write(now=True)

    @property
    def _progress(self) -> JobProgress:
        return self._file.progress

    def _result(self, event: Event) -> tuple[TrialResult, TrialFailure | None]:
        """Return the result of a trial that has ended, counted, and why it has no score, if so."""
        work = event.work
        found = work.store.result(work.task.epochs)
        # One that was killed may have written its answer just before.
        failure = self._explained(event.failure) if found is None else None
        self._progress.running.pop(_name(work), None)
        self._progress.trained += 1
        if failure is not None:
            result = work.store.fail(work.task.epochs, failure, event.usage)
            log.error("%s failed (%s): %s", _name(work), failure.kind, failure.reason)
            self._progress.failed += 1
        else:
            assert found is not None, f"{_name(work)} ended well but left no result"
            result = found
            log.info("%s finished: %s", _name(work), result.scores)
            self._progress.done += 1
        self._record.count(event.usage or result.usage, failed=failure is not None)
        return result, failure

    def _explained(self, failure: TrialFailure | None) -> TrialFailure | None:
        """Return a failure with the reason that only the kernel knows, if it is one of those.

        What has lost its fork server has no exit code either.
        """
        if failure is None or failure.kind != "killed" or not self.is_out_of_memory():
            return failure
        if re.match(r"ended by SIG(?!KILL)", failure.reason):
            return failure
        return TrialFailure("killed", out_of_memory(), failure.detail)

    def is_out_of_memory(self) -> bool:
        """Tell whether the kernel has ended a process of this job for want of memory."""
        return self._kills.have_happened()


def out_of_memory() -> str:
    """Return the reason of a failure that the kernel counts as one for want of memory."""
    return f"ended by the kernel: out of memory{limit_in_words()}"


def _name(work: Work) -> str:
    return f"{work.task.config_id}/{work.task.split}"

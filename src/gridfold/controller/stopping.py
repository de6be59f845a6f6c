"""Stops a study that runs, from any machine; its trials keep their epochs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from gridfold.cluster import controller_job
from gridfold.cluster.slurm import can_list_jobs, jobs_of_runs
from gridfold.controller.looking import Controller, job_numbers, read_submission
from gridfold.errors import GridfoldError
from gridfold.paths import StudyPaths
from gridfold.store.running import run_names
from gridfold.store.submission import STOPPED, Outcome
from gridfold.wording import counted

# From one look whether it has ended to the next, and how long it may take.
_LOOK_SECONDS = 1.0
_PATIENCE_SECONDS = 180.0


def stop(paths: StudyPaths, tell: Callable[[str], None]) -> None:
    """Stop the controller of a study and its jobs.

    Parameters
    ----------
    paths : StudyPaths
    tell : callable
        Called with what is done.

    Raises
    ------
    GridfoldError
        When nothing runs, or it does not end.
    """
    found = Controller.of(paths)
    if found.is_alive:
        assert found.submission is not None
        # First of all: whatever is started from now on stops by itself.
        paths.controller.stop.touch()
        tell(f"stopping the controller: {found.sentence}")
        if found.submission.job:
            _stop_job(paths, tell)
        else:
            _wait(lambda: paths.controller.outcome.exists(), "the controller")
    elif found.holder is not None and found.holder.is_live:
        _interrupt(found)
        _wait(lambda: not paths.controller.lock.exists(), str(found.holder))
        _cancel_jobs(paths, tell)
    else:
        left = _cancel_jobs(paths, tell)
        if not left:
            raise GridfoldError(f"{paths.root}: nothing runs")
    tell("stopped; a new run goes on from the checkpoints of its trials")


def _stop_job(paths: StudyPaths, tell: Callable[[str], None]) -> None:
    files = paths.controller
    numbers = job_numbers(files, read_submission(files))
    controller_job.cancel(numbers)
    # It may have been submitting a job just now.
    _wait(lambda: not any(map(controller_job.queued, numbers)), "the job of the controller")
    _cancel_jobs(paths, tell)
    if not files.outcome.exists():
        # Of a controller that has waited in the queue, or had no time to write it.
        Outcome(STOPPED, 130, time.time()).write(files.outcome)


def _cancel_jobs(paths: StudyPaths, tell: Callable[[str], None]) -> bool:
    """Cancel the jobs of a study that are in Slurm's queue; say whether there were some."""
    names = run_names(paths.controller)
    jobs = jobs_of_runs(names) if names and can_list_jobs() else {}
    if jobs is None:
        raise GridfoldError("Slurm does not answer; whether jobs of the study run is not known")
    if not jobs:
        return False
    tell(f"cancelling {counted(len(jobs), 'job')}: {', '.join(sorted(jobs))}")
    controller_job.cancel(jobs)
    _wait(lambda: jobs_of_runs(names) == {}, "the jobs")
    return True


def _interrupt(found: Controller) -> None:
    """Do what Ctrl-C does to a Snakemake that runs in a terminal."""
    assert found.holder is not None
    if not found.holder.is_here:
        raise GridfoldError(
            f"{found.holder} runs in a terminal there, and can be stopped only there: with Ctrl-C"
        )
    try:
        os.kill(found.holder.process.pid, signal.SIGINT)
    except PermissionError:
        raise GridfoldError(f"{found.holder} is another user's") from None


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise GridfoldError(
                f"{what} has not ended within {_PATIENCE_SECONDS:.0f} seconds; it was told to"
            )
        time.sleep(_LOOK_SECONDS)

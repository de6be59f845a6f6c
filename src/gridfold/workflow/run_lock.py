"""One Snakemake at a time runs a study; one that is gone is followed by the next.

Snakemake's own lock names files, and neither a process nor a machine: what a killed Snakemake has
left looks like that of a living one. So the main Snakemake of a run holds a lock of gridfold's
beside it, which says who that is. What it has submitted to Slurm, and what still runs there, is
waited for: otherwise it would be submitted again while it runs.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from pathlib import Path
from typing import Any

from gridfold.cluster.job import job_number
from gridfold.cluster.slurm import can_list_jobs, is_down, jobs_of_runs
from gridfold.paths import StudyPaths
from gridfold.store.locks import RunHolder, RunLock
from gridfold.store.running import RunBusy, run_names
from gridfold.terminal import say
from gridfold.wording import counted

# A controller that is well answers in a moment; Slurm's own commands try for a minute and more.
_FIRST_SECONDS = 5.0
# Between questions to Slurm, which other users ask too.
_QUESTION_SECONDS = 10.0
# From one look at a lock that names nobody to the next: it is being made, or was cut short.
_CUT_SHORT_SECONDS = 1.0
# Where Snakemake notes down which files a run reads and makes.
_SNAKEMAKE_LOCKS = Path(".snakemake/locks")


def hold(paths: StudyPaths) -> None:
    """Hold the lock of a study until this process ends, and take over what a dead run has left.

    Parameters
    ----------
    paths : StudyPaths

    Raises
    ------
    RunBusy
        When another Snakemake runs the study.
    NotWritten
    """
    lock = RunLock(paths.controller.lock)
    while not lock.acquire():
        holder = lock.holder()
        if holder is not None:
            if holder.process.job != job_number() or not holder.process.job:
                raise RunBusy(paths, holder)
            # This very job, before Slurm has put it on another node.
            say(f"waiting until nothing is heard of {holder} any more")
        time.sleep(_QUESTION_SECONDS if holder else _CUT_SHORT_SECONDS)
    atexit.register(lock.release)
    if lock.gone is not None:
        _take_over(paths, lock.gone)
    elif _locks_of(paths):
        say(
            f"Snakemake's lock in {_SNAKEMAKE_LOCKS} names files of {paths.root}, and gridfold "
            "knows of no run that has it: results/ was removed, or an earlier version of gridfold "
            "has made it"
        )


def _take_over(paths: StudyPaths, gone: RunHolder) -> None:
    """Remove Snakemake's lock of a run that is gone, and no other."""
    for file in _locks_of(paths):
        file.unlink(missing_ok=True)
    say(f"an earlier run of this study was cut off ({gone}); this one goes on from there")


def _locks_of(paths: StudyPaths) -> list[Path]:
    """Return the files of Snakemake's lock that name results of a study."""
    beginning = f"{paths.root}{os.sep}"
    found = []
    for file in _SNAKEMAKE_LOCKS.glob("*.lock"):
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        if any(line.startswith(beginning) for line in lines):
            found.append(file)
    return found


def wait_for_jobs(workflow: Any, paths: StudyPaths) -> bool:
    """Wait until the jobs that earlier Snakemakes have submitted for a study have ended.

    What they make counts: the jobs that have ended well are not repeated.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    paths : StudyPaths
        The study, whose lock this process holds.

    Returns
    -------
    bool
        Whether there were some.
    """
    if workflow.nodes is None or not can_list_jobs():
        return False
    names = run_names(paths.controller)
    told: set[str] = set()
    silent = is_down(_FIRST_SECONDS)
    if silent:
        say(
            "Slurm does not answer: no controller is up (`scontrol ping`). This run waits until "
            "one is; Ctrl-C ends it."
        )
    while (jobs := jobs_of_runs(names)) or jobs is None:
        if jobs is None and not silent:
            silent = True
            say(
                "Slurm does not answer whether jobs of an earlier Snakemake still run. "
                "Waiting until it does."
            )
        elif jobs and not told.issuperset(jobs):
            told.update(jobs)
            say(
                f"waiting for {counted(len(jobs), 'job')} that an earlier Snakemake has submitted "
                f"for this study: {', '.join(sorted(jobs))}. To do without: "
                f"gridfold stop {paths.root}, then start again."
            )
        try:
            time.sleep(_QUESTION_SECONDS)
        except KeyboardInterrupt:
            sys.exit(130)
    paths.controller.slurm_runs.unlink(missing_ok=True)
    return bool(names)


def note_jobs(workflow: Any, paths: StudyPaths) -> None:
    """Let whoever follows find the jobs that this Snakemake submits to Slurm."""
    if workflow.nodes is not None:
        # Only here: the plugin, which Snakemake has imported by now, brings pandas.
        from gridfold.cluster import executor

        executor.note_names_in(paths.controller.slurm_runs)

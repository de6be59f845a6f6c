"""What is known of the controller of a study, from any machine: by files, and by Slurm."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridfold.cluster import controller_job
from gridfold.cluster.commands import SlurmSilent
from gridfold.cluster.controller_job import QueuedJob
from gridfold.cluster.slurm import can_list_jobs, jobs_of_runs
from gridfold.errors import GridfoldError
from gridfold.paths import ControllerPaths, StudyPaths
from gridfold.store.locks import RunHolder, RunLock
from gridfold.store.running import clock, run_names
from gridfold.store.submission import Outcome, Submission
from gridfold.wording import counted

# From one look at what it says to the next.
_LOOK_SECONDS = 0.5
# How much of what it has said before is shown.
_SHOWN_BYTES = 4000
_WAITS = "PENDING"


@dataclass(frozen=True)
class Controller:
    """What is known of the controller of a study.

    Attributes
    ----------
    holder : RunHolder or None
        The Snakemake that has the study's lock, dead or alive.
    submission : Submission or None
        What `gridfold submit` has submitted last.
    outcome : Outcome or None
        How that has ended.
    queued : QueuedJob or None
        Its job, as Slurm has it; None without Slurm, and where the job has ended.
    supervisor : RunHolder or None
        Without Slurm: the process that keeps Snakemake alive.
    is_silent : bool
        Whether Slurm does not answer.
    jobs : dict of str to int
        Jobs of the study in Slurm's queue, by their state.
    """

    holder: RunHolder | None
    submission: Submission | None
    outcome: Outcome | None
    queued: QueuedJob | None
    supervisor: RunHolder | None
    is_silent: bool
    jobs: dict[str, int]

    @classmethod
    def of(cls, paths: StudyPaths) -> Controller:
        """Look at the controller of a study."""
        files = paths.controller
        submission = read_submission(files)
        queued, is_silent = None, False
        for number in job_numbers(files, submission):
            try:
                queued = queued or controller_job.queued(number)
            except SlurmSilent:
                is_silent = True
        names = run_names(files)
        states = jobs_of_runs(names) if names and can_list_jobs() else {}
        return cls(
            RunLock(files.lock).holder(),
            submission,
            Outcome.read(files.outcome) if files.outcome.exists() else None,
            queued,
            RunLock(files.supervisor).holder(),
            is_silent or states is None,
            dict(Counter((states or {}).values())),
        )

    @property
    def is_alive(self) -> bool:
        """Whether a submitted controller runs or waits in the queue, or is not known to be gone."""
        if self.submission is None or self.outcome is not None:
            return False
        if self.submission.job:
            return self.queued is not None or self.is_silent
        return self.supervisor is not None and self.supervisor.is_live

    @property
    def is_known(self) -> bool:
        """Whether there is anything to tell."""
        return self.submission is not None or self.holder is not None

    @property
    def sentence(self) -> str:
        """What becomes of it, in words."""
        if self.submission is None:
            return self._of_terminal()
        if self.outcome is not None:
            return f"{self.outcome.how}, at {clock(self.outcome.ended)}"
        if not self.submission.job:
            if self.supervisor is None:
                return f"gone from {self.submission.host}, and nobody knows why; submit it again"
            gone = "" if self.supervisor.is_live else "gone; submit it again: "
            return f"{gone}{self.supervisor}"
        job = f"Slurm job {self.submission.job}"
        if self.queued is None:
            if self.is_silent:
                return f"{job}; Slurm does not answer"
            return f"{job} is no longer in the queue, and has not ended by itself; submit it again"
        if self.queued.state == _WAITS:
            return f"{job} waits in the queue ({self.queued.reason})"
        where = f" on {self.queued.nodes}" if self.queued.nodes else ""
        left = f", {self.queued.left} left until it goes on in another job"
        return f"{job} is {self.queued.state}{where}{left}"

    def _of_terminal(self) -> str:
        assert self.holder is not None
        if self.holder.is_live:
            return f"not submitted, started as {self.holder}"
        return f"cut off ({self.holder}); the same command goes on"

    def lines(self) -> list[str]:
        """Return what `gridfold status` says of it."""
        if not self.is_known:
            return []
        lines = [f"controller: {self.sentence}"]
        if self.jobs:
            states = ", ".join(f"{n} {state.lower()}" for state, n in sorted(self.jobs.items()))
            lines.append(f"queue: {counted(sum(self.jobs.values()), 'job')}: {states}")
        return lines

    def facts(self) -> dict[str, Any] | None:
        """Return the same for programs."""
        if not self.is_known:
            return None
        live = self.holder is not None and self.holder.is_live
        return {
            "alive": self.is_alive or live,
            "says": self.sentence,
            "job": self.submission.job if self.submission and self.submission.job else None,
            "outcome": self.outcome.how if self.outcome else None,
            "queue": self.jobs,
        }


def read_submission(files: ControllerPaths) -> Submission | None:
    """Return what was submitted last; None for nothing."""
    return Submission.read(files.submission) if files.submission.exists() else None


def job_numbers(files: ControllerPaths, submission: Submission | None) -> list[str]:
    """Return the number of the controller's job, and after it that of its successor."""
    if submission is None or not submission.job or not can_list_jobs():
        return []
    successor = files.successor
    more = [successor.read_text(encoding="utf-8")] if successor.exists() else []
    return [submission.job, *more]


def attach(paths: StudyPaths) -> None:
    """Show what the controller of a study says, until it ends.

    Raises
    ------
    GridfoldError
        When nothing was submitted.
    """
    files = paths.controller
    if not files.output.exists():
        found = Controller.of(paths)
        how = f"; it is run in a terminal: {found.sentence}" if found.is_known else ""
        raise GridfoldError(f"{paths.root}: no controller was submitted{how}")
    print(f"controller: {Controller.of(paths).sentence}", file=sys.stderr, flush=True)
    position = max(0, files.output.stat().st_size - _SHOWN_BYTES)
    looked = 0.0
    is_alive = True
    while True:
        position = _show(files.output, position)
        if not is_alive:
            break
        if time.monotonic() - looked > 20 * _LOOK_SECONDS or files.outcome.exists():
            # Slurm is asked seldom.
            is_alive, looked = Controller.of(paths).is_alive, time.monotonic()
        time.sleep(_LOOK_SECONDS if is_alive else 0)
    print(f"controller: {Controller.of(paths).sentence}", file=sys.stderr)


def _show(file: Path, position: int) -> int:
    with file.open("rb") as stream:
        stream.seek(position)
        text = stream.read()
    os.write(sys.stdout.fileno(), text)
    return position + len(text)

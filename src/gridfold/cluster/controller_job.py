"""Submit, find, requeue and cancel the Slurm job in which a controller runs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gridfold.advice import recognise
from gridfold.cluster.commands import SBATCH, SlurmSilent, ask
from gridfold.cluster.slurm import minutes_of
from gridfold.errors import GridfoldError

# What Slurm gives as the reason of a job that it ends at its time limit.
_TIME_LIMIT = "TimeLimit"
# Slurm takes so many jobs in one command without trouble.
_AT_ONCE = 500
# Seconds before the time limit at which the controller is told of it. Slurm may be a minute early.
_NOTICE_SECONDS = 120
# Snakemake holds the plan of a study and little else.
_MEMORY = "2G"


@dataclass(frozen=True)
class QueuedJob:
    """A job as Slurm's queue has it.

    Attributes
    ----------
    state : str
        In Slurm's words, as ``PENDING``.
    reason : str
        Why it waits, or where it ended.
    nodes : str
        Where it runs.
    left : str
        Time that is left of its limit, as Slurm writes it.
    """

    state: str
    reason: str
    nodes: str
    left: str


def can_submit() -> bool:
    """Tell whether jobs can be submitted to Slurm from here."""
    return shutil.which(SBATCH) is not None


def submit(options: Sequence[str], script: Path) -> str:
    """Submit a script and return the number of its job.

    Raises
    ------
    GridfoldError
        When Slurm does not take it, or does not answer.
    """
    answer = ask(SBATCH, "--parsable", *options, str(script))
    found = re.search(r"^(\d+)", answer.text, re.M)
    if answer.is_good and found:
        return found[1]
    cause = recognise(answer.error)
    advice = f"\n{cause.name}: {cause.advice}" if cause else ""
    raise GridfoldError(
        f"Slurm has not taken the controller: {answer.reason}; nothing was run.{advice}"
    )


@dataclass(frozen=True)
class JobWishes:
    """What the job of a controller asks for besides a core and some memory.

    Attributes
    ----------
    name : str
        Of the job.
    output : Path
        Gets all that it says.
    minutes : int
        Its time limit.
    partition, account, qos : str or None
        None for the cluster's default.
    mail : str or None
        Address that Slurm tells of its end and of its failure.
    others : sequence of str
        Options of `sbatch`, which come last.
    """

    name: str
    output: Path
    minutes: int
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    mail: str | None = None
    others: Sequence[str] = ()

    def options(self) -> list[str]:
        """Return the options of `sbatch`."""
        given = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "mail-user": self.mail,
            "mail-type": "END,FAIL" if self.mail else None,
        }
        notice = min(_NOTICE_SECONDS, self.minutes * 60 // 4)
        return [
            f"--job-name={self.name}",
            *("--ntasks=1", "--cpus-per-task=1", f"--mem={_MEMORY}", f"--time={self.minutes}"),
            *("--requeue", f"--signal=B:USR1@{notice}"),
            *("--open-mode=append", f"--output={self.output}"),
            *(f"--{name}={value}" for name, value in given.items() if value),
            *self.others,
        ]


def longest_minutes(partition: str | None) -> int | None:
    """Return how long a job of a partition may run; None for any time, or if nobody says.

    Parameters
    ----------
    partition : str or None
        None for the cluster's default one.

    Raises
    ------
    GridfoldError
        When there is no such partition, or Slurm does not answer.
    """
    answer = ask("sinfo", "--noheader", "--format=%P|%l")
    limits = dict(line.strip().split("|") for line in answer.text.splitlines() if "|" in line)
    if partition is None:
        return next((minutes_of(limits[name]) for name in limits if name.endswith("*")), None)
    limits = {name.removesuffix("*"): limit for name, limit in limits.items()}
    # One job may name several.
    names = partition.split(",")
    if unknown := [name for name in names if name not in limits]:
        raise GridfoldError(
            f"partition {unknown[0]} is none of this cluster; allowed: {', '.join(limits)}"
        )
    known = [m for m in (minutes_of(limits[name]) for name in names) if m is not None]
    return min(known, default=None)


def queued(job: str) -> QueuedJob | None:
    """Return what the queue knows of a job; None when it has ended.

    Raises
    ------
    SlurmSilent
    """
    answer = ask("squeue", "--noheader", "--format=%T|%r|%N|%L", f"--jobs={job}")
    lines = answer.text.split("\n") if answer.is_good else []
    fields = lines[0].strip().split("|") if lines and lines[0].strip() else []
    return QueuedJob(*fields) if len(fields) == 4 else None


def has_reached_limit(job: str) -> bool:
    """Tell whether Slurm ends a job because its time is over."""
    try:
        found = queued(job)
    except SlurmSilent:
        return False
    return found is not None and found.reason == _TIME_LIMIT


def may_be_requeued(job: str) -> bool:
    """Tell whether Slurm starts a job again; where it does not say, it does."""
    try:
        answer = ask("scontrol", "show", "job", job)
    except SlurmSilent:
        return True
    return "Requeue=0" not in answer.text


def requeue(job: str) -> bool:
    """Let Slurm end a job and start it again; say whether it has agreed."""
    try:
        return ask("scontrol", "requeue", job).is_good
    except SlurmSilent:
        return False


def cancel(jobs: Iterable[str]) -> None:
    """Cancel jobs; those that have ended are passed over.

    Raises
    ------
    SlurmSilent
    """
    numbers = sorted(set(jobs))
    for start in range(0, len(numbers), _AT_ONCE):
        ask("scancel", "--quiet", *numbers[start : start + _AT_ONCE])

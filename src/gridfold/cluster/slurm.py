"""Ask Slurm about jobs and nodes (`squeue`, `scontrol`)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gridfold.cluster.commands import SlurmSilent, ask
from gridfold.cluster.job import job_number, knows_nodes, node_variables

# States in which a job has processes; a job that waits after it was requeued has none.
_LIVE_STATES = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"}


@dataclass(frozen=True)
class Node:
    """A node of a Slurm job.

    Attributes
    ----------
    name : str
        Slurm's name of the node.
    tasks : int
        Tasks that the job's cores on the node are enough for.
    """

    name: str
    tasks: int


def can_list_jobs() -> bool:
    """Tell whether this machine can ask Slurm for its jobs."""
    return shutil.which("squeue") is not None


def is_down(seconds: float | None = None) -> bool:
    """Tell whether no controller of Slurm answers; where that can't be asked, one does.

    Parameters
    ----------
    seconds : float, optional
        Time for the answer; by default that of every question.
    """
    if shutil.which("scontrol") is None:
        return False
    try:
        answer = ask("scontrol", "ping", seconds=seconds)
    except SlurmSilent:
        return True
    return " is DOWN" in answer.text and " is UP" not in answer.text


def nodes_that_must_be_told() -> list[Node]:
    """Return the nodes of this process's Slurm job, where nothing in the environment tells them."""
    job = job_number()
    return slurm_nodes(job) if job and not knows_nodes() else []


def slurm_nodes(job: str) -> list[Node]:
    """Return the nodes of a job, as Slurm itself knows them; none where Slurm does not answer."""
    text = _text("scontrol", "--details", "show", "job", job)
    match = re.search(r"CPUs/Task=(\d+)", text)
    each = int(match[1]) if match else 1
    return [
        Node(name, max(1, _count(cores) // each))
        for names, cores in re.findall(r"^ +Nodes=(\S+) CPU_IDs=(\S+)", text, re.M)
        for name in _text("scontrol", "show", "hostnames", names).split()
    ]


def ranks_on(nodes: Sequence[Node], ranks: int) -> list[int]:
    """Return how many of `ranks` processes run on each node: evenly, as far as cores allow."""
    placed = [0] * len(nodes)
    for _ in range(ranks):
        free = [i for i, node in enumerate(nodes) if placed[i] < node.tasks] or range(len(nodes))
        placed[min(free, key=lambda i: placed[i])] += 1
    return placed


def lost_variables(ranks: int) -> dict[str, str]:
    """Return the variables that a job of Snakemake's has lost, for so many ranks."""
    nodes = nodes_that_must_be_told()
    return slurm_variables(job_number(), nodes, ranks) if nodes else {}


def slurm_variables(job: str, nodes: Sequence[Node], ranks: int) -> dict[str, str]:
    """Return the variables from which the launchers of MPI learn where to start `ranks` processes.

    `sbatch` has set them, but not for what runs in the job, see :mod:`gridfold.cluster.step`.
    """
    return node_variables(job, ",".join(node.name for node in nodes), ranks_on(nodes, ranks))


def _count(ranges: str) -> int:
    """Return how many numbers are in a list such as ``0-3,8``."""
    ends = [part.split("-") for part in ranges.split(",")]
    return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)


def _text(*command: str) -> str:
    """Return what a command answers; nothing where it can't."""
    try:
        answer = ask(*command)
    except SlurmSilent:
        return ""
    return answer.text if answer.is_good else ""


def has_processes(job: str) -> bool | None:
    """Say whether a job has processes; None when Slurm can't be asked."""
    try:
        answer = ask("squeue", "--noheader", "--format=%T", f"--jobs={job}")
    except SlurmSilent:
        return None
    if not answer.is_good:
        # Slurm forgets jobs some minutes after their end.
        return False if "Invalid job id" in answer.error else None
    return bool(_LIVE_STATES & set(answer.text.split()))


def has_jobs() -> bool:
    """Tell whether this user has jobs that wait or run; where that can't be asked, there are."""
    try:
        answer = ask("squeue", "--me", "--noheader", "--format=%i")
    except SlurmSilent:
        return True
    return not answer.is_good or bool(answer.text.strip())


# Characters of the name of a run that the names of its jobs end with.
RUN_CHARACTERS = 8


def jobs_of_runs(runs: Collection[str]) -> dict[str, str] | None:
    """Return the state of each of this user's jobs that one of these runs has submitted, by number.

    None where Slurm does not answer.

    Parameters
    ----------
    runs : collection of str
        The names that the executor has noted down; a job's name ends with the first characters.
    """
    try:
        answer = ask("squeue", "--me", "--noheader", "--format=%i|%T|%j")
    except SlurmSilent:
        return None
    if not answer.is_good:
        return None
    ends = {run[:RUN_CHARACTERS] for run in runs}
    jobs = (line.strip().split("|", 2) for line in answer.text.splitlines())
    return {
        job[0]: job[1]
        for job in jobs
        if len(job) == 3 and job[2].rpartition(" ")[2][:RUN_CHARACTERS] in ends
    }


def minutes_of(text: str) -> int | None:
    """Return the whole minutes of a time limit, as ``2-00:00:00`` or ``60``; None for none."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if match is None:
        return None
    days, first, second, _ = (int(part) if part else 0 for part in match.groups())
    if match[1] or match[4]:
        # Days-hours:minutes:seconds, and hours:minutes:seconds.
        return days * 1440 + first * 60 + second
    # Minutes, and minutes:seconds.
    return first

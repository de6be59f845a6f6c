"""Questions to Slurm about jobs and nodes: `squeue` and `scontrol`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gridfold.advice import NO_CONTROLLER, recognise

# States in which a job has processes; a job that waits after it was requeued has none.
_LIVE_STATES = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"}


@dataclass(frozen=True)
class Node:
    """A node of a Slurm job.

    Attributes
    ----------
    name : str
    tasks : int
        That the job's cores on it are enough for.
    """

    name: str
    tasks: int


def slurm_nodes(job: str) -> list[Node]:
    """Return the nodes of a job, as Slurm itself knows them; none where Slurm does not answer."""
    text = _output("scontrol", "--details", "show", "job", job)
    match = re.search(r"CPUs/Task=(\d+)", text)
    each = int(match[1]) if match else 1
    return [
        Node(name, max(1, _count(cores) // each))
        for names, cores in re.findall(r"^ +Nodes=(\S+) CPU_IDs=(\S+)", text, re.M)
        for name in _output("scontrol", "show", "hostnames", names).split()
    ]


def ranks_on(nodes: Sequence[Node], ranks: int) -> list[int]:
    """Return how many of `ranks` processes run on each node: evenly, as far as cores allow."""
    placed = [0] * len(nodes)
    for _ in range(ranks):
        free = [i for i, node in enumerate(nodes) if placed[i] < node.tasks] or range(len(nodes))
        placed[min(free, key=lambda i: placed[i])] += 1
    return placed


def slurm_variables(job: str, nodes: Sequence[Node], ranks: int) -> dict[str, str]:
    """Return the variables from which the launchers of MPI learn where to start `ranks` processes.

    `sbatch` has set them, but Snakemake's step inside a job takes them away.
    """
    names = ",".join(node.name for node in nodes)
    tasks = ",".join(map(str, ranks_on(nodes, ranks)))
    return {
        "SLURM_JOBID": job,
        "SLURM_NODELIST": names,
        "SLURM_JOB_NODELIST": names,
        "SLURM_NNODES": str(len(nodes)),
        "SLURM_JOB_NUM_NODES": str(len(nodes)),
        "SLURM_TASKS_PER_NODE": tasks,
    }


def _count(ranges: str) -> int:
    """Return how many numbers are in a list such as ``0-3,8``."""
    ends = [part.split("-") for part in ranges.split(",")]
    return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)


def _output(*command: str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""


def has_processes(job: str) -> bool | None:
    """Say whether a job has processes; None when Slurm can't be asked."""
    command = ["squeue", "--noheader", "--format=%T", f"--jobs={job}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if answer.returncode != 0:
        # Slurm forgets jobs some minutes after their end.
        return False if "Invalid job id" in answer.stderr else None
    return bool(_LIVE_STATES & set(answer.stdout.split()))


def snakemake_jobs(folder: Path) -> set[str] | None:
    """Return the ids of this user's jobs that Snakemake has submitted from a folder.

    None where Slurm does not answer.
    """
    answer = subprocess.run(
        ["squeue", "--me", "--noheader", "--format=%i|%Z|%k"],
        capture_output=True,
        text=True,
        check=False,
    )
    if recognise(answer.stderr) is NO_CONTROLLER:
        return None
    jobs = (line.strip().split("|", 2) for line in answer.stdout.splitlines())
    return {
        job[0]
        for job in jobs
        if len(job) == 3 and Path(job[1]) == folder and job[2].startswith("rule_")
    }

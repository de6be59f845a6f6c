"""What a job was really given, and how its pool of trials uses all of it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gridfold.usage import Share


@dataclass(frozen=True)
class Allocation:
    """CPU cores and GPUs of a job.

    Attributes
    ----------
    cores : int
    gpus : tuple of str
        As ``CUDA_VISIBLE_DEVICES`` names them: numbers, or UUIDs.
    """

    cores: int
    gpus: tuple[str, ...] = ()

    @classmethod
    def of_job(
        cls, threads: int, *, remote: bool, environment: Mapping[str, str] | None = None
    ) -> Allocation:
        """Return what this process may use.

        Parameters
        ----------
        threads : int
            Cores that the rule asked for.
        remote : bool
            Whether the job has its allocation to itself. Otherwise it shares the machine with
            other jobs of the same Snakemake, and what it asked for is what it has.
        environment : mapping of str to str, optional
            By default this process's.

        Notes
        -----
        A site may give other cores than `threads`: with ``cpus_per_task`` or ``cpus_per_gpu`` in
        its profile. Slurm tells the step of a job in ``SLURM_CPUS_PER_TASK``, which `srun` sets
        anew after Snakemake's job step has cleared the environment; else the kernel knows.
        """
        environment = os.environ if environment is None else environment
        visible = environment.get("CUDA_VISIBLE_DEVICES", "").split(",")
        # CUDA itself takes -1 for the end of the list, and "NoDevFiles" is Slurm's word for none.
        gpus = tuple(d.strip() for d in visible if d.strip() not in ("", "-1", "NoDevFiles"))
        if not remote:
            return cls(threads, gpus)
        told = environment.get("SLURM_CPUS_PER_TASK", "")
        if told.isdigit():
            return cls(int(told), gpus)
        if "SLURM_JOB_ID" in environment:
            return cls(_runnable_cores(), gpus)
        return cls(threads, gpus)

    def workers(self, threads_per_worker: int, wanted: int = 0) -> int:
        """Return how many trials run at once.

        Parameters
        ----------
        threads_per_worker : int
            ``execution.threads_per_worker``.
        wanted : int
            ``execution.workers``, or 0 for ``auto``: one for each GPU, or as many as the cores
            allow.
        """
        if wanted:
            return wanted
        return len(self.gpus) or max(1, self.cores // threads_per_worker)

    def share(self, workers: int) -> Share:
        """Return what each of so many trials at once has of this."""
        return Share(self.cores / workers, len(self.gpus) / workers)


def _runnable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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

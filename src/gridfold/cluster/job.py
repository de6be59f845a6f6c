"""Slurm's variables tell a process which job, and which task of it, it belongs to."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass

CPUS_PER_TASK = "SLURM_CPUS_PER_TASK"
TASK, TASK_ON_NODE = "SLURM_PROCID", "SLURM_LOCALID"
_JOB = "SLURM_JOB_ID"
_NODES = ("SLURM_JOB_NODELIST", "SLURM_NODELIST")


@dataclass(frozen=True)
class SlurmJob:
    """The Slurm job that this process belongs to.

    Attributes
    ----------
    job_id : str
        Number of the job.
    partition, nodes : str or None
        Where it runs; nodes in Slurm's short form, as ``c[1-2]``.
    tasks : int
        Tasks of the job, or of the step in it.
    task : int or None
        Which of them this process is, from 0.
    cpus_per_task : int or None
        CPU cores of each task.
    """

    job_id: str
    partition: str | None
    nodes: str | None
    tasks: int
    task: int | None
    cpus_per_task: int | None

    @classmethod
    def of_process(cls, environment: Mapping[str, str] = os.environ) -> SlurmJob | None:
        """Return the job that this process runs in, or None outside of jobs."""
        number = job_number(environment)
        if not number:
            return None
        return cls(
            number,
            environment.get("SLURM_JOB_PARTITION"),
            environment.get(_NODES[0]),
            _whole(environment, "SLURM_NTASKS") or 1,
            task_number(environment),
            cpus_per_task(environment),
        )


def job_number(environment: Mapping[str, str] = os.environ) -> str:
    """Return the number of the Slurm job that this process runs in; empty outside of jobs."""
    return environment.get(_JOB, "")


def cpus_per_task(environment: Mapping[str, str] = os.environ) -> int | None:
    """Return the CPU cores that Slurm says this task has, if it says so."""
    return _whole(environment, CPUS_PER_TASK)


def task_number(environment: Mapping[str, str] = os.environ) -> int | None:
    """Return which task of its step this process is, from 0; None where Slurm did not start it."""
    return _whole(environment, TASK)


def task_on_node(environment: Mapping[str, str] = os.environ) -> int | None:
    """Return which of the tasks on its node this process is, from 0; None as the task's number."""
    return _whole(environment, TASK_ON_NODE)


def knows_nodes(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the variables say on which nodes the job runs."""
    return any(name in environment for name in _NODES)


def node_name(environment: Mapping[str, str] = os.environ) -> str:
    """Return Slurm's name of this node, that of its logs; elsewhere the machine's own."""
    return environment.get("SLURMD_NODENAME") or platform.node()


def node_variables(number: str, nodes: str, tasks_on_nodes: list[int]) -> dict[str, str]:
    """Return the variables from which the launchers of MPI learn where a job's processes go."""
    return {
        "SLURM_JOBID": number,
        "SLURM_NNODES": str(len(tasks_on_nodes)),
        "SLURM_JOB_NUM_NODES": str(len(tasks_on_nodes)),
        "SLURM_TASKS_PER_NODE": ",".join(map(str, tasks_on_nodes)),
        **dict.fromkeys(_NODES, nodes),
    }


def _whole(environment: Mapping[str, str], name: str) -> int | None:
    value = environment.get(name, "")
    return int(value) if value.isdigit() else None

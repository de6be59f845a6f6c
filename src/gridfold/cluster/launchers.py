"""Launchers start the processes of a job and tell each of them which one it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from gridfold.cluster.commands import SRUN
from gridfold.cluster.job import TASK, TASK_ON_NODE, job_number

# How launchers tell a process its rank: Open MPI, PMIx, MPICH and Intel MPI, Horovod's own, Slurm.
_RANK_VARIABLES = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "HOROVOD_RANK", TASK)
_LOCAL_RANK_VARIABLES = (
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MPI_LOCALRANKID",
    "HOROVOD_LOCAL_RANK",
    TASK_ON_NODE,
)


def launched_rank() -> int:
    """Return the rank that the launcher gave to this process; 0 without a launcher."""
    return _first_of(_RANK_VARIABLES)


def launched_local_rank() -> int:
    """Return which of the processes on its node this is; 0 without a launcher."""
    return _first_of(_LOCAL_RANK_VARIABLES)


def _first_of(names: tuple[str, ...]) -> int:
    return next((int(os.environ[name]) for name in names if name in os.environ), 0)


def options_for_ranks(launcher: str) -> list[str]:
    """Return what a launcher must be told so that all ranks end when one does; Slurm waits."""
    return ["--kill-on-bad-exit=1"] if Path(launcher).name == SRUN else []


def launcher_of_job() -> list[str] | None:
    """Return the command that starts processes in this Slurm job; None outside of jobs."""
    return [SRUN, "--mpi=none"] if job_number() and shutil.which(SRUN) else None


def options_for_workers(workers: int, cores: int) -> list[str]:
    """Return what `srun` must be told to start workers that live and die apart.

    Parameters
    ----------
    workers : int
    cores : int
        CPU cores of each.
    """
    # One worker that dies takes no other with it, at whatever time after.
    apart = ["--kill-on-bad-exit=0", "--wait=0"]
    return [f"--ntasks={workers}", f"--cpus-per-task={cores}", *apart]

"""An allocation says which cores and GPUs a job was given, and how its trials share them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from gridfold.cluster.job import cpus_per_task, job_number


@dataclass(frozen=True)
class Allocation:
    """CPU cores and GPUs of a job.

    Attributes
    ----------
    cores : int
        CPU cores of the job.
    gpus : tuple of str
        As ``CUDA_VISIBLE_DEVICES`` names them: numbers, or UUIDs.
    """

    cores: int
    gpus: tuple[str, ...] = ()

    @classmethod
    def of_job(
        cls, threads: int, *, remote: bool, environment: Mapping[str, str] = os.environ
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
        visible = environment.get("CUDA_VISIBLE_DEVICES", "").split(",")
        # CUDA itself takes -1 for the end of the list, and "NoDevFiles" is Slurm's word for none.
        gpus = tuple(d.strip() for d in visible if d.strip() not in ("", "-1", "NoDevFiles"))
        if not remote:
            return cls(threads, gpus)
        told = cpus_per_task(environment)
        if told is not None:
            return cls(told, gpus)
        if job_number(environment):
            return cls(_runnable_cores(), gpus)
        return cls(threads, gpus)

    def workers(self, threads_per_worker: int, wanted: int = 0, trials_per_gpu: int = 1) -> int:
        """Return how many trials run at once.

        Parameters
        ----------
        threads_per_worker : int
            ``execution.threads_per_worker``.
        wanted : int
            ``execution.workers``, or 0 for ``auto``: what the GPUs hold, or as many as the cores
            allow.
        trials_per_gpu : int
            ``execution.trials_per_gpu``.
        """
        if wanted:
            return wanted
        return len(self.gpus) * trials_per_gpu or max(1, self.cores // threads_per_worker)

    def share(self, workers: int) -> Share:
        """Return what each of so many trials at once has of this."""
        return Share(self.cores / workers, len(self.gpus) / workers)


def _runnable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Share:
    """What of its job a trial has to itself.

    Attributes
    ----------
    cores, gpus : float
        Fractions where more trials run at once than there are cores or GPUs.
    """

    cores: float = 1.0
    gpus: float = 0.0

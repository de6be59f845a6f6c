"""A training job on one node finds out what it was given and trains its trials side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridfold.cluster.allocation import Allocation
from gridfold.jobs import pool
from gridfold.jobs.shard import Attempt, ShardJob, ShardTables
from gridfold.paths import StudyPaths
from gridfold.requests import TrainRequest
from gridfold.store.job_records import JobResources


def train_here(
    name: str,
    request: TrainRequest,
    root: Path,
    outputs: ShardTables,
    *,
    threads: int,
    resources: Mapping[str, Any],
    retries: int,
) -> None:
    """Train the trials of a shard or slot; see :class:`gridfold.jobs.shard.ShardJob`.

    Parameters
    ----------
    name : str
        Of the shard or slot.
    request : TrainRequest
        With the trials of the shard or slot.
    root : Path
        ``results/<study>``.
    outputs : ShardTables
    threads : int
        CPU cores that the job has asked for.
    resources : mapping of str to object
        Of the job, as Snakemake has them: ``attempt``, ``remote``, ``workers`` (0 for
        ``auto``), ``trials_per_gpu``, ``mem_mb``, ``runtime``, and ``trial_timeout`` (0 for none).
    retries : int
        Attempts after the first.
    """
    train, asked = trainer_of_job(threads, request.conditions.threads, resources)
    attempt = Attempt.of(resources["attempt"], retries)
    ShardJob(name, request, StudyPaths(root), attempt, asked).run(train, outputs)


def trainer_of_job(
    threads: int, threads_per_worker: int, resources: Mapping[str, Any]
) -> tuple[pool.PoolTrainer, JobResources]:
    """Return what trains with all that this job was given, and what that is.

    Parameters
    ----------
    threads : int
        CPU cores that the job has asked for.
    threads_per_worker : int
        ``execution.threads_per_worker``.
    resources : mapping of str to object
        As for :func:`train_here`.
    """
    given = Allocation.of_job(threads, remote=bool(resources["remote"]))
    workers = given.workers(threads_per_worker, resources["workers"], resources["trials_per_gpu"])
    memory_mb, minutes = int(resources["mem_mb"]), int(resources["runtime"])
    return (
        pool.trainer(given, workers, resources["trial_timeout"] or None),
        JobResources(given.cores, len(given.gpus), workers, memory_mb, minutes),
    )

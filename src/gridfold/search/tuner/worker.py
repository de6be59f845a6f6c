"""One worker of a distributed search trains what the chief gives it.

``python -m gridfold.search.tuner.worker results/<study>`` starts one. It takes the chief's address
from Keras Tuner's variables or, started by hand while the search is under way, from the chief's
file. It may come late and leave early.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gridfold import typed_json
from gridfold.cluster.allocation import Allocation
from gridfold.cluster.job import job_number, task_number, task_on_node
from gridfold.jobs import pool
from gridfold.jobs.job import job
from gridfold.paths import StudyPaths
from gridfold.requests import TuneRequest
from gridfold.search.tuner.search import TuningStudy, run_search
from gridfold.store.job_records import JobResources

TUNER_ID = "KERASTUNER_TUNER_ID"


@dataclass(frozen=True)
class WorkerJob:
    """What the workers of a search must know.

    Attributes
    ----------
    request : TuneRequest
        What the search was asked for.
    cores : int
        CPU cores of each worker.
    on_node : int
        Workers on each node.
    trial_timeout : float or None
        Seconds after which a trial that has not ended is killed.
    trials_per_gpu : int
        ``execution.trials_per_gpu``.
    """

    request: TuneRequest
    cores: int
    on_node: int
    trial_timeout: float | None = None
    trials_per_gpu: int = 1


def worker_name(environment: Mapping[str, str]) -> str:
    """Return the name of this worker among those of its search."""
    if TUNER_ID in environment:
        return environment[TUNER_ID]
    task = task_number(environment)
    return f"{platform.node()}.{os.getpid()}" if task is None else f"worker{task}"


def own_gpus(gpus: tuple[str, ...], place: int, workers: int) -> tuple[str, ...]:
    """Return this worker's share of the GPUs of a node; with more workers than GPUs, one of them.

    Parameters
    ----------
    gpus : tuple of str
        Those of the node that the job has; its steps see all of them.
    place : int
        Of this worker among those on the node, from 0.
    workers : int
        On the node.
    """
    return gpus[place::workers] or gpus[place % len(gpus) :][:1] if gpus else ()


def work(root: Path) -> None:
    """Train what the chief asks for until the search is over."""
    # gRPC need not look after children: all are other programs, or forks of the fork server.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    paths = StudyPaths(root)
    told = typed_json.read(WorkerJob, paths.tuner_job)
    name = worker_name(os.environ)
    given = Allocation.of_job(told.cores, remote=bool(job_number()))
    place = task_on_node()
    if place is None:
        place = int(os.environ.get("GRIDFOLD_LOCALID", "0"))
    given = Allocation(given.cores, own_gpus(given.gpus, place, told.on_node))
    threads, shared = told.request.conditions.threads, told.trials_per_gpu
    workers = given.workers(threads, trials_per_gpu=shared)

    from gridfold.search.tuner.oracle_client import OracleClient

    client = OracleClient(paths.tuner_chief, name)
    with client.beating():
        run_search(
            TuningStudy(told.request, paths, told.trial_timeout),
            lambda: client,
            name,
            pool.trainer(given, workers, told.trial_timeout),
            JobResources(given.cores, len(given.gpus), workers),
        )


def main() -> None:
    """Run one worker with its own log."""
    parser = argparse.ArgumentParser(description="One worker of a distributed search.")
    parser.add_argument("root", type=Path, help="results/<study>")
    options = parser.parse_args()
    with job(StudyPaths(options.root).log("tune_workers", worker_name(os.environ))):
        work(options.root)


if __name__ == "__main__":
    main()

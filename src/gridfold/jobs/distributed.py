"""These jobs train what needs several processes or devices: a shard, or the final model.

They are started by a command and read the study anew, as every job of Snakemake does: Slurm wants
shell rules for MPI, and a command with a path is one that a person can repeat. They run outside of
a container, so that a launcher of the machine's can start one for each rank.
"""

from __future__ import annotations

import argparse
import json
import logging
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gridfold.atomic import write_json
from gridfold.cluster.allocation import Allocation
from gridfold.cluster.placement import Placement, Site, processes
from gridfold.environment.versions import versions_in_container
from gridfold.jobs import pool, ranks
from gridfold.jobs.budget import BudgetedTrials
from gridfold.jobs.helping import OwnThenOthers
from gridfold.jobs.shard import Attempt, ShardJob, ShardTables, Trials, TrialsFailed
from gridfold.jobs.work import final_folder, final_work
from gridfold.plan.plan import Plan
from gridfold.requests import FinalRequest, TrainRequest
from gridfold.store.job_records import JobResources
from gridfold.store.locks import holding
from gridfold.store.selection import Selection

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """Return the parser of what both jobs are told."""
    parser = argparse.ArgumentParser(description="Train on several processes or devices.")
    parser.add_argument("--study", nargs="*", type=Path, required=True, help="study files")
    parser.add_argument("--results", type=Path, required=True, help="folder of all results")
    parser.add_argument("--set", type=json.loads, default={}, help="values over the study's, JSON")
    parser.add_argument("--launcher", default=ranks.AUTO, help="command that starts the ranks")
    parser.add_argument(
        "--container",
        type=_words,
        default=(),
        help="command that runs another one in the container of the ranks",
    )
    parser.add_argument("--log", required=True, help="log of the job")
    return parser


def _words(text: str) -> tuple[str, ...]:
    return tuple(shlex.split(text))


@dataclass(frozen=True)
class Start:
    """How the processes of a job are started.

    Attributes
    ----------
    launcher : str
    container : tuple of str
        Both as in :class:`gridfold.jobs.ranks.Launch`.
    """

    launcher: str = ranks.AUTO
    container: tuple[str, ...] = ()

    def launch(self, plan: Plan, processes: int) -> ranks.Launch:
        """Return the launch of so many processes."""
        execution = plan.study.execution
        return ranks.Launch(
            self.launcher,
            processes,
            execution.start_timeout,
            execution.trial_timeout,
            self.container,
        )

    def versions(self) -> Mapping[str, str] | None:
        """Return the versions in the container, if there is one."""
        return versions_in_container(self.container) if self.container else None


def train_shard(
    plan: Plan,
    request: TrainRequest,
    shard: str,
    start: Start,
    outputs: ShardTables,
    attempt: int,
) -> None:
    """Train the trials of one shard; see :class:`gridfold.jobs.shard.ShardJob`."""
    launch, folder = start.launch(plan, plan.processes(shard)), plan.paths.ranks(shard)
    cores = plan.study.execution.threads_per_worker * plan.processes(shard)
    replicas = Placement.of(plan.members(shard)[0][1].settings, Site()).replicas
    gpus = replicas if Allocation.of_job(cores, remote=False).gpus else 0
    job = ShardJob(
        shard,
        request,
        plan.paths,
        Attempt.of(attempt, plan.study.execution.retries),
        JobResources(cores, gpus),
        start.versions(),
    )

    def train(works: Trials, on_event: pool.Listener, meanwhile: Callable[[], None]) -> None:
        assert not isinstance(works, OwnThenOthers), "jobs on several devices help no others"
        known = works.all() if isinstance(works, BudgetedTrials) else works
        ranks.run(known, launch, folder, on_event, meanwhile)

    job.run(train, outputs)


def train_final(plan: Plan, request: FinalRequest, best: Path, start: Start, record: Path) -> None:
    """Train the final model as its configuration was trained in cross-validation.

    The weights go to the run store, where `fit_final` finds them. A configuration on one device is
    left to `fit_final`.

    Raises
    ------
    TrialsFailed
        When the training fails.
    """
    selection = Selection.read(best)
    with holding(final_folder(selection, plan.paths)):
        threads = request.conditions.threads
        work = final_work(request, selection, plan.paths, threads, start.versions())
        is_distributed = "distribution" in work.task.settings["training"]
        if is_distributed and work.store.result(work.task.epochs) is None:
            launch = start.launch(plan, processes(work.task.settings))
            failures: list[str] = []
            ranks.run([work], launch, plan.paths.ranks("final"), _listener(failures))
            if failures:
                raise TrialsFailed(f"the final model: {failures[0]}")
    text = {"config_id": selection.config_id, "trained_here": is_distributed}
    write_json(record, text, indent=1)


def _listener(failures: list[str]) -> pool.Listener:
    def listen(event: pool.Event) -> None:
        if event.failure is not None:
            failures.append(event.failure.reason)
        elif event.row is not None:
            log.info("final model: epoch %d, loss %.6g", event.row["epoch"], event.row["loss"])

    return listen

"""The job of the rule `tune` searches with Keras Tuner or Optuna, with workers or alone."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from gridfold.cluster.allocation import Allocation
from gridfold.jobs import pool
from gridfold.jobs.distributed import Start, arguments
from gridfold.jobs.shard import ShardTables
from gridfold.plan.budget import BudgetView
from gridfold.plan.left_out import write_left_out
from gridfold.plan.plan import Plan
from gridfold.requests import TuneRequest
from gridfold.search.tuner.opening import open_any
from gridfold.search.tuner.outcome import explored, results
from gridfold.search.tuner.search import TuningStudy, run_search
from gridfold.search.tuner.workers import WorkerProcesses, run_distributed
from gridfold.store.job_records import JobResources
from gridfold.store.trials import LEFT_OUT

# Of the job, in tables and progress: the one slot of the stage `explore`.
SLOT = "explore-001"


@dataclass(frozen=True)
class Outputs:
    """What the job writes.

    Attributes
    ----------
    chosen : Path
        What was explored.
    tables : ShardTables
        What was trained.
    """

    chosen: Path
    tables: ShardTables


def parser() -> argparse.ArgumentParser:
    """Return the parser of what the job is told."""
    options = arguments()
    options.description = "Search with Keras Tuner or Optuna."
    options.add_argument("--threads", type=int, required=True, help="cores that it has asked for")
    options.add_argument(
        "--remote", type=int, required=True, help="1 with an allocation of its own"
    )
    options.add_argument("--on-node", type=int, required=True, help="workers on a node")
    options.add_argument("--outputs", nargs=4, type=Path, required=True)
    return options


def tune(plan: Plan, request: TuneRequest, options: argparse.Namespace) -> None:
    """Search, and write what was found.

    Parameters
    ----------
    plan : Plan
    request : TuneRequest
    options : Namespace
        Of :func:`parser`.
    """
    start = Start(options.launcher, options.container)
    timeout = plan.study.execution.trial_timeout
    study = TuningStudy(request, plan.paths, timeout, start.versions())
    processes, threads = plan.tuner_processes, options.threads
    # A search that goes on may be ended by another budget, or by none.
    plan.paths.left_out(SLOT).unlink(missing_ok=True)
    if study.strategy.workers:
        cores = threads if options.remote else max(1, threads // processes)
        shared = plan.study.execution.trials_per_gpu
        run_distributed(
            study, request, WorkerProcesses(processes, cores, options.on_node, start, shared)
        )
    else:
        _search_here(plan, study, Allocation.of_job(threads, remote=bool(options.remote)))
    _write(study, Outputs(options.outputs[0], ShardTables(*options.outputs[1:])))


def _search_here(plan: Plan, study: TuningStudy, given: Allocation) -> None:
    execution = plan.study.execution
    workers = given.workers(
        execution.threads_per_worker, plan.fixed_workers, execution.trials_per_gpu
    )
    run_search(
        study,
        lambda: open_any(study),
        SLOT,
        pool.trainer(given, workers, study.trial_timeout),
        JobResources(given.cores, len(given.gpus), workers),
    )


def _write(study: TuningStudy, outputs: Outputs) -> None:
    from gridfold.tables import trials

    chosen, files, rows = explored(study), outputs.tables, results(study)
    view = BudgetView.of(study.paths)
    if view is not None and study.paths.left_out(SLOT).exists():
        left = [trial for trial, result, _ in rows if result.status == LEFT_OUT]
        write_left_out(study.paths, SLOT, view.order.limit, left)
    trials.write_shard(rows, study.splits, files.trials, files.epochs, files.predictions)
    chosen.write(outputs.chosen)

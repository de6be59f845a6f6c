"""The training jobs of a study: what each asked for, what it used, and what to ask for next time.

The figures of a job on Slurm are those of `sacct`, where accounting is kept; else what the job has
recorded itself (:mod:`gridfold.store.job_records`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from gridfold.cluster.accounting import SOURCE, Accounted
from gridfold.store.job_records import JobRecord
from gridfold.tables.trials import Column

JOB_COLUMNS = (
    Column("shard", "string", "", "Shard that the job trained"),
    Column("slurm_job", "string", "", "Number of the job in Slurm; empty elsewhere"),
    Column("source", "string", "", "sacct, or own where accounting knows nothing of the job"),
    Column("state", "string", "", "State by sacct; else ended, or died for a job without an end"),
    Column("runs", "int", "", "Times that Slurm started the job; more after requeueing"),
    Column("host", "string", "", "Node, or list of nodes"),
    Column("started", "string", "", "When, UTC"),
    Column("seconds", "float", "s", "Wall time, all runs"),
    Column("asked_minutes", "float", "min", "Time limit"),
    Column("cores", "float", "", "CPU cores that it was given"),
    Column("gpus", "float", "", "GPUs that it was given"),
    Column("workers", "int", "", "Trials at once"),
    Column("cpu_seconds", "float", "s", "Processor time"),
    Column("cpu_efficiency", "float", "", "Processor time over what the cores could have given"),
    Column("asked_memory_mb", "float", "MB", "Memory that it asked for (of 2^20 bytes)"),
    Column("memory_mb", "float", "MB", "Most memory that it used"),
    Column("core_hours", "float", "h", "Cores times wall time"),
    Column("gpu_hours", "float", "h", "GPUs times wall time"),
    Column("trained", "int", "", "Trials that found an answer"),
    Column("failed", "int", "", "Trials that failed"),
)
_MB = 2**20

# What is advised is the most that was used and a quarter; half of what was asked for is too much.
_MARGIN = 1.25
_MUCH = 0.5
_STEP_MB = 500
_STEP_MINUTES = 5
_LEAST_MINUTES = 10


def job_table(records: Sequence[JobRecord], accounted: dict[str, Accounted]) -> pd.DataFrame:
    """Return one row for each training job, in the order of their starts.

    Parameters
    ----------
    records : sequence of JobRecord
        A job that Slurm has requeued has several.
    accounted : dict of str to Accounted
        By the numbers of jobs in Slurm.
    """
    rows = []
    for group in _by_job(records):
        last, known = group[-1], accounted.get(group[-1].slurm_job)
        used = known or _own(group)
        seconds, offered = used.seconds, used.cores * used.seconds
        rows.append(
            {
                "shard": last.shard,
                "slurm_job": last.slurm_job,
                "source": SOURCE if known else "own",
                "state": used.state,
                "runs": used.runs,
                "host": used.nodes,
                "started": datetime.fromtimestamp(group[0].started, UTC).isoformat(
                    timespec="seconds"
                ),
                "seconds": seconds,
                "asked_minutes": used.asked_minutes,
                "cores": used.cores,
                "gpus": used.gpus,
                "workers": last.asked["workers"],
                "cpu_seconds": used.cpu_seconds,
                "cpu_efficiency": used.cpu_seconds / offered if offered else math.nan,
                "asked_memory_mb": used.asked_memory_mb,
                "memory_mb": used.memory_mb,
                "core_hours": offered / 3600,
                "gpu_hours": used.gpus * seconds / 3600,
                "trained": sum(record.trained for record in group),
                "failed": last.failed,
            }
        )
    table = pd.DataFrame(rows, columns=[column.name for column in JOB_COLUMNS])
    types = {"string": "str", "int": "int64", "float": "float64"}
    return table.astype({column.name: types[column.type] for column in JOB_COLUMNS})


def _by_job(records: Sequence[JobRecord]) -> list[list[JobRecord]]:
    groups: dict[object, list[JobRecord]] = {}
    for position, record in enumerate(records):
        # Slurm starts its numbers again after some millions; a shard does not live so long.
        key = (record.shard, record.slurm_job) if record.slurm_job else position
        groups.setdefault(key, []).append(record)
    return list(groups.values())


def _own(runs: Sequence[JobRecord]) -> Accounted:
    """Return what a job knows of itself; of a run without an end, how long it lived is unknown."""
    last = runs[-1]
    return Accounted(
        "ended" if last.ended else "died",
        len(runs),
        sum(run.ended - run.started if run.ended else math.nan for run in runs),
        sum(run.cpu_seconds for run in runs),
        max(run.memory_mb for run in runs),
        float(last.asked["cores"]),
        float(last.asked["gpus"]),
        # Zero stands for what nobody has told.
        float(last.asked["memory_mb"] or math.nan),
        float(last.asked["minutes"] or math.nan),
        last.host,
    )


def advise(jobs: pd.DataFrame, trials: pd.DataFrame) -> list[str]:
    """Return what to ask for next time, in sentences with code between backticks.

    Parameters
    ----------
    jobs : DataFrame
        :func:`job_table`.
    trials : DataFrame
        The trials table.
    """
    sentences = []
    queued = jobs[jobs["slurm_job"] != ""]
    if len(queued):
        sentences += [*_memory_advice(queued), *_time_advice(queued), *_core_advice(queued)]
    busy = trials["gpu_busy"].mean()
    if busy < 0.4:
        sentences.append(
            f"GPUs computed {busy:.0%} of the time: `execution.workers` above the number of GPUs "
            "lets trials share them, a larger `training.batch_size` keeps them busier."
        )
    return sentences


def _memory_advice(jobs: pd.DataFrame) -> list[str]:
    asked, used = jobs["asked_memory_mb"].max(), jobs["memory_mb"].max()
    lost = int((jobs["state"] == "OUT_OF_MEMORY").sum())
    if lost:
        return [
            f"{lost} of {len(jobs)} training jobs ran out of memory, of {asked / 1e3:.1f} GB at "
            f"most: `mem_mb` {_up(1.5 * asked, _STEP_MB)} would spare the repetition."
        ]
    enough = _up(_MARGIN * used, _STEP_MB) if used > 0 else math.inf
    if not enough <= asked * (1 - _MUCH / 2) or not used < _MUCH * asked:
        return []
    return [
        f"Training jobs asked for {asked / 1e3:.1f} GB and used {used / 1e3:.1f} GB at most: "
        f"`mem_mb` {enough:.0f} would do."
    ]


def _time_advice(jobs: pd.DataFrame) -> list[str]:
    asked = jobs["asked_minutes"].max()
    lost = int((jobs["state"] == "TIMEOUT").sum())
    if lost:
        return [
            f"{lost} of {len(jobs)} training jobs ran into their limit of {asked:.0f} min: a "
            "longer `runtime` would spare the repetition."
        ]
    longest = jobs["seconds"].max() / 60
    enough = max(_LEAST_MINUTES, _up(1.5 * longest, _STEP_MINUTES)) if longest > 0 else math.inf
    if not enough < _MUCH * asked:
        return []
    return [
        f"They asked for up to {asked:.0f} min and took {longest:.1f} min at most: `runtime` "
        f"{enough:.0f} would do, and shorter jobs start sooner."
    ]


def _core_advice(jobs: pd.DataFrame) -> list[str]:
    offered = (jobs["cores"] * jobs["seconds"]).sum()
    efficiency = jobs["cpu_seconds"].sum() / offered if offered else math.nan
    # A job of seconds is start-up alone, and one that serves a GPU waits for it.
    long = jobs["seconds"].sum() > 60 * len(jobs) and not jobs["gpus"].sum()
    if not long or not efficiency < _MUCH:
        return []
    return [
        f"Their cores were busy {efficiency:.0%} of the time: fewer `threads` (`set-threads`), or "
        "more trials in a job (`execution.trials_per_job`), would waste less."
    ]


def _up(value: float, step: int) -> int:
    return int(np.ceil(value / step) * step)

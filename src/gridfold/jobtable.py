"""The training jobs of a study: what each asked for, what it used, and what to ask for next time.

The figures of a job on Slurm are those of `sacct`, where accounting is kept; else what the job has
recorded itself (:mod:`gridfold.jobrecord`).
"""

from __future__ import annotations

import logging
import math
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from gridfold.jobrecord import JobRecord
from gridfold.tables import Column

log = logging.getLogger(__name__)

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
_FIELDS = (
    "JobIDRaw",
    "State",
    "ElapsedRaw",
    "TotalCPU",
    "MaxRSS",
    "NTasks",
    "AllocTRES",
    "TimelimitRaw",
    "NodeList",
)
_UNFINISHED = ("PENDING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED")
_SACCT_SECONDS = 60
# Accounting hears of the end of a job some seconds after it.
_PATIENCE_SECONDS = 15.0
_MB = 2**20
_UNITS = {"": 1.0, "K": 1024.0, "M": 1024.0**2, "G": 1024.0**3, "T": 1024.0**4}

# What is advised is the most that was used and a quarter; half of what was asked for is too much.
_MARGIN = 1.25
_MUCH = 0.5
_STEP_MB = 500
_STEP_MINUTES = 5
_LEAST_MINUTES = 10


@dataclass(frozen=True)
class Accounted:
    """What `sacct` knows of a job.

    Attributes
    ----------
    state : str
        Of the last run.
    runs : int
    seconds, cpu_seconds : float
        Of all runs.
    memory_mb : float
        Of the step that used most; NaN where no step was seen.
    cores, gpus, asked_memory_mb, asked_minutes : float
        NaN where unknown.
    nodes : str
    """

    state: str
    runs: int
    seconds: float
    cpu_seconds: float
    memory_mb: float
    cores: float
    gpus: float
    asked_memory_mb: float
    asked_minutes: float
    nodes: str


def ask_sacct(jobs: Iterable[str]) -> dict[str, Accounted]:
    """Return what accounting knows of jobs; nothing where there is no accounting."""
    numbers, program = sorted(set(filter(None, jobs))), shutil.which("sacct")
    if not numbers or program is None:
        return {}
    command = [program, "--noheader", "--parsable2", "--duplicates", "--noconvert"]
    command += [f"--jobs={','.join(numbers)}", f"--format={','.join(_FIELDS)}"]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            answer = subprocess.run(
                command, capture_output=True, text=True, timeout=_SACCT_SECONDS, check=True
            )
        except subprocess.CalledProcessError as error:
            log.warning("no figures of accounting: %s", error.stderr.strip())
            return {}
        except (OSError, subprocess.TimeoutExpired) as error:
            log.warning("no figures of accounting: %s", error)
            return {}
        found = read_sacct(answer.stdout)
        running = [job for job in found.values() if job.state in _UNFINISHED]
        if not running or time.monotonic() > deadline:
            return found
        time.sleep(1)


def read_sacct(text: str) -> dict[str, Accounted]:
    """Return the jobs that `sacct` has listed with :data:`_FIELDS`, by their numbers."""
    jobs: dict[str, list[dict[str, str]]] = {}
    steps: dict[str, list[dict[str, str]]] = {}
    for line in text.splitlines():
        row = dict(zip(_FIELDS, line.split("|"), strict=True))
        number, is_step, _ = row["JobIDRaw"].partition(".")
        (steps if is_step else jobs).setdefault(number, []).append(row)
    return {number: _accounted(rows, steps.get(number, [])) for number, rows in jobs.items()}


def _accounted(runs: Sequence[dict[str, str]], steps: Sequence[dict[str, str]]) -> Accounted:
    last = runs[-1]
    given = dict(item.partition("=")[::2] for item in last["AllocTRES"].split(",") if item)
    memory = [_bytes(s["MaxRSS"]) * _tasks_on_a_node(s) / _MB for s in steps if s["MaxRSS"]]
    limit = last["TimelimitRaw"]
    return Accounted(
        # "CANCELLED by 1000"
        last["State"].partition(" ")[0],
        len(runs),
        sum(float(run["ElapsedRaw"] or 0) for run in runs),
        sum(cpu_seconds(run["TotalCPU"]) for run in runs),
        max(memory, default=math.nan),
        float(given.get("cpu", "nan")),
        # A type may be counted as well: gres/gpu:v100=1 and gres/gpu=1.
        float(given.get("gres/gpu", 0)),
        _bytes(given["mem"]) / _MB if "mem" in given else math.nan,
        float(limit) if limit.isdigit() else math.nan,
        last["NodeList"],
    )


def _tasks_on_a_node(step: dict[str, str]) -> int:
    nodes = step["AllocTRES"]
    count = re.search(r"\bnode=(\d+)", nodes)
    tasks = int(step["NTasks"]) if step["NTasks"].isdigit() else 1
    return math.ceil(tasks / int(count[1])) if count else tasks


def _bytes(text: str) -> float:
    """Return a size as Slurm writes it: ``1900M``, ``73428K``, ``75190272``."""
    found = re.fullmatch(r"([\d.]+)([KMGT]?)[nc]?", text)
    return float(found[1]) * _UNITS[found[2]] if found else math.nan


def cpu_seconds(text: str) -> float:
    """Return a time as Slurm writes it: ``[days-[hours:]]minutes:seconds``."""
    days, _, rest = text.rpartition("-")
    seconds = 0.0
    for part in rest.split(":"):
        seconds = 60 * seconds + float(part or 0)
    return 86400 * int(days or 0) + seconds


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
                "source": "sacct" if known else "own",
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

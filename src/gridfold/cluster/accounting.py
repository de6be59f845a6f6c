"""Ask Slurm what it has accounted for jobs that have ended (`sacct`)."""

from __future__ import annotations

import logging
import math
import re
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gridfold.cluster.commands import SlurmSilent, ask

log = logging.getLogger(__name__)

# Who says it: the command, and the word for it in tables.
SOURCE = "sacct"

# What Slurm calls M.
_MB = 2**20


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


# Accounting hears of the end of a job some seconds after it.
_PATIENCE_SECONDS = 15.0


_UNITS = {"": 1.0, "K": 1024.0, "M": 1024.0**2, "G": 1024.0**3, "T": 1024.0**4}


@dataclass(frozen=True)
class Accounted:
    """What `sacct` knows of a job.

    Attributes
    ----------
    state : str
        State of the last run, in Slurm's words.
    runs : int
        Runs of the job: one, and one for each time that it was requeued.
    seconds, cpu_seconds : float
        Wall time and CPU time of all runs together, in seconds.
    memory_mb : float
        Memory of the step that used most, in MB of 2^20 bytes; NaN where no step was seen.
    cores, gpus, asked_memory_mb, asked_minutes : float
        NaN where unknown.
    nodes : str
        Nodes of the last run, in Slurm's short form.
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
    numbers = sorted(set(filter(None, jobs)))
    if not numbers or shutil.which(SOURCE) is None:
        return {}
    options = ["--noheader", "--parsable2", "--duplicates", "--noconvert"]
    options += [f"--jobs={','.join(numbers)}", f"--format={','.join(_FIELDS)}"]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            answer = ask(SOURCE, *options)
        except SlurmSilent as error:
            log.warning("no figures of accounting: %s", error)
            return {}
        if not answer.is_good:
            log.warning("no figures of accounting: %s", answer.error)
            return {}
        found = read_sacct(answer.text)
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

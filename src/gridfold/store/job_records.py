"""Each training job records what it was given and what it used, beside the run store.

One file of two lines for each shard's job: at its start, and at its end if it had one. Not declared
to Snakemake, which deletes the outputs of failed jobs: of these one wants to know most of all.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from gridfold.cluster.job import job_number

log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 1.0
# As Slurm and Snakemake count.
_MB = 2**20


@dataclass(frozen=True)
class JobResources:
    """Cores, GPUs and workers of a job; memory and time limit if known.

    Attributes
    ----------
    cores, gpus : int
        CPU cores and GPUs that the job was given.
    workers : int
        Trials that it trains at once.
    memory_mb : int
        Memory that it has asked for, in MB of 2^20 bytes; 0 where unknown.
    minutes : int
        Its time limit in minutes; 0 where unknown.
    """

    cores: int
    gpus: int = 0
    workers: int = 1
    memory_mb: int = 0
    minutes: int = 0


@dataclass
class JobRecord:
    """One run of a training job.

    Attributes
    ----------
    shard, host : str
        Name of the shard; of the machine.
    slurm_job : str
        Number of the job in Slurm; empty elsewhere.
    asked : dict of str to int
        The fields of :class:`JobResources`.
    started, ended : float
        Unix time; `ended` is 0 for a job that did not live to say it.
    cpu_seconds : float
        CPU time of the trials that ended.
    memory_mb : float
        Most memory of all its processes on this node together, in MB of 2^20 bytes; what they share
        is counted once.
    trained, failed : int
        Trials with and without an answer.
    """

    shard: str
    host: str
    slurm_job: str
    asked: dict[str, int]
    started: float
    ended: float = 0.0
    cpu_seconds: float = 0.0
    memory_mb: float = 0.0
    trained: int = 0
    failed: int = 0


class JobRecorder:
    """Records a run of a training job for the time of the ``with`` block.

    Parameters
    ----------
    folder : Path
        Folder of the records.
    shard : str
        Name of the shard.
    resources : JobResources

    Attributes
    ----------
    record : JobRecord
        What is known so far.
    """

    def __init__(self, folder: Path, shard: str, resources: JobResources) -> None:
        number = job_number()
        self.record = JobRecord(shard, platform.node(), number, asdict(resources), time.time())
        self._file = folder / f"{shard}-{self.record.started:.0f}-{number or os.getpid()}.jsonl"
        self._elsewhere: set[int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="gridfold-job", daemon=True)

    def __enter__(self) -> JobRecorder:
        _append(self._file, self.record)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.record.ended = time.time()
        _append(self._file, self.record)

    def count(self, usage: Mapping[str, Any], *, failed: bool) -> None:
        """Count a trial that has ended."""
        self.record.failed += failed
        self.record.trained += not failed
        self.used(usage)

    def used(self, usage: Mapping[str, Any]) -> None:
        """Count what a trial has used that has no answer, and has not failed either."""
        self.record.cpu_seconds += usage.get("cpu_seconds") or 0.0

    def adopt(self, process: int | None) -> None:
        """Count a process with this job that is not below it, if there is one."""
        if process is not None:
            self._elsewhere.add(process)

    def _watch(self) -> None:
        """Keep the most memory that the job has had, until it is over."""
        with contextlib.suppress(Exception):
            while True:
                elsewhere = list(self._elsewhere)
                memory = memory_of_job(os.getpid(), elsewhere) / _MB
                self.record.memory_mb = max(self.record.memory_mb, memory)
                # A job may have thousands of trials, and the kernel gives numbers again.
                self._elsewhere.difference_update(
                    process for process in elsewhere if not psutil.pid_exists(process)
                )
                if self._over.wait(_INTERVAL_SECONDS):
                    return


def _append(file: Path, record: JobRecord) -> None:
    # A record is not worth the trials of a job.
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(record)) + "\n")
    except OSError as error:
        log.warning("no record of this job: %s", error)


def read(folder: Path, shards: Iterable[str]) -> list[JobRecord]:
    """Return all that is recorded of the jobs of `shards`, in the order of their starts."""
    wanted, records = set(shards), []
    for file in folder.glob("*.jsonl"):
        try:
            # A job that was killed while it wrote has left half a line.
            lines = [line for line in file.read_text().splitlines() if line.endswith("}")]
            record = JobRecord(**json.loads(lines[-1]))
        except (OSError, ValueError, TypeError, IndexError) as error:
            log.warning("%s can't be read (%s)", file, error)
            continue
        if record.shard in wanted:
            records.append(record)
    return sorted(records, key=lambda record: (record.started, record.shard))


def memory_of_job(root: int, elsewhere: Iterable[int] = ()) -> float:
    """Return the bytes that processes and all below them occupy, shared pages counted once.

    A process that was forked without a new program shares what its parent had; only what goes
    beyond that is its own. The kernel's own account of it (PSS) would take 20 ms for each process
    with TensorFlow, this takes a tenth of a millisecond.

    Parameters
    ----------
    root : int
    elsewhere : iterable of int
        Forks of a server that is not below `root`; it counts with them.
    """
    servers: dict[int, float] = {}
    todo: list[tuple[int, str, float]] = [(root, "", 0.0)]
    for number in elsewhere:
        with contextlib.suppress(psutil.Error):
            server = psutil.Process(psutil.Process(number).ppid())
            servers[server.pid] = float(server.memory_info().rss)
            todo.append((number, " ".join(server.cmdline()), servers[server.pid]))
    total = sum(servers.values())
    while todo:
        number, parents_program, parents_memory = todo.pop()
        try:
            process = psutil.Process(number)
            memory = float(process.memory_info().rss)
            program = " ".join(process.cmdline())
            children = _children(process)
        except psutil.Error:
            continue
        is_fork = program == parents_program
        total += max(0.0, memory - parents_memory) if is_fork else memory
        todo += [(child, program, memory) for child in children]
    return total


def _children(process: psutil.Process) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{process.pid}/task")
        found = []
        for thread in threads:
            text = Path(f"/proc/{process.pid}/task/{thread}/children").read_text()
            found += [int(number) for number in text.split()]
        return found
    except OSError:
        # Not on macOS, and not with every kernel; there psutil looks at all processes.
        return [child.pid for child in process.children()]

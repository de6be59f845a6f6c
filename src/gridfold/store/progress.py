"""Each job keeps a small file of its progress; the main process sums them up.

Files work for local jobs and for jobs on other nodes alike, and `gridfold status` reads the same.
"""

from __future__ import annotations

import json
import sys
import textwrap
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from gridfold.atomic import write_text
from gridfold.store.seals import set_aside
from gridfold.wording import format_seconds

_WRITE_INTERVAL = 0.5


@dataclass
class JobProgress:
    """What one training job is doing.

    Attributes
    ----------
    total, done, failed : int
        Trials of the job; those with an answer; those without.
    trained : int
        Trials finished by this very job, for its speed.
    running : dict of str to dict
        By trial (``config_id/split``): ``epoch``, ``epochs``, ``metric``, ``val_metric``.
    started, updated : float
        Unix time.
    ended : bool
        Whether the job is over, well or not.
    """

    total: int
    done: int = 0
    failed: int = 0
    trained: int = 0
    running: dict[str, dict[str, Any]] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    updated: float = 0.0
    ended: bool = False


class ProgressFile:
    """Writes the progress of one job, at most twice a second, and its end after a ``with`` block.

    Parameters
    ----------
    file : Path
    progress : JobProgress
        Changed by whoever trains.
    """

    def __init__(self, file: Path, progress: JobProgress) -> None:
        self.progress = progress
        self._file = file

    def __enter__(self) -> ProgressFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.running.clear()
        self.progress.ended = True
        self.write(now=True)

    def write(self, *, now: bool = False) -> None:
        """Write, unless that was done a moment ago and `now` is false."""
        if now or time.time() - self.progress.updated >= _WRITE_INTERVAL:
            self.progress.updated = time.time()
            write_text(self._file, json.dumps(asdict(self.progress)), durable=False)


class UnseenProgress(ProgressFile):
    """Counts the trials that a job trains for others, whose jobs will show them."""

    def __init__(self) -> None:
        super().__init__(Path(), JobProgress(0))

    def write(self, *, now: bool = False) -> None:
        """Do nothing."""


def read_jobs(folder: Path, shards: Iterable[str]) -> dict[str, JobProgress]:
    """Return the progress of those of `shards` that have begun."""
    jobs = {}
    for shard in shards:
        try:
            jobs[shard] = JobProgress(**json.loads((folder / f"{shard}.json").read_text()))
        except (OSError, ValueError, TypeError):
            continue
    return jobs


def progress_line(total: int, jobs: Iterable[JobProgress], labels: Mapping[str, str]) -> str:
    """Return one line: trials done, running, failed, where they are, and the time left.

    Parameters
    ----------
    total : int
        Trials of the study.
    jobs : iterable of JobProgress
    labels : mapping of str to str
        Label of each configuration id.
    """
    jobs = list(jobs)
    done, failed = sum(j.done for j in jobs), sum(j.failed for j in jobs)
    active = [job for job in jobs if not job.ended]
    running = [item for job in active for item in job.running.items()]
    # An asynchronous search may promote more than its schedule says.
    total = max(total, done + failed + len(running))
    text = f"trials {done}/{total} done, {len(running)} running, {failed} failed"
    for trial, state in running[:2]:
        config_id, _, split = trial.partition("/")
        label = textwrap.shorten(labels.get(config_id, config_id), 44, placeholder=" ...")
        text += f" | {label} {split} epoch {state['epoch']}/{state['epochs']}"
        if state["val_metric"] is not None:
            text += f" val_{state['metric']} {state['val_metric']:.3f}"
    speed = sum(
        job.trained / (job.updated - job.started) for job in active if job.updated > job.started
    )
    if speed and done + failed < total:
        text += f" | about {format_seconds((total - done - failed) / speed)} left"
    return text


class Monitor:
    """Prints a progress line from a background thread while jobs run.

    Parameters
    ----------
    folder : Path
        Of the progress files.
    shards : iterable of str
        The shards of the study.
    total : int
        Trials of the study.
    finished : mapping of str to int
        Trials of shards whose job has nothing left to do.
    labels : mapping of str to str
        Label of each configuration id.
    stream : text stream
    """

    def __init__(
        self,
        folder: Path,
        shards: Iterable[str],
        total: int,
        finished: Mapping[str, int],
        labels: Mapping[str, str],
        stream: TextIO | None = None,
    ) -> None:
        self._folder, self._shards, self._total = folder, list(shards), total
        self._finished, self._labels = finished, labels
        self._stream = stream or sys.stderr
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gridfold-progress", daemon=True)
        self._last = ""

    def start(self) -> None:
        """Begin to print. What earlier jobs left behind is cleared away first."""
        for file in self._folder.glob("*.json"):
            if file.is_dir():
                set_aside(file, "a folder where a file should be", "and the file written")
            else:
                file.unlink(missing_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """Print a last line and end."""
        if self._thread.is_alive():
            self._stop.set()
            self._thread.join()
            self._print()

    def _run(self) -> None:
        # A terminal gets a line every few seconds; a log file would only grow.
        interval = 3.0 if self._stream.isatty() else 15.0
        while not self._stop.wait(interval):
            self._print()

    def _print(self) -> None:
        jobs = read_jobs(self._folder, self._shards)
        idle = [
            JobProgress(count, done=count, ended=True)
            for shard, count in self._finished.items()
            if shard not in jobs
        ]
        line = progress_line(self._total, [*jobs.values(), *idle], self._labels)
        if jobs and line != self._last:
            self._last = line
            print(f"[gridfold] {line}", file=self._stream, flush=True)

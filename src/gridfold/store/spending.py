"""What the training jobs of a search have taken so far, so that a budget can be kept to.

Each run of a training job keeps one small file, written anew every ten seconds and when a trial
begins or ends: what the job holds, since when, and what it has trained of what was promised. A run
that was killed has left its last word, and is charged for the ten seconds after it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gridfold import typed_json
from gridfold.atomic import write_text
from gridfold.cluster.job import job_number

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 10.0
# After so many intervals of silence, a run counts as killed.
_MISSED = 3.0
_HOUR = 3600.0

Clock = Callable[[], float]
"""Returns the time in seconds, as Unix time."""


@dataclass
class Meter:
    """One run of a training job, and what it has taken.

    Attributes
    ----------
    job : str
        Name of its shard, slot or worker.
    started, updated : float
        Unix time, of its begin and of the last word of it.
    cores, gpus : float
        What it holds, used or not.
    workers : int
        Trials that it trains at once.
    interval : float
        Seconds from one word of it to the next.
    ended : bool
        Whether it has said that it is over.
    estimated, took : float
        Seconds of training that are done: by the rough model, and by the clock.
    promised : dict of str to float
        By ``<stage>/<config_id>``: the estimated seconds of a configuration when it was begun.
    done : dict of str to float
        The estimated seconds of what is done of it.
    """

    job: str
    started: float
    updated: float
    cores: float
    gpus: float
    workers: int = 1
    interval: float = INTERVAL_SECONDS
    ended: bool = False
    estimated: float = 0.0
    took: float = 0.0
    promised: dict[str, float] = field(default_factory=dict)
    done: dict[str, float] = field(default_factory=dict)

    def is_live(self, now: float) -> bool:
        """Tell whether the run goes on, as far as anybody knows."""
        return not self.ended and now - self.updated < _MISSED * self.interval

    def seconds(self, now: float) -> float:
        """Return how long the run has held what it holds; of a killed one, at most."""
        if self.ended:
            end = self.updated
        elif self.is_live(now):
            end = now
        else:
            end = min(now, self.updated + self.interval)
        return max(0.0, end - self.started)


class MeterFile:
    """Keeps the meter of this run of a job on disk for the time of a ``with`` block.

    Parameters
    ----------
    folder : Path
        Of all meters of the study.
    meter : Meter
    clock : callable, optional
    """

    def __init__(self, folder: Path, meter: Meter, clock: Clock = time.time) -> None:
        self.meter = meter
        self._clock = clock
        writer = job_number() or str(os.getpid())
        self._file = folder / f"{meter.job}-{meter.started:.3f}-{writer}.json"
        self._guard = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="gridfold-budget", daemon=True)

    def __enter__(self) -> MeterFile:
        self.write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.meter.ended = True
        self.write()

    def write(self) -> None:
        """Say what is known now."""
        with self._guard:
            self.meter.updated = self._clock()
            # A search goes on without a word of one of its jobs.
            try:
                write_text(self._file, typed_json.text_of(self.meter) + "\n", durable=False)
            except OSError as error:
                log.warning("the budget is not kept up to date: %s", error)

    def _beat(self) -> None:
        while not self._over.wait(self.meter.interval):
            self.write()


class SpentFolder:
    """Reads the meters of a study; what is over is read once.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._over: dict[str, Meter] = {}

    def meters(self) -> list[Meter]:
        """Return the meters of all runs of jobs, those that are over included."""
        found: list[Meter] = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if not entry.name.endswith(".json") or entry.name.startswith("."):
                    continue
                meter = self._over.get(entry.name) or _read(Path(entry.path))
                if meter is None:
                    continue
                if meter.ended:
                    self._over[entry.name] = meter
                found.append(meter)
        return found


def _read(file: Path) -> Meter | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Meter)
    except (OSError, ValueError) as error:
        log.warning("%s can't be read, so what it has counted is not: %s", file, error)
        return None


@dataclass(frozen=True)
class Spending:
    """What a search has taken, and what it has promised, at one moment.

    Attributes
    ----------
    now : float
        Unix time.
    core_hours, gpu_hours : float
        That its jobs have held so far.
    cores, gpus : float
        That they hold now.
    workers : int
        Trials that they train at once, now.
    correction : float or None
        How many seconds a second of the rough model takes; None before anything was measured.
    open : dict of str to float
        By ``<stage>/<config_id>``, for configurations that were begun since `since`: the estimated
        seconds that are not done.
    begun : frozenset of str
        All configurations that were ever begun, in the same form.
    has_live_jobs : bool
        Whether jobs are running.
    at_once : int
        Trials that one of them trains at once, at most.
    """

    now: float
    core_hours: float
    gpu_hours: float
    cores: float
    gpus: float
    workers: int
    correction: float | None
    open: dict[str, float]
    begun: frozenset[str]
    has_live_jobs: bool
    at_once: int = 1

    @classmethod
    def of(cls, meters: Iterable[Meter], now: float, since: float = 0.0) -> Spending:
        """Sum up meters.

        Parameters
        ----------
        meters : iterable of Meter
        now, since : float
            Unix time: now, and when the run began whose promises are to be kept.
        """
        core_seconds = gpu_seconds = cores = gpus = estimated = took = 0.0
        workers, at_once, has_live = 0, 1, False
        left: dict[str, float] = {}
        begun: set[str] = set()
        for meter in meters:
            seconds = meter.seconds(now)
            core_seconds += meter.cores * seconds
            gpu_seconds += meter.gpus * seconds
            estimated += meter.estimated
            took += meter.took
            begun.update(meter.promised)
            if meter.is_live(now):
                has_live = True
                cores, gpus = cores + meter.cores, gpus + meter.gpus
                workers += meter.workers
                at_once = max(at_once, meter.workers)
            if meter.started >= since:
                for sign, amounts in ((1, meter.promised), (-1, meter.done)):
                    for key, amount in amounts.items():
                        left[key] = left.get(key, 0.0) + sign * amount
        return cls(
            now,
            core_seconds / _HOUR,
            gpu_seconds / _HOUR,
            cores,
            gpus,
            workers,
            took / estimated if estimated > 0 else None,
            {key: amount for key, amount in left.items() if amount > 1e-9},
            frozenset(begun),
            has_live,
            at_once,
        )

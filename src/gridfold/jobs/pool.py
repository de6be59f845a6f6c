"""A pool trains the trials of a job in processes of their own; TensorFlow is imported once.

The fork server (:mod:`gridfold.jobs.fork_server`) has imported TensorFlow and processes are forked
from it, so one starts in a fraction of a second. Trials whose graphs are the same take turns in one
(:mod:`gridfold.training.turns`); all others share no state. A trial that dies takes nothing with
it: those that would have come after it get another process, and so do those after one that failed.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import math
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Protocol

from gridfold.cluster.allocation import Allocation, Share
from gridfold.cluster.gpu_memory import gpu_memory_mb, part_of_memory
from gridfold.errors import BudgetSpent, Interrupted, TrialFailure, out_of_time, summary_of
from gridfold.jobs.fork_server import STOP_SIGNALS, Fork, ForkServer, flush_output
from gridfold.jobs.printed import Printed
from gridfold.jobs.usage import Sampler
from gridfold.store.trials import TrialStore, TrialTask

if TYPE_CHECKING:
    from gridfold.jobs.budget import EpochLimit
    from gridfold.training.turns import Turns

log = logging.getLogger(__name__)

# In seconds; how long a trial may take to end when it has closed its connection, and to say where
# it is when its time is over.
_LAST_SECONDS = 5.0
_SAYING_SECONDS = 0.5


@dataclass(frozen=True)
class Work:
    """A trial to train, the place where its answer goes, and what may end it early, if anything."""

    task: TrialTask
    store: TrialStore
    limit: EpochLimit | None = None

    def absolute(self) -> Work:
        """Return the same work, which stays where it is when users' code changes the folder."""
        limit = None if self.limit is None else self.limit.absolute()
        return Work(self.task.absolute(), self.store.absolute(), limit)

    def refuse_beyond(self, row: Mapping[str, float]) -> None:
        """Raise where the epoch after the one of `row` does not fit the budget of the search.

        Raises
        ------
        BudgetSpent
        """
        if self.limit is not None and self.limit.is_reached(self, row):
            raise BudgetSpent(int(row["epoch"]))


@dataclass(frozen=True)
class Event:
    """News of a trial.

    Attributes
    ----------
    kind : {"started", "epoch", "finished", "failed", "left_out"}
        What has happened; the budget has left out what was not begun, or ended early.
    work : Work
        Of which trial.
    row : dict
        History row of an epoch; of what was left out, ``epoch`` says how far it came, from 0.
    failure : TrialFailure or None
        Why a trial has failed.
    usage : mapping or None
        What a trial that has ended has used here (:class:`gridfold.jobs.usage.Usage`), where it
        could still say so. The result of one that was only scored again has that of its training.
    elsewhere : int or None
        Process of a trial that has started, where it is not below this one.
    """

    kind: str
    work: Work
    row: dict[str, float] | None = None
    failure: TrialFailure | None = None
    usage: Mapping[str, float | None] | None = None
    elsewhere: int | None = None


# Hears of every event, in the process of the pool.
Listener = Callable[[Event], None]


class Supply(Protocol):
    """Where trials come from whose number isn't known beforehand."""

    def take(self) -> Work | None:
        """Return the next trial; None when there is none at the moment."""

    def is_over(self) -> bool:
        """Tell whether there will be no more trials."""


class Listed:
    """Trials in their order, but that those which can take turns follow each other."""

    def __init__(self, works: Sequence[Work]) -> None:
        shapes: dict[str, int] = {}
        places = [
            number if (shape := work.task.shape) is None else shapes.setdefault(shape, number)
            for number, work in enumerate(works)
        ]
        self._waiting = [works[i] for i in sorted(range(len(works)), key=lambda i: (places[i], i))]
        self._waiting.reverse()

    def take(self) -> Work | None:
        """Return the next trial; None when there is none."""
        return self._waiting.pop() if self._waiting else None

    def is_over(self) -> bool:
        """Tell whether there are no more trials."""
        return not self._waiting


def run(
    works: Sequence[Work] | Supply,
    workers: int,
    on_event: Listener,
    gpus: Sequence[str] = (),
    meanwhile: Callable[[], None] = lambda: None,
    share: Share | None = None,
    trial_timeout: float | None = None,
) -> None:
    """Train trials, `workers` at a time, in the given order as far as turns allow.

    Parameters
    ----------
    works : sequence of Work, or Supply
        A supply is asked whenever a worker is free, after `meanwhile`.
    workers : int
    on_event : callable
        Called in this process.
    gpus : sequence of str
        GPUs of the job; each worker sees one of them. Without, a trial sees what this process sees.
    meanwhile : callable
        Called in this process while the fork server imports TensorFlow.
    share : Share, optional
        Of the job, for each trial; by default the cores that it computes with.
    trial_timeout : float, optional
        Seconds after which a trial that has not ended is killed, and has failed.

    Raises
    ------
    Interrupted
        After SIGTERM, SIGINT or SIGUSR1; the trials' checkpoints are complete.
    """
    supply = Listed(works) if isinstance(works, Sequence) else works
    if supply.is_over():
        return
    log.info("%d at a time, on GPUs %s", workers, ", ".join(gpus) or "none")
    running: dict[Connection, _TrialProcess] = {}
    # Their trials are finished, and their graphs may be of use for another one.
    idle: list[_TrialProcess] = []
    slots = GpuSlots(gpus, workers)
    with stop_signals() as stopped, ForkServer() as server:
        try:
            meanwhile()
            while running or not supply.is_over():
                if stopped.is_set():
                    raise Interrupted
                while len(running) < workers and (work := supply.take()) is not None:
                    trial = _given_to(idle, work)
                    if trial is None:
                        while len(running) + len(idle) >= workers:
                            _dismiss(idle.pop(0), slots)
                        trial = _start(server, work, slots, share, trial_timeout)
                    running[trial.process.connection] = trial
                    elsewhere = trial.process.pid if server.is_shared else None
                    on_event(Event("started", work, elsewhere=elsewhere))
                outputs = (trial.printed.output for trial in running.values())
                ready = wait([*running, *(o for o in outputs if not o.closed)], timeout=0.5)
                for trial in running.values():
                    if trial.printed.output in ready:
                        trial.printed.relay()
                for connection in [*running]:
                    trial = running[connection]
                    if connection in ready:
                        event = _receive(connection, trial)
                    elif trial.is_late:
                        event = _end_late(trial)
                    else:
                        continue
                    died = event.failure is not None and event.failure.kind == "killed"
                    # What kills all processes of a job may reach a trial a moment before us.
                    if died and stopped.wait(0.5):
                        raise Interrupted
                    if event.kind != "epoch":
                        del running[connection]
                        if event.kind == "finished" and trial.shape is not None:
                            trial.is_idle = True
                            trial.printed.relay_all()
                            idle.append(trial)
                        else:
                            _dismiss(trial, slots)
                    on_event(event)
            for trial in idle:
                _dismiss(trial, slots)
        finally:
            for trial in (*running.values(), *idle):
                trial.process.kill()
                trial.printed.relay()


@dataclass
class _TrialProcess:
    """A process, and the trial that it trains now or has trained last.

    Attributes
    ----------
    process : Fork
    work : Work
        The trial.
    printed : Printed
        What it prints.
    timeout : float or None
        Seconds that a trial has.
    started : float
        When it has started, by the monotonic clock.
    is_idle : bool
        Whether it waits for another trial.
    """

    process: Fork
    work: Work
    printed: Printed
    timeout: float | None
    started: float = field(default_factory=time.monotonic)
    is_idle: bool = False

    @property
    def shape(self) -> str | None:
        """What its graphs are made of; None where no other trial may follow."""
        return self.work.task.shape

    def begin(self, work: Work) -> None:
        """Train another trial.

        Raises
        ------
        BrokenPipeError, ConnectionResetError
            When the process has ended.
        """
        self.process.connection.send(work)
        self.work, self.started, self.is_idle = work, time.monotonic(), False
        self.printed.begin()

    @property
    def is_late(self) -> bool:
        """Whether it has had its time, and has said where it is."""
        if self.timeout is None:
            return False
        return time.monotonic() - self.started > self.timeout + _SAYING_SECONDS


class GpuSlots:
    """Gives each running trial its GPU.

    Parameters
    ----------
    gpus : sequence of str
    workers : int
        More workers than GPUs share them evenly.

    Attributes
    ----------
    memory_mb : int or None
        What each trial may take of the memory of its GPU; None for all of it, or where nobody says
        how much there is.
    """

    def __init__(self, gpus: Sequence[str], workers: int) -> None:
        self._free = [gpus[i % len(gpus)] for i in range(workers)] if gpus else []
        self._taken: dict[Connection, str] = {}
        self._shared = workers > len(gpus)
        self.memory_mb: int | None = None
        if gpus and self._shared:
            found = [memory for gpu in set(gpus) if (memory := gpu_memory_mb(gpu)) is not None]
            if len(found) == len(set(gpus)):
                # Trials change from one GPU to another.
                self.memory_mb = part_of_memory(min(found), math.ceil(workers / len(gpus)))
            log.info("a trial has %s MB of a GPU", self.memory_mb or "as many as it needs")

    def take(self, trial: Connection) -> dict[str, str]:
        """Give a trial its GPU and return the environment that shows it this one alone."""
        if not self._free:
            return {}
        gpu = self._taken[trial] = self._free.pop(0)
        # TensorFlow takes all memory of every GPU it sees, unless it is told otherwise.
        growth = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"} if self._shared else {}
        return {"CUDA_VISIBLE_DEVICES": gpu, **growth}

    def leave(self, trial: Connection) -> None:
        """Take back the GPU of a trial that has ended."""
        if trial in self._taken:
            self._free.append(self._taken.pop(trial))


def _start(
    server: ForkServer,
    work: Work,
    slots: GpuSlots,
    share: Share | None,
    timeout: float | None,
) -> _TrialProcess:
    hearing, speaking = Pipe(duplex=False)
    given = share or Share(work.task.threads or 1)
    process = server.start(
        _train,
        work,
        slots.take(hearing),
        slots.memory_mb,
        given,
        timeout,
        output=speaking.fileno(),
    )
    speaking.close()
    return _TrialProcess(process, work, Printed(hearing), timeout)


def _given_to(idle: list[_TrialProcess], work: Work) -> _TrialProcess | None:
    """Give a trial to an idle process that has its graphs, and return that one; None without."""
    shape = work.task.shape
    for trial in [each for each in idle if shape is not None and each.shape == shape]:
        idle.remove(trial)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            trial.begin(work)
            return trial
    return None


def _dismiss(trial: _TrialProcess, slots: GpuSlots) -> None:
    """Let a process end that has nothing more to train."""
    slots.leave(trial.printed.output)
    if trial.is_idle:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            trial.process.connection.send(None)
            trial.process.join(_LAST_SECONDS)
    trial.process.connection.close()
    trial.process.join(_LAST_SECONDS)
    trial.printed.relay_rest()


def _receive(connection: Connection, trial: _TrialProcess) -> Event:
    try:
        kind, content, usage = connection.recv()
    except (EOFError, ConnectionResetError):
        # Users' code may have closed the connection and go on.
        exit_code = trial.process.join(_LAST_SECONDS)
        trial.printed.relay_rest()
        failure = _silent_death(exit_code, trial.printed.last_words())
        return Event("failed", trial.work, failure=failure)
    if kind == "epoch":
        return Event("epoch", trial.work, row=content)
    if kind == "failed":
        return Event("failed", trial.work, failure=TrialFailure(*content), usage=usage)
    if kind == "left_out":
        return Event("left_out", trial.work, row={"epoch": content}, usage=usage)
    return Event("finished", trial.work, usage=usage)


def _end_late(trial: _TrialProcess) -> Event:
    assert trial.timeout is not None, "only such a trial is late"
    trial.process.kill()
    trial.process.join()
    trial.printed.relay_rest()
    failure = out_of_time(trial.timeout, trial.printed.last_words())
    return Event("failed", trial.work, failure=failure)


def _silent_death(exit_code: int, last_words: str) -> TrialFailure:
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = "; the kernel does this when memory runs out" if name == "SIGKILL" else ""
        return TrialFailure("killed", f"ended by {name}{hint}", last_words)
    return TrialFailure("killed", f"ended without a word, exit code {exit_code}", last_words)


def _train(
    connection: Connection,
    work: Work,
    environment: dict[str, str],
    gpu_memory_mb: int | None,
    share: Share,
    timeout: float | None,
) -> None:
    """Train a trial, and those that are sent after it; runs in its own process."""
    # In time: CUDA reads it at the first operation, and importing TensorFlow is none.
    os.environ.update(environment)
    from gridfold.jobs.process_state import put_back
    from gridfold.training.turns import Turns
    from gridfold.usercode import functions

    turns, following = Turns(gpu_memory_mb=gpu_memory_mb), work
    while following is not None:
        if timeout is not None:
            # For the last words of a trial that is killed then.
            faulthandler.dump_traceback_later(timeout)
        with put_back():
            answer = _answer(connection, following.absolute(), share, turns)
        faulthandler.cancel_dump_traceback_later()
        # Comes before its answer.
        flush_output()
        connection.send(answer)
        if answer[0] != "finished" or following.task.shape is None:
            return
        # A trial finds the user's module as it would in a process of its own.
        functions.forget()
        following = connection.recv()


def _answer(
    connection: Connection, work: Work, share: Share, turns: Turns
) -> tuple[str, Any, dict[str, float | None]]:
    """Train a trial, and return what the pool is told of its end."""
    from gridfold.training.trial import train_trial

    def report(row: dict[str, float]) -> None:
        connection.send(("epoch", row, None))
        work.refuse_beyond(row)

    with Sampler(share) as sampler:
        try:
            known = work.store.unscored(work.task.epochs)
            result, predictions = train_trial(work.task, report, turns, known)
            usage = sampler.usage(result.device, result.world_size).record()
            # What was trained before has its usage already.
            work.store.finish(replace(result, usage=result.usage or usage), predictions)
            return "finished", None, usage
        except BudgetSpent as spent:
            return "left_out", spent.epoch, sampler.usage().record()
        except TrialFailure as failure:
            content = (failure.kind, failure.reason, failure.detail)
            return "failed", content, sampler.usage().record()
        except BaseException as error:
            traceback.print_exc()
            content = ("error", summary_of(error), traceback.format_exc())
            return "failed", content, sampler.usage().record()


# Trains what it is given, or what a supply has.
PoolTrainer = Callable[[Sequence[Work] | Supply, Listener, Callable[[], None]], None]


def trainer(given: Allocation, workers: int, trial_timeout: float | None = None) -> PoolTrainer:
    """Return what trains `workers` trials at a time with all that a job was given.

    Parameters
    ----------
    given : Allocation
    workers : int
    trial_timeout : float, optional
        Seconds after which a trial that has not ended is killed.
    """

    def train(
        works: Sequence[Work] | Supply, on_event: Listener, meanwhile: Callable[[], None]
    ) -> None:
        share = given.share(workers)
        run(works, workers, on_event, given.gpus, meanwhile, share, trial_timeout)

    return train


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Turn the signals that end a job into an event, for the time of the block."""
    stopped = threading.Event()
    previous = {number: signal.signal(number, lambda *_: stopped.set()) for number in STOP_SIGNALS}
    try:
        yield stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

"""A pool of trials inside one job: one fresh process each, TensorFlow imported once for all.

The fork server imports TensorFlow before the first trial and every trial is forked from it, so a
trial starts in a fraction of a second yet shares no state with another. A trial that dies takes
nothing with it.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any

from gridfold.errors import GridfoldError, TrialFailure
from gridfold.runstore import TrialStore
from gridfold.task import TrialTask

log = logging.getLogger(__name__)

# sysexits.h EX_TEMPFAIL: try again later. Everything up to the last epoch is in the run store.
EXIT_CONTINUE = 75


@dataclass(frozen=True)
class Work:
    """A trial to train and the place where its answer goes."""

    task: TrialTask
    store: TrialStore


@dataclass(frozen=True)
class Event:
    """News of a trial.

    Attributes
    ----------
    kind : {"started", "epoch", "finished", "failed"}
    work : Work
    row : dict
        History row of an epoch.
    failure : TrialFailure or None
    """

    kind: str
    work: Work
    row: dict[str, float] | None = None
    failure: TrialFailure | None = None


class Interrupted(GridfoldError):
    """The job was told to stop; running it again continues."""


def run(
    works: Sequence[Work],
    workers: int,
    on_event: Callable[[Event], None],
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Train trials, `workers` at a time, in the given order.

    Parameters
    ----------
    works : sequence of Work
    workers : int
    on_event : callable
        Called in this process.
    meanwhile : callable
        Called in this process while the fork server imports TensorFlow.

    Raises
    ------
    Interrupted
        After SIGTERM, SIGINT or SIGUSR1; the trials' checkpoints are complete.
    """
    if not works:
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gridfold.preloaded"])
    waiting = list(reversed(works))
    running: dict[Connection, tuple[Any, Work]] = {}
    with _stop_signals() as stopped:
        try:
            with _no_main_module():
                forkserver.ensure_running()
            meanwhile()
            while waiting or running:
                if stopped.is_set():
                    raise Interrupted(
                        "told to stop; every finished epoch is kept, run again to continue"
                    )
                while waiting and len(running) < workers:
                    work = waiting.pop()
                    connection, process = _start(context, work)
                    running[connection] = (process, work)
                    on_event(Event("started", work))
                ready = wait(list(running), timeout=0.5)
                for connection in [c for c in running if c in ready]:
                    process, work = running[connection]
                    event = _receive(connection, process, work)
                    if event is None:
                        continue
                    if event.kind != "epoch":
                        del running[connection]
                        connection.close()
                        process.join()
                    on_event(event)
        finally:
            for process, _ in running.values():
                process.kill()


def _start(context: Any, work: Work) -> tuple[Connection, Any]:
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_train, args=(work, theirs), name=f"{work.task.config_id}/{work.task.split}"
    )
    with _no_main_module():
        process.start()
    theirs.close()
    return ours, process


def _receive(connection: Connection, process: Any, work: Work) -> Event | None:
    try:
        kind, content = connection.recv()
    except (EOFError, ConnectionResetError):
        process.join()
        return Event("failed", work, failure=_silent_death(process.exitcode))
    if kind == "epoch":
        return Event("epoch", work, row=content)
    if kind == "failed":
        return Event("failed", work, failure=TrialFailure(*content))
    return Event("finished", work)


def _silent_death(exitcode: int) -> TrialFailure:
    if exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = "; the kernel does this when memory runs out" if name == "SIGKILL" else ""
        return TrialFailure("killed", f"ended by {name}{hint}")
    return TrialFailure("killed", f"ended without a word, exit code {exitcode}")


def _train(work: Work, connection: Connection) -> None:
    """Train one trial; runs in its own process."""
    # The parent decides about the end of a job; a Ctrl-C in the terminal reaches us as well.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, args=(connection,), daemon=True).start()
    from gridfold.training import train_trial

    try:
        result, predictions = train_trial(work.task, lambda row: connection.send(("epoch", row)))
        work.store.finish(result, predictions)
        connection.send(("finished", None))
    except TrialFailure as failure:
        connection.send(("failed", (failure.kind, failure.reason, failure.detail)))
    except BaseException as error:
        summary = "".join(traceback.format_exception_only(error)).strip()
        reason = summary.splitlines()[0]
        traceback.print_exc()
        connection.send(("failed", ("error", reason, traceback.format_exc())))


def _die_with_parent(connection: Connection) -> None:
    """End this process when the parent is gone, so that no orphan writes to the run store."""
    wait([connection])
    # The parent never sends anything: readable means that its end is closed.
    os._exit(EXIT_CONTINUE)


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """Hide the main script from `multiprocessing`, which would run it again in every child.

    Here it is the wrapper that Snakemake generates around an adapter.
    """
    main = sys.modules["__main__"]
    hidden = {name: getattr(main, name, None) for name in ("__file__", "__spec__")}
    for name in hidden:
        if hasattr(main, name):
            setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Turn the signals that end a job into an event, for the time of the block."""
    stopped = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    previous = {number: signal.signal(number, lambda *_: stopped.set()) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

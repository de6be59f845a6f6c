"""One rank trains its share of a distributed job: ``python -m gridfold.jobs.rank FOLDER DIGEST``.

All ranks train the same trials, one after another, each with its share of every batch. What has
happened is written, a line of JSON each time, to ``FOLDER/<rank>.jsonl``, where
:mod:`gridfold.jobs.ranks` reads it; files reach it from any node.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import os
import pickle
import platform
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gridfold.cluster.allocation import Share
from gridfold.cluster.job import node_name
from gridfold.cluster.launchers import launched_local_rank, launched_rank
from gridfold.errors import (
    EXIT_CONTINUE,
    BudgetSpent,
    GridfoldError,
    TrialFailure,
    summary_of,
)
from gridfold.jobs.fork_server import STOP_SIGNALS
from gridfold.jobs.frozen_imports import lasting
from gridfold.jobs.pool import Work
from gridfold.jobs.usage import Sampler, as_row, from_row, joined
from gridfold.usercode import sources

if TYPE_CHECKING:
    from gridfold.jobs.budget import BudgetGate
    from gridfold.training.devices import Devices


def take_gpu() -> None:
    """See one GPU of the node alone: the steps of a job see all that the job has there.

    Must come before TensorFlow looks for GPUs.
    """
    visible = [d for d in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if d.strip()]
    if len(visible) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[launched_local_rank() % len(visible)]


class _Messages:
    """Tells the supervisor what happens on this rank."""

    def __init__(self, file: Path) -> None:
        self._stream = file.open("a", encoding="utf-8")
        # The thread that waits for signals speaks, too.
        self._lock = threading.Lock()

    def send(self, kind: str, **content: Any) -> None:
        with self._lock:
            self._stream.write(json.dumps({"kind": kind, **content}) + "\n")
            self._stream.flush()


def main(folder: Path, digest: str) -> None:
    """Train all trials of ``works.pkl`` in `folder` together with the other ranks.

    Parameters
    ----------
    folder : Path
    digest : str
        SHA-256 of the file: a pickle that others have put there is not opened.
    """
    rank = launched_rank()
    logging.basicConfig(
        level=logging.INFO, format=f"%(asctime)s [rank {rank}] %(levelname)s %(message)s"
    )
    # TensorFlow announces instruction sets and missing GPUs at every start.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # It warns that graphs are traced again and again: one for each trial, as it must be.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    messages = _Messages(folder / f"{rank}.jsonl")
    _stop_on_signals(messages)
    messages.send("started", host=platform.node())
    try:
        content = (folder / "works.pkl").read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise GridfoldError(f"{folder / 'works.pkl'} is not what the job has written")
        snapshots, works = pickle.loads(content)  # nosec B301
        sources.use(snapshots)
        _train_all(works, messages)
    except BaseException as error:
        # The others wait for this rank in the middle of a step; only the end of the job frees them.
        messages.send("died", reason=summary_of(error), detail=traceback.format_exc())
        logging.error("%s", traceback.format_exc())
        os._exit(1)
    messages.send("ended")


def _train_all(works: Sequence[Work], messages: _Messages) -> None:
    with lasting():
        # What trials use, too.
        import gridfold.jobs.process_state
        import gridfold.training.trial
        import gridfold.usercode.functions  # noqa: F401
        from gridfold.training import devices as distribution

    first = works[0].task
    options = first.settings["training"].get("distribution")
    if options is not None and options["backend"] == "horovod":
        take_gpu()
    devices = distribution.start(options, first.threads)
    messages.send("ready", **_sees(first.threads, devices.device()))
    # Users' code may change the working folder.
    absolute = [work.absolute() for work in works]
    with _open_gate(absolute[0], devices.is_chief) as gate:
        _train_each(absolute, messages, devices, gate)


def _train_each(
    works: Sequence[Work], messages: _Messages, devices: Devices, gate: BudgetGate | None
) -> None:
    from gridfold.jobs.process_state import put_back
    from gridfold.training.trial import train_trial
    from gridfold.training.turns import Turns
    from gridfold.usercode import functions

    turns = Turns(devices)
    for number, work in enumerate(works):
        if work.limit is not None and not devices.from_chief(_may_begin(work, gate)):
            messages.send("left_out", trial=number, epoch=0)
            continue
        # A trial finds the user's module as it would in a process of its own.
        functions.forget()
        devices.configure(work.task.settings["training"].get("distribution"))
        messages.send("trial", trial=number)

        def report(row: dict[str, float], number: int = number, work: Work = work) -> None:
            if devices.is_chief:
                messages.send("epoch", trial=number, row=row)
            if work.limit is not None:
                # All end after the same epoch.
                is_reached = devices.is_chief and work.limit.is_reached(work, row)
                if devices.from_chief(is_reached):
                    raise BudgetSpent(int(row["epoch"]))

        with Sampler(Share(work.task.threads or 1)) as sampler, put_back():
            try:
                known = work.store.unscored(work.task.epochs) if devices.is_chief else None
                known = devices.from_chief(known)
                result, predictions = train_trial(work.task, report, turns, known)
            except BudgetSpent as spent:
                usage = sampler.usage().record()
                messages.send("left_out", trial=number, epoch=spent.epoch, usage=usage)
                continue
            except TrialFailure as failure:
                # Every rank gets here: such failures follow from what all of them know.
                content = (failure.kind, failure.reason, failure.detail)
                usage = sampler.usage().record()
                messages.send("failed", trial=number, failure=content, usage=usage)
                continue
            own = sampler.usage(result.device)
        rows = devices.gather(np.array([as_row(own)]))
        # A replica has a device of its own, in a process of its own or not.
        gpus = 0.0 if result.device == "CPU" else float(result.world_size)
        usage = replace(joined(map(from_row, rows)), gpus=gpus).record()
        if devices.is_chief:
            work.store.finish(replace(result, usage=result.usage or usage), predictions)
        messages.send("finished", trial=number, usage=usage)


def _open_gate(work: Work, is_chief: bool) -> AbstractContextManager[BudgetGate | None]:
    """Return what lets trials begin, on the rank that decides; the others hear of it."""
    gate = work.limit.gate(f"{work.limit.stage}-ranks") if work.limit and is_chief else None
    return nullcontext() if gate is None else gate


def _may_begin(work: Work, gate: BudgetGate | None) -> bool:
    if gate is None or work.limit is None:
        return True
    return gate.next_of([work], work.limit.stage, now=True) is not None


def _sees(threads: int, device: str) -> dict[str, Any]:
    """Return where this rank runs and what it sees there, in the order in which it is logged."""
    return {
        "host": node_name(),
        "local_rank": launched_local_rank(),
        "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "none"),
        "threads": threads,
        "device": device,
    }


def _stop_on_signals(messages: _Messages) -> None:
    """End this process at once when the job is told to stop; its last epoch is in the run store.

    A thread learns of the signal, because the main thread may be inside an operation that waits for
    other ranks, where Python runs no handler.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)

    def wait() -> None:
        # Other signals wake this thread, too.
        while os.read(reader, 1)[0] not in STOP_SIGNALS:
            pass
        messages.send("stopped")
        os._exit(EXIT_CONTINUE)

    threading.Thread(target=wait, name="gridfold-signals", daemon=True).start()


def _end() -> None:
    """End this process, though users' code may have left threads that do not end."""
    left = [thread.name for thread in threading.enumerate() if not thread.daemon]
    if left == [threading.main_thread().name]:
        return
    logging.warning("ended though own code has left threads: %s", ", ".join(left))
    # Horovod says good-bye to the other ranks there.
    atexit._run_exitfuncs()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
    _end()

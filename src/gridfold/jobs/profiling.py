"""Profile one epoch of a trial with TensorFlow's profiler, apart from the study."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridfold.errors import not_run_yet
from gridfold.jobs.work import JobInputs
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.shards import TrialKey
from gridfold.requests import ChosenConfiguration, WantedConfiguration
from gridfold.store.trials import TrialTask

# The first epoch traces and compiles the graph, the second is as all that follow.
_PROFILED = 2
_PER_MS = 1e9


@dataclass(frozen=True)
class Operation:
    """What all calls of one kind of operation took.

    Attributes
    ----------
    name : str
        TensorFlow's type of operation, or the kernel on a GPU.
    device : str
        As TensorFlow names it, such as ``/host:CPU`` or ``/device:GPU:0``.
    milliseconds : float
        Summed over threads.
    calls : int
    """

    name: str
    device: str
    milliseconds: float
    calls: int


@dataclass(frozen=True)
class Profile:
    """A profiled epoch.

    Attributes
    ----------
    folder : Path
        For `xprof`, and TensorBoard's profile plugin.
    seconds : float
        Wall time of the recorded epoch, in seconds.
    operations : list of Operation
        Most expensive first.
    """

    folder: Path
    seconds: float
    operations: list[Operation]


def profile(plan: Plan, configuration: ChosenConfiguration, split: str) -> Profile:
    """Train a trial for two epochs on one device and record the second.

    Nothing goes to the run store, and what is there is not touched.

    Parameters
    ----------
    plan : Plan
    configuration : ChosenConfiguration
    split : str
        One of its splits.

    Raises
    ------
    StudyError
        When the data are not prepared.
    TrialFailure
        When the trial fails, or its own training ends before the second epoch.
    """
    paths = plan.paths
    conditions = JobRequests(plan).conditions
    try:
        inputs = JobInputs.load(conditions, paths, conditions.threads)
    except FileNotFoundError:
        missing = f"{paths.root} has no prepared data"
        raise not_run_yet(missing, plan.command) from None
    trial = TrialKey(configuration.id, split)
    with tempfile.TemporaryDirectory(prefix="gridfold-profile-") as scratch:
        task = inputs.task(
            trial, WantedConfiguration(configuration.settings, _PROFILED), Path(scratch)
        )
        folder = paths.profiles / f"{configuration.id}-{split}"
        seconds, file = _record(task, folder)
    return Profile(folder, seconds, operations(file))


def _record(task: TrialTask, folder: Path) -> tuple[float, Path]:
    """Train, and return what the recorded epoch took and the newest record."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    from gridfold.errors import TrialFailure
    from gridfold.training import trial

    rows: list[Mapping[str, Any]] = []

    def after_epoch(row: Mapping[str, Any]) -> None:
        rows.append(row)
        if row["epoch"] == _PROFILED - 1:
            tf.profiler.experimental.start(str(folder))
        elif row["epoch"] == _PROFILED:
            tf.profiler.experimental.stop()

    trial.train_trial(task, after_epoch)
    if len(rows) < _PROFILED:
        raise TrialFailure("error", f"the training reported {len(rows)} of {_PROFILED} epochs")
    newest = max(folder.glob("plugins/profile/*/*.xplane.pb"), key=lambda f: f.stat().st_mtime_ns)
    return float(rows[-1]["training_seconds"]), newest


def operations(file: Path) -> list[Operation]:
    """Return what the operations in a record took, most expensive first.

    Parameters
    ----------
    file : Path
        An ``.xplane.pb`` of TensorFlow's profiler.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    spent: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0])
    for plane in xplane_pb2.XSpace.FromString(file.read_bytes()).planes:
        is_host = plane.name == "/host:CPU"
        if not is_host and not plane.name.startswith("/device:"):
            continue
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                # On the host, the operations of a graph are `scope/name:Type`; the rest is what
                # TensorFlow does around them, which would count them once more.
                path, colon, kind = name.rpartition(":")
                if is_host and (not colon or path.endswith(":") or " " in kind):
                    continue
                total = spent[(kind if is_host else name), plane.name]
                total[0] += event.duration_ps
                total[1] += 1
    found = [
        Operation(name, device, picoseconds / _PER_MS, int(calls))
        for (name, device), (picoseconds, calls) in spent.items()
    ]
    return sorted(found, key=lambda operation: -operation.milliseconds)


def text(found: Profile, most: int) -> str:
    """Return a profile as the lines of a terminal."""
    total = sum(operation.milliseconds for operation in found.operations)
    lines = [f"{found.seconds:.2f} s an epoch; operations, summed over threads:", ""]
    lines += [
        f"{operation.milliseconds:10.1f} ms {operation.milliseconds / total:6.1%} "
        f"{operation.calls:8,} x  {operation.name}  {operation.device}"
        for operation in found.operations[:most]
    ]
    return "\n".join([*lines, "", f"The whole record, for xprof: {found.folder}"])

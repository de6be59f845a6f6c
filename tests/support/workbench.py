"""A study prepared up to the point where training begins, and ways to train in it."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from gridfold import typed_json
from gridfold.data.dataset import Dataset, prepare
from gridfold.data.splits import Splits, make_splits
from gridfold.jobs import pool
from gridfold.jobs.fork_server import TRAINING, Libraries, SharedServer
from gridfold.jobs.shard import ShardTables
from gridfold.jobs.work import JobInputs
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_file import CatalogueEntry
from gridfold.requests import WantedConfiguration
from gridfold.store import checkpoints
from gridfold.store.trials import TrialResult, TrialStore

ROOT = Path(__file__).parents[2]


@dataclass
class Bench:
    """A prepared study."""

    plan: Plan
    splits: Splits
    data_digest: str

    def work(self, position: int = 0, split: str = "r0f0") -> pool.Work:
        """Return the work of one trial, its store opened."""
        configuration = self.plan.configurations[position]
        inputs = JobInputs(
            JobRequests(self.plan).conditions,
            self.plan.paths,
            self.splits.by_name,
            self.data_digest,
            threads=1,
        )
        wanted = WantedConfiguration(configuration.settings, configuration.epochs)
        return inputs.work(TrialKey(configuration.id, split), wanted)

    def train(self, *works: pool.Work, workers: int = 2) -> list[pool.Event]:
        """Train in the pool and return all events."""
        events: list[pool.Event] = []
        with shared_forks():
            pool.run(works, workers, events.append)
        return events

    def trained(self, position: int = 0, split: str = "r0f0") -> TrialResult:
        """Train one trial to its end and return its result."""
        work = self.work(position, split)
        events = self.train(work)
        failures = [event.failure for event in events if event.failure]
        assert not failures, failures
        result = work.store.result(work.task.epochs)
        assert result is not None
        return result


def stored_predictions(store: TrialStore, epochs: int) -> np.ndarray | None:
    """Return the predictions of a trial's answer for `epochs`; None where there are none."""
    answer = store.result(epochs)
    return None if answer is None else store.predictions_of(answer)


@functools.cache
def _forks(libraries: Libraries) -> tuple[SharedServer, str]:
    """Return a fork server and its address; when nobody has it any more, it ends."""
    server = SharedServer(libraries)
    server.start(threads=1)
    return server, os.environ.pop(libraries.address)


def fork_addresses(*kinds: Libraries) -> dict[str, str]:
    """Return the environment of what forks from one process, as jobs of a Snakemake here do.

    Libraries are imported once for all tests that one process runs: those of training, if no
    others are named.
    """
    return {libraries.address: _forks(libraries)[1] for libraries in kinds or (TRAINING,)}


@contextlib.contextmanager
def shared_forks(*kinds: Libraries) -> Iterator[None]:
    """Let what is started in the block have :func:`fork_addresses`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, address in fork_addresses(*kinds).items():
            patch.setenv(name, address)
        yield


def prepare_bench(folder: Path, study: dict[str, Any]) -> Bench:
    """Validate a study, read its data and draw its splits below `folder`."""
    file = folder / f"{study['study']}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(study, sort_keys=False))
    plan = Plan.load([file], results=folder / "results")
    requests = JobRequests(plan)
    asked = requests.data()
    dataset = prepare(
        asked.data, asked.problem, positive=asked.positive, measures=asked.measures or ()
    )
    dataset.save(plan.paths.data)
    splits = make_splits(Dataset.load(plan.paths.data), requests.splits())
    splits.save(plan.paths.splits)
    catalogue = {c.id: CatalogueEntry(c.label, c.settings, c.epochs) for c in plan.configurations}
    typed_json.write(plan.paths.catalogue, catalogue)
    return Bench(plan, splits, dataset.digest)


def final_state(folder: Path, epochs: int) -> list[np.ndarray[Any, Any]]:
    """Return every number of a trial's last checkpoint."""
    saved = checkpoints.newest(folder, epochs)
    assert saved is not None
    return [*saved.variables, *saved.optimizer, *(saved.best_weights or [])]


def without_times(history: list[dict[str, float]]) -> list[dict[str, float]]:
    """Return a history without its wall times, which no two runs share."""
    return [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in history]


def start_shard_job(
    plan: Plan,
    workers: int = 2,
    *,
    shard: str = "s0001",
    minutes: int = 0,
    first_attempt: bool = True,
    last_attempt: bool = True,
) -> subprocess.Popen[bytes]:
    """Start the training job of a shard in its own process, as Snakemake would."""
    code = """
import sys
from pathlib import Path
from gridfold.jobs import pool
from gridfold.jobs.job import job
from gridfold.jobs.shard import Attempt, ShardJob, ShardTables
from gridfold.paths import StudyPaths
from gridfold.requests import TrainRequest
from gridfold.store.job_records import JobResources
root, shard, request, log, workers, minutes, first, last = sys.argv[1:]
with job(log, request):
    ShardJob(shard, TrainRequest.parse(request), StudyPaths(Path(root)),
             Attempt(first == "True", last == "True"), JobResources(1, minutes=int(minutes))).run(
        lambda works, listener, meanwhile: pool.run(works, int(workers), listener, (), meanwhile),
        ShardTables(*(Path(root) / "shards" / f"{shard}.{n}.parquet"
                      for n in ("trials", "epochs", "predictions"))))
"""
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            code,
            str(plan.paths.root),
            shard,
            JobRequests(plan).train(shard).text(),
            plan.paths.log("train", shard),
            str(workers),
            str(minutes),
            str(first_attempt),
            str(last_attempt),
        ],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def shard_tables(plan: Plan) -> ShardTables:
    """Return where the tables of the only shard go."""
    return ShardTables(
        *(
            plan.paths.shards / f"s0001.{name}.parquet"
            for name in ("trials", "epochs", "predictions")
        )
    )


def processes_of_session(leader: int) -> list[int]:
    """Return the live processes of the session that `leader` began."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def wait_for(condition: Any, seconds: float = 300.0, *, pause: float = 0.02) -> None:
    """Wait until `condition()` holds.

    The patience is for a machine that other tests keep busy, and a longer pause for a question
    that keeps it busy itself.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)


def kill_hard(process: subprocess.Popen[bytes]) -> None:
    """End a process as the kernel does when memory runs out."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

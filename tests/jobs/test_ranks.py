"""Distributed jobs treated badly: what dies ends the job soon, says why, and loses nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import horovod, need_mpi, needs_mpi
from workbench import (
    ROOT,
    Bench,
    final_state,
    kill_hard,
    prepare_bench,
    wait_for,
    without_times,
)

from gridfold.errors import EXIT_CONTINUE
from gridfold.jobs import pool, ranks
from gridfold.jobs.ranks import Launch, RanksFailed
from gridfold.store import checkpoints

EPOCHS = 150
MODELS = """
import os
import signal

import keras


def build(hp, input_shape, outputs):
    kind = hp.Choice("kind", ["plain", "raises", "dies", "unbuildable"])
    if kind == "unbuildable":
        raise ValueError("no such layer")
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(outputs, activation="softmax")(keras.layers.Flatten()(inputs))
    return {"raises": Raises, "dies": Dies}.get(kind, keras.Model)(inputs, x)


def is_second():
    return os.environ.get("OMPI_COMM_WORLD_RANK") == "1"


class Raises(keras.Model):
    def train_step(self, data):
        if is_second():
            raise RuntimeError("rank 1 has had enough")
        return super().train_step(data)


class Dies(keras.Model):
    def train_step(self, data):
        if is_second():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().train_step(data)
"""


def study(folder: Path, kinds: list[str], epochs: int) -> Bench:
    """Return a study with one configuration for each kind of model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "models.py").write_text(MODELS)
    model = {"python": {"build": f"{folder}/models.py:build"}}
    return ranked(folder, model, {"python.kind": kinds}, epochs)


def ranked(folder: Path, model: dict[str, Any], space: dict[str, Any], epochs: int) -> Bench:
    return prepare_bench(
        folder,
        {
            "study": "ranks",
            "data": {"source": "digits", "normalise": "global", "subset": 600},
            "problem": {"type": "multiclass"},
            "model": model,
            "training": {
                "epochs": epochs,
                "checkpoint_every": 1,
                "early_stopping": {"patience": 100},
                "distribution": {"backend": "horovod", "world_size": 2},
            },
            "search": {"space": space},
            "resampling": {"method": "holdout"},
        },
    )


def train(bench: Bench, launch: Launch) -> list[tuple[pool.Event, float]]:
    """Train one trial of each configuration; return all events and when they came, in seconds."""
    works = [bench.work(position) for position in range(len(bench.plan.configurations))]
    events: list[tuple[pool.Event, float]] = []
    ranks.run(
        works,
        launch,
        bench.plan.paths.ranks("test"),
        lambda event: events.append((event, time.monotonic())),
    )
    return events


@needs_mpi
def test_trials_that_die_leave_the_others_alone(tmp_path: Path) -> None:
    bench = study(tmp_path, ["unbuildable", "raises", "dies", "plain"], epochs=2)
    events = train(bench, horovod(2, "mpirun"))
    ends = [event for event, _ in events if event.kind in ("failed", "finished")]
    assert [event.kind for event in ends] == ["failed", "failed", "failed", "finished"]
    reasons = [event.failure.reason for event in ends if event.failure]
    assert reasons[0] == "rank 0: ValueError: no such layer"
    assert reasons[1] == "rank 1: RuntimeError: rank 1 has had enough"
    assert reasons[2].startswith("rank 1 ended without a word")
    result = bench.work(3).store.result(2)
    assert result is not None
    assert (result.world_size, result.device) == (2, "CPU")
    # The other rank would wait for a lost one for ever.
    began = 0.0
    for event, second in events:
        if event.kind == "started":
            began = second
        elif event.kind == "failed":
            assert second - began < 60


@needs_mpi
def test_a_rank_that_hangs_at_start_is_named(tmp_path: Path) -> None:
    wrapper = tmp_path / "launch"
    wrapper.write_text(
        "#!/bin/sh\n"
        "option=$1 count=$2\n"
        "shift 2\n"
        'exec mpirun --oversubscribe "$option" "$count" sh -c \\\n'
        '  \'test $OMPI_COMM_WORLD_RANK = 1 && exec sleep 1000; exec "$0" "$@"\' "$@"\n'
    )
    wrapper.chmod(0o755)
    bench = study(tmp_path / "study", ["plain"], epochs=2)
    began = time.monotonic()
    with pytest.raises(RanksFailed, match="rank 1 did not start within 8 s"):
        train(bench, Launch(str(wrapper), 2, start_timeout=8))
    assert time.monotonic() - began < 60
    assert not [p for p in _commands() if "sleep 1000" in p]


@needs_mpi
def test_ranks_that_do_not_find_each_other_train_nothing(tmp_path: Path) -> None:
    # As where the MPI of a container does not understand that of its launcher.
    launcher = tmp_path / "launch"
    launcher.write_text(
        '#!/bin/sh\nshift 2\nOMPI_COMM_WORLD_RANK=0 "$@" & OMPI_COMM_WORLD_RANK=1 "$@" & wait\n'
    )
    launcher.chmod(0o755)
    bench = study(tmp_path / "study", ["plain"], epochs=2)
    with pytest.raises(RanksFailed, match=r"1 processes found each other, for world_size 2\. The"):
        train(bench, Launch(str(launcher), 2))


@needs_mpi
def test_ranks_whose_mpi_does_not_start_are_told_apart_from_killed_ones(tmp_path: Path) -> None:
    bench = study(tmp_path, ["plain"], epochs=2)
    # As where no network of a node serves.
    launcher = "mpirun --oversubscribe --mca btl no_such_network --mca pml ob1"
    with pytest.raises(RanksFailed, match="ended while joining the others; what TensorFlow or MPI"):
        train(bench, Launch(launcher, 2))


def _commands() -> list[str]:
    answer = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return answer.stdout.splitlines()


@needs_mpi
def test_a_launcher_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RanksFailed, match="launcher `srun-of-another-site` not found"):
        train(study(tmp_path, ["plain"], epochs=1), Launch("srun-of-another-site", 2))


def start_job(bench: Bench) -> subprocess.Popen[bytes]:
    """Start the rule's own command, as Snakemake would."""
    paths = bench.plan.paths
    outputs = [paths.shards / f"d0001.{n}.parquet" for n in ("trials", "epochs", "predictions")]
    script = ROOT / "workflow" / "scripts" / "train_distributed.py"
    command = [sys.executable, str(script), "--study", str(bench.plan.files[0])]
    command += ["--results", str(paths.root.parent), "--log", str(paths.root / "job.log")]
    command += ["--shard", "d0001"]
    command += ["--attempt", "1", "--outputs", *map(str, outputs)]
    # Results lie below the working directory, as in a real run.
    return subprocess.Popen(
        command,
        cwd=bench.plan.paths.root.parent.parent,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


MLP = {"mlp": {"units": 32, "dropout": 0.2, "batch_norm": True}}


def long_study(folder: Path, epochs: int = EPOCHS) -> Bench:
    return ranked(folder, MLP, {}, epochs)


def epochs_reached(bench: Bench) -> int:
    saved = checkpoints.newest(trial_folder(bench), 100_000)
    return saved.epoch if saved else 0


def trial_folder(bench: Bench) -> Path:
    # Not by opening the store, which clears away what a live job is just writing.
    (trial,) = bench.plan.trials
    return bench.plan.paths.trial(trial.config_id, trial.split)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    need_mpi()
    bench = long_study(tmp_path_factory.mktemp("whole"))
    finish(bench)
    return bench


def finish(bench: Bench) -> None:
    job = start_job(bench)
    _, errors = job.communicate(timeout=300)
    assert job.returncode == 0, errors.decode()


def ranks_of(bench: Bench) -> list[int]:
    """Return the live ranks of a study's job, whatever session they are in."""
    folder = str(bench.plan.paths.root.parent.parent)
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_rank = b"gridfold.jobs.rank" in (entry / "cmdline").read_bytes()
            if is_rank and os.readlink(entry / "cwd") == folder:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@needs_mpi
def test_killed_and_continued_equals_never_interrupted_bit_for_bit(
    tmp_path: Path, uninterrupted: Bench
) -> None:
    bench = long_study(tmp_path)
    generator = random.Random(20261124)
    reached = 0
    for victim in ("job", "ranks"):
        job = start_job(bench)
        wait_for(lambda: epochs_reached(bench) > reached or job.poll() is not None)  # noqa: B023
        time.sleep(generator.uniform(0.0, 0.3))
        assert job.poll() is None, "too fast to be interrupted"
        if victim == "job":
            # The ranks are in a session of their own; the kernel tells their launcher.
            kill_hard(job)
        else:
            for rank in ranks_of(bench):
                os.kill(rank, signal.SIGKILL)
            assert job.wait(timeout=60) != 0
        wait_for(lambda: not ranks_of(bench), seconds=30)
        assert epochs_reached(bench) >= reached
        reached = epochs_reached(bench)
    assert 0 < reached < EPOCHS
    finish(bench)

    folders = [trial_folder(b) for b in (bench, uninterrupted)]
    a, b = (json.loads((f / f"result-{EPOCHS:05d}.json").read_text()) for f in folders)
    stretches = [(s["first"], s["last"]) for s in a["segments"]]
    assert len(stretches) == 3
    assert [first for first, _ in stretches] == [1, *(last + 1 for _, last in stretches[:-1])]
    assert a["scores"] == b["scores"]
    assert without_times(a["history"]) == without_times(b["history"])
    for one, other in zip(*(final_state(f, EPOCHS) for f in folders), strict=True):
        np.testing.assert_array_equal(one, other)


@needs_mpi
def test_a_job_that_is_told_to_stop_says_continue_me(tmp_path: Path) -> None:
    bench = long_study(tmp_path, epochs=5000)
    job = start_job(bench)
    wait_for(lambda: epochs_reached(bench) > 0 or job.poll() is not None)
    assert job.poll() is None, "too fast to be told"
    os.kill(job.pid, signal.SIGUSR1)
    _, errors = job.communicate(timeout=30)
    assert job.returncode == EXIT_CONTINUE
    assert "run again to continue" in errors.decode()
    wait_for(lambda: not ranks_of(bench), seconds=20)
    assert epochs_reached(bench) > 0

"""Training jobs of a cluster help each other: who has nothing more to do trains what waits."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from shardjobs import EPOCHS, segments, study
from workbench import (
    Bench,
    kill_hard,
    prepare_bench,
    shared_forks,
    start_shard_job,
    wait_for,
)

from gridfold.paths import result_file
from gridfold.plan.helping import write_help_order
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.resources import JobSizes
from gridfold.plan.shards import TrialKey
from gridfold.store import checkpoints


def three_jobs(folder: Path, **extra: Any) -> Bench:
    """Return a study of three jobs with two trials each."""
    return prepare_bench(
        folder,
        study(
            search={"space": {"training.learning_rate": [0.001, 0.003, 0.01]}},
            **{"execution": {"trials_per_job": 2}} | extra,
        ),
    )


def start(bench: Bench, shard: str, minutes: int = 0) -> subprocess.Popen[bytes]:
    """Start a training job with one worker."""
    with shared_forks():
        return start_shard_job(bench.plan, 1, shard=shard, minutes=minutes)


def leave_order(bench: Bench, *, has_queue: bool = True) -> None:
    """Leave word of what the jobs can help each other with, as a run does."""
    plan = bench.plan
    write_help_order(plan, JobRequests(plan), JobSizes(plan), has_queue=has_queue)


def ended(job: subprocess.Popen[bytes]) -> None:
    _, errors = job.communicate(timeout=300)
    assert job.returncode == 0, errors.decode()


def log_of(bench: Bench, shard: str) -> str:
    return Path(bench.plan.paths.log("train", shard)).read_text()


def table(bench: Bench) -> pd.DataFrame:
    columns = ["config_id", "split", "accuracy", "log_loss", "best_epoch", "resumptions"]
    files = sorted(bench.plan.paths.shards.glob("*.trials.parquet"))
    assert len(files) == 3
    return pd.concat([pd.read_parquet(file)[columns] for file in files], ignore_index=True)


def trained(bench: Bench, shard: str) -> list[TrialKey]:
    """Return which trials of a shard have an answer."""
    paths = bench.plan.paths
    return [
        trial
        for trial, _ in bench.plan.members(shard)
        if result_file(paths.trial(trial.config_id, trial.split), EPOCHS).exists()
    ]


def epochs_of(bench: Bench, shard: str) -> int:
    """Return the epochs that are kept of the trials of a shard."""
    found = (
        checkpoints.newest(bench.plan.paths.trial(trial.config_id, trial.split), EPOCHS)
        for trial, _ in bench.plan.members(shard)
    )
    return sum(saved.epoch for saved in found if saved is not None)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The trials of three jobs that do not help each other."""
    bench = three_jobs(tmp_path_factory.mktemp("alone"))
    leave_order(bench, has_queue=False)
    for shard in bench.plan.shards:
        ended(start(bench, shard))
        assert "for other jobs" not in log_of(bench, shard)
    return table(bench)


def test_one_job_gets_the_whole_study_done_while_the_others_wait(
    tmp_path: Path, alone: pd.DataFrame
) -> None:
    bench = three_jobs(tmp_path)
    leave_order(bench)
    first, *others = bench.plan.shards
    ended(start(bench, first))
    assert "4 trials were trained for other jobs" in log_of(bench, first)
    for shard in others:
        assert len(trained(bench, shard)) == 2
        ended(start(bench, shard))
        assert "2 trials, 2 known, 0 to train" in log_of(bench, shard)
    pd.testing.assert_frame_equal(table(bench), alone)
    records = [file.name.partition("-")[0] for file in bench.plan.paths.jobs.iterdir()]
    assert {name.partition(".")[0] for name in records} == {first}, "only one has trained"


def test_two_jobs_at_a_time_train_each_trial_once(tmp_path: Path, alone: pd.DataFrame) -> None:
    bench = three_jobs(tmp_path)
    leave_order(bench)
    first, second, third = bench.plan.shards
    jobs = [start(bench, shard) for shard in (first, second)]
    for job in jobs:
        ended(job)
    ended(start(bench, third))
    assert "2 known, 0 to train" in log_of(bench, third)
    assert {tuple(segments(bench, trial)) for trial in bench.plan.trials} == {((1, EPOCHS),)}
    pd.testing.assert_frame_equal(table(bench), alone)
    assert not list(bench.plan.paths.runs.glob("*/.*")), "no lock is left"


def test_a_job_that_is_told_to_stop_while_it_helps_has_done_its_own_work(tmp_path: Path) -> None:
    bench = three_jobs(tmp_path)
    leave_order(bench)
    first, second, _ = bench.plan.shards
    job = start(bench, first)
    wait_for(lambda: epochs_of(bench, second) > 0 or job.poll() is not None)
    os.kill(job.pid, signal.SIGUSR1)
    ended(job)
    assert "told to stop, when all trials of this job had ended" in log_of(bench, first)
    assert (bench.plan.paths.shards / f"{first}.trials.parquet").exists()
    assert not list(bench.plan.paths.runs.glob("*/.*")), "no lock is left"


def test_what_a_helper_has_left_is_gone_on_with(tmp_path: Path, alone: pd.DataFrame) -> None:
    bench = three_jobs(tmp_path)
    leave_order(bench)
    first, *others = bench.plan.shards
    job = start(bench, first)
    wait_for(lambda: epochs_of(bench, others[0]) > 0 or job.poll() is not None)
    kill_hard(job)
    for shard in (*others, first):
        ended(start(bench, shard))
    columns = ["config_id", "split", "accuracy", "log_loss", "best_epoch"]
    pd.testing.assert_frame_equal(table(bench)[columns], alone[columns])


def test_what_does_not_fit_into_its_time_is_left_to_its_own_job(tmp_path: Path) -> None:
    bench = three_jobs(tmp_path)
    leave_order(bench)
    first, *others = bench.plan.shards
    # Three minutes are kept for the end.
    ended(start(bench, first, minutes=3))
    assert "does not fit into the time of this one" in log_of(bench, first)
    assert not any(trained(bench, shard) for shard in others)


FAILING = """
import keras


def build_model(hp, input_shape, outputs):
    if hp.Int("units", 1, 99) == 1:
        raise ValueError("one unit is too few")
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(hp.Int("units", 1, 99))(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
"""


def test_a_job_with_a_failed_trial_says_so_and_helps_nobody(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    bench = prepare_bench(
        tmp_path,
        study(
            model={"python": {"build": f"{tmp_path}/failing.py:build_model"}},
            search={"space": {"python.units": [1, 2, 3]}},
            execution={"trials_per_job": 2},
        ),
    )
    leave_order(bench)
    first, *others = bench.plan.shards
    job = start(bench, first)
    _, errors = job.communicate(timeout=300)
    assert job.returncode == 1
    assert "one unit is too few" in errors.decode()
    assert not any(trained(bench, shard) for shard in others)


def test_an_order_of_another_run_is_none(tmp_path: Path) -> None:
    bench = three_jobs(tmp_path)
    other = three_jobs(tmp_path / "other", training={"epochs": EPOCHS, "checkpoint_every": 2})
    leave_order(other)
    bench.plan.paths.help_order.parent.mkdir(parents=True, exist_ok=True)
    bench.plan.paths.help_order.write_bytes(other.plan.paths.help_order.read_bytes())
    first, *others = bench.plan.shards
    ended(start(bench, first))
    assert not any(trained(bench, shard) for shard in others)

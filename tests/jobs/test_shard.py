"""The training job of a shard, run as its own process and treated badly."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from memorylimits import memory_limit, need_root_for_cgroups
from shardjobs import EPOCHS, assert_same_numbers, epochs_reached, finish, segments, study
from workbench import (
    Bench,
    final_state,
    kill_hard,
    prepare_bench,
    processes_of_session,
    shard_tables,
    shared_forks,
    start_shard_job,
    wait_for,
)

from gridfold import advice
from gridfold.canonical import digest
from gridfold.cluster import attempts
from gridfold.errors import EXIT_CONTINUE
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.shards import TrialKey
from gridfold.store.seals import sealed


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = prepare_bench(tmp_path_factory.mktemp("uninterrupted"), study())
    finish(bench)
    return bench


def test_killed_at_random_moments_equals_never_interrupted_bit_for_bit(
    tmp_path: Path, uninterrupted: Bench
) -> None:
    bench = prepare_bench(tmp_path, study())
    generator = random.Random(20261124)
    kills = 0
    known: dict[TrialKey, int] = epochs_reached(bench)
    for number in range(3):
        # With forks of its own first, as on a cluster, then as on one machine.
        with shared_forks() if number else contextlib.nullcontext():
            job = start_shard_job(bench.plan)
        before = sum(known.values())
        # Random, but only after something was learnt that could be lost.
        wait_for(lambda: sum(epochs_reached(bench).values()) > before or job.poll() is not None)  # noqa: B023
        time.sleep(generator.uniform(0.0, 0.6))
        if job.poll() is not None:
            break
        kill_hard(job)
        kills += 1
        wait_for(lambda: not processes_of_session(job.pid), seconds=20)  # noqa: B023
        now = epochs_reached(bench)
        assert all(now[trial] >= known[trial] for trial in known), "a finished epoch was lost"
        known = now
    assert kills >= 2
    finish(bench)

    interrupted = 0
    for trial in bench.plan.trials:
        stretches = segments(bench, trial)
        interrupted += len(stretches) > 1
        # Every stretch begins right after the last epoch that was kept: nothing ran twice.
        assert [first for first, _ in stretches] == [1, *(last + 1 for _, last in stretches[:-1])]
    assert_same_numbers(bench, uninterrupted)
    assert interrupted, "no trial was interrupted, so nothing was tested"


def test_a_finished_shard_trains_nothing_when_it_runs_again(uninterrupted: Bench) -> None:
    tables = shard_tables(uninterrupted.plan)
    before = pd.read_parquet(tables.trials)
    tables.trials.unlink()
    finish(uninterrupted)
    pd.testing.assert_frame_equal(pd.read_parquet(tables.trials), before)
    log = Path(uninterrupted.plan.paths.log("train", "s0001")).read_text()
    assert "4 known, 0 to train" in log


def test_the_number_of_workers_changes_no_number(tmp_path: Path, uninterrupted: Bench) -> None:
    bench = prepare_bench(tmp_path, study())
    finish(bench, workers=1)
    columns = ["config_id", "split", "accuracy", "log_loss", "best_epoch"]
    tables = [pd.read_parquet(shard_tables(b.plan).trials)[columns] for b in (bench, uninterrupted)]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize(
    ("number", "tell", "forks"),
    [
        # Slurm tells every process of a job, whose forks are its own.
        pytest.param(signal.SIGUSR1, os.killpg, contextlib.nullcontext, id="Slurm"),
        pytest.param(signal.SIGTERM, os.kill, shared_forks, id="a user"),
        pytest.param(signal.SIGINT, os.killpg, shared_forks, id="a terminal"),
    ],
)
def test_a_job_that_is_told_to_stop_says_continue_me(
    tmp_path: Path,
    number: int,
    tell: Callable[[int, int], None],
    forks: Callable[[], AbstractContextManager[None]],
) -> None:
    bench = prepare_bench(tmp_path, study(epochs=2000))
    with forks():
        job = start_shard_job(bench.plan)
    wait_for(lambda: any(epochs_reached(bench).values()))
    tell(job.pid, number)
    _, errors = job.communicate(timeout=20)
    assert job.returncode == EXIT_CONTINUE
    assert "run again to continue" in errors.decode()
    assert not list(bench.plan.paths.runs.glob("*/*/failure.json")), "no trial has failed"
    wait_for(lambda: not processes_of_session(job.pid), seconds=20)


DYING = """
import os
import signal

import keras


class Trap(keras.layers.Layer):
    def __init__(self, way):
        super().__init__()
        self.way = way

    def build(self, shape):
        if self.way == "exception":
            raise RuntimeError("this layer does not like you")
        os.kill(os.getpid(), getattr(signal, self.way))

    def call(self, x):
        return x


def build_model(hp, input_shape, outputs):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    way = hp.Choice("dies", ["no", "exception", "SIGKILL", "SIGSEGV"])
    if way != "no":
        x = Trap(way)(x)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
"""
REASONS = {
    "exception": "this layer does not like you",
    "SIGKILL": "SIGKILL; the kernel does this when memory",
    "SIGSEGV": "SIGSEGV",
}


@pytest.mark.parametrize("policy", ["stop", "report"])
def test_trials_that_die_leave_the_others_alone(tmp_path: Path, policy: str) -> None:
    file = tmp_path / "dying.py"
    file.write_text(DYING)
    bench = prepare_bench(
        tmp_path,
        study(
            epochs=2,
            model={"python": {"build": f"{file}:build_model"}},
            search={"space": {"python.dies": [*REASONS, "no"]}},
            resampling={"method": "holdout"},
            execution={"trials_per_job": 100, "failed_trials": policy},
        ),
    )
    with shared_forks():
        job = start_shard_job(bench.plan)
    _, errors = job.communicate(timeout=300)
    *dying, fine = bench.plan.configurations
    (split,) = bench.plan.splits
    good = bench.plan.paths.trial(fine.id, split)
    assert json.loads((good / "result-00002.json").read_text())["status"] == "finished"
    for configuration, reason in zip(dying, REASONS.values(), strict=True):
        bad = bench.plan.paths.trial(configuration.id, split)
        assert reason in json.loads((bad / "failure.json").read_text())["reason"]
        assert not (bad / "result-00002.json").exists(), "a crash is not an answer"
    if policy == "stop":
        assert job.returncode == 1
        assert "3 of 4 trials failed; the others are kept" in errors.decode()
        assert all(reason in errors.decode() for reason in REASONS.values())
        assert "Traceback" not in errors.decode()
        assert not shard_tables(bench.plan).trials.exists()
    else:
        assert job.returncode == 0
        status = pd.read_parquet(shard_tables(bench.plan).trials).set_index("config_id")["status"]
        assert set(status[[configuration.id for configuration in dying]]) == {"failed"}
        assert status[fine.id] == "finished"


GREEDY = """
import keras
import numpy as np


def build_model(hp, input_shape, outputs):
    if hp.Boolean("greedy"):
        held = np.ones(2_000_000_000, np.uint8)
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
"""


def test_what_the_kernel_ends_for_want_of_memory_is_named_so(tmp_path: Path) -> None:
    need_root_for_cgroups()
    file = tmp_path / "greedy.py"
    file.write_text(GREEDY)
    bench = prepare_bench(
        tmp_path,
        study(
            epochs=1,
            model={"python": {"build": f"{file}:build_model"}},
            search={"space": {"python.greedy": [True, False]}},
            resampling={"method": "holdout"},
        ),
    )
    with memory_limit(1500) as group:
        job = start_shard_job(bench.plan, workers=1)
        (group / "cgroup.procs").write_text(str(job.pid))
        _, errors = job.communicate(timeout=300)
    assert job.returncode == 1
    said = errors.decode()
    assert "ended by the kernel: out of memory, of which this job may have 1500 MB" in said
    assert advice.OUT_OF_MEMORY.advice in said
    assert "1 of 2 trials failed; the others are kept" in said
    assert attempts.grown_resource("SLURM status is: 'FAILED'", said) == attempts.MEMORY


def test_a_damaged_checkpoint_costs_one_epoch_and_no_wrong_number(
    tmp_path: Path, uninterrupted: Bench
) -> None:
    bench = prepare_bench(tmp_path, study())
    trial = bench.plan.trials[0]
    folder = bench.plan.paths.trial(trial.config_id, trial.split)
    saved: list[Path] = []
    # The one before the last is there for a moment only: it may be gone when the job is.
    while len(saved) < 2:
        with shared_forks():
            job = start_shard_job(bench.plan)
        wait_for(lambda: len(list(folder.glob("checkpoint-*.npz"))) >= 2)
        kill_hard(job)
        wait_for(lambda: not processes_of_session(job.pid), seconds=20)  # noqa: B023
        saved = sorted(folder.glob("checkpoint-*.npz"))
    older, newer = saved[-2:]
    content = bytearray(newer.read_bytes())
    content[len(content) // 2] ^= 0xFF
    newer.write_bytes(content)
    finish(bench)
    log = Path(bench.plan.paths.log("train", "s0001")).read_text()
    assert "is damaged" in log
    assert segments(bench, trial)[-1][0] == int(older.stem[-5:]) + 1
    other = uninterrupted.plan.paths.trial(trial.config_id, trial.split)
    for one, two in zip(final_state(folder, EPOCHS), final_state(other, EPOCHS), strict=True):
        np.testing.assert_array_equal(one, two)


def test_records_of_other_code_are_set_aside_and_the_log_says_why(
    tmp_path: Path, uninterrupted: Bench
) -> None:
    bench = prepare_bench(tmp_path, study(epochs=2))
    finish(bench)
    request = JobRequests(bench.plan).train("s0001")
    trial = bench.plan.trials[0]
    folder = bench.plan.paths.trial(trial.config_id, trial.split)
    file = folder / "result-00002.json"
    record = json.loads(file.read_text())
    assert record["fingerprint"]["code"] == request.conditions.code
    record["fingerprint"]["code"] = "0" * 64
    record["fingerprint_digest"] = digest(record["fingerprint"])
    del record["checksum"]
    file.write_text(json.dumps(sealed(record)))
    for checkpoint in folder.glob("checkpoint-*.npz"):
        checkpoint.unlink()
    finish(bench)
    log = Path(bench.plan.paths.log("train", "s0001")).read_text()
    assert "the earlier record differs in code; set aside" in log
    assert "3 known, 1 to train" in log
    (aside,) = (bench.plan.paths.set_aside / trial.config_id).iterdir()
    assert (aside / "result-00002.json").exists()

"""What a trial uses, measured on real processes that use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies import tiny_study
from workbench import prepare_bench, shard_tables, start_shard_job

from gridfold.cluster.allocation import Allocation, Share
from gridfold.jobs.usage import Sampler, Usage, as_row, from_row, joined
from gridfold.store import job_records
from gridfold.store.job_records import memory_of_job
from gridfold.tables import trials

# What follows `sampler` sees a fresh interpreter, in which nothing else has happened.
HUNGRY = """
import time
from gridfold.cluster.allocation import Share
from gridfold.jobs.usage import Sampler
with Sampler(Share(2.0)) as sampler:
    block = bytearray(100_000_000)
    block[::4096] = b"x" * len(block[::4096])
    del block
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    print(*vars(sampler.usage()).values())
"""


def test_a_peak_between_two_samples_and_all_processor_time_are_seen() -> None:
    output = subprocess.run(
        [sys.executable, "-c", HUNGRY], capture_output=True, text=True, check=True
    ).stdout.split()
    cores, _, seconds, cpu_seconds, memory, added = map(float, output[:6])
    assert cores == 2
    assert 0.3 <= cpu_seconds <= seconds + 0.1
    assert 95 <= added <= 130
    assert memory > added
    assert output[6:] == ["None"] * 3, "no GPU was used, whatever the machine has"


def test_nothing_is_seen_of_a_gpu_that_is_hidden() -> None:
    with Sampler(Share(1, 1), {"CUDA_VISIBLE_DEVICES": "-1"}) as sampler:
        time.sleep(0.05)
        usage = sampler.usage("a GPU")
    assert usage.gpus == 1
    assert usage.gpu_busy is None


def test_looking_costs_next_to_nothing() -> None:
    with Sampler(Share()) as sampler:
        before = time.thread_time()
        for _ in range(100):
            sampler._memory()
        each = (time.thread_time() - before) / 100
    # Once a second: a thousandth of a core.
    assert each < 1e-3


def test_processes_that_trained_together_are_one_trial() -> None:
    one = Usage(1, 1, 10.0, 8.0, 500.0, 100.0, 0.5, 1000.0, None)
    other = Usage(1, 1, 12.0, 9.0, 400.0, 90.0, 0.7, 2000.0, None)
    both = joined(from_row(np.array(as_row(usage))) for usage in (one, other))
    assert both == Usage(2, 2, 12.0, 17.0, 900.0, 190.0, pytest.approx(0.6), 2000.0, None)


def test_a_trial_has_its_share_of_the_job() -> None:
    assert Allocation(10, ("0",)).share(1) == Share(10, 1)
    assert Allocation(8, ("0", "1")).share(4) == Share(2, 0.5)


FORKS = """
import os, sys, time
block = bytearray(100_000_000)
block[::4096] = b"x" * len(block[::4096])
for _ in range(3):
    if os.fork() == 0:
        break
print("up", flush=True)
time.sleep(60)
"""


def test_what_forks_share_counts_once() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", FORKS], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        for _ in range(4):
            process.stdout.readline()
        assert 100e6 < memory_of_job(process.pid) < 180e6
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def trained(folder: Path, **sections: Any) -> tuple[pd.DataFrame, list[job_records.JobRecord]]:
    bench = prepare_bench(folder, tiny_study(execution={"trials_per_job": 100}, **sections))
    job = start_shard_job(bench.plan)
    _, errors = job.communicate(timeout=120)
    assert job.returncode == 0, errors.decode()
    table = pd.read_parquet(shard_tables(bench.plan).trials)
    return table, job_records.read(bench.plan.paths.jobs, ["s0001"])


def test_every_trial_of_a_job_says_what_it_used_and_the_job_does_too(tmp_path: Path) -> None:
    table, (record,) = trained(tmp_path)
    assert (table["cpu_seconds"] > 0.05).all()
    assert table["memory_mb"].between(150, 3000).all()
    assert (table["added_memory_mb"] < table["memory_mb"]).all()
    assert (table["core_hours"] > 0).all()
    assert table["cpu_efficiency"].between(0.01, 3).all()
    assert table[["gpu_busy", "gpu_memory_mb", "gpu_tensors_mb"]].isna().all(axis=None)
    assert (record.trained, record.failed) == (4, 0)
    assert record.cpu_seconds == pytest.approx(table["cpu_seconds"].sum(), abs=0.01)
    assert record.ended > record.started
    assert record.memory_mb > table["memory_mb"].max() / 2


def test_a_diverged_trial_has_cost_something_too(tmp_path: Path) -> None:
    table, (record,) = trained(
        tmp_path,
        data={"source": "diabetes"},
        problem={"type": "regression"},
        training={"epochs": 3, "learning_rate": 1e30, "optimizer": "sgd"},
    )
    assert set(table["failure"]) == {"diverged"}
    assert (table["core_hours"] > 0).all()
    assert record.failed == 4


def test_a_record_that_was_cut_off_does_no_harm(tmp_path: Path) -> None:
    with job_records.JobRecorder(tmp_path, "s0001", job_records.JobResources(2)):
        (file,) = tmp_path.glob("*.jsonl")
        # Killed now, it would have no end; and half a line, if it was just writing one.
        text = file.read_text()
    (tmp_path / "s0001-1-2.jsonl").write_text(text + text[:20])
    (tmp_path / "s0001-1-3.jsonl").write_text("{")
    ends = [record.ended for record in job_records.read(tmp_path, ["s0001", "s0002"])]
    assert len(ends) == 2
    assert 0.0 in ends
    assert not job_records.read(tmp_path, ["s0002"])


def test_a_folder_that_can_not_be_written_costs_no_trial(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("a file where the folder should be")
    resources = job_records.JobResources(2)
    with job_records.JobRecorder(tmp_path / "jobs", "s0001", resources) as recorder:
        recorder.count({"cpu_seconds": 1.5}, failed=False)
    assert recorder.record.cpu_seconds == 1.5


def test_hours_of_interrupted_attempts_count() -> None:
    from gridfold.store.trials import TrialResult

    usage = {"cores": 2.0, "gpus": 1.0, "seconds": 60.0, "cpu_seconds": 90.0, "memory_mb": 1.0}
    history = [{"epoch": float(e), "seconds": 30.0} for e in (1, 2, 3)]
    stretches = [{"first": 1, "last": 2}, {"first": 3, "last": 3}]
    result = TrialResult("finished", 3, history=history, segments=stretches, usage=usage)
    cells = trials._usage(result)
    assert cells["core_hours"] == pytest.approx(2 * 120 / 3600)
    assert cells["gpu_hours"] == pytest.approx(120 / 3600)
    assert cells["cpu_efficiency"] == pytest.approx(0.75)
    assert json.dumps(usage)

"""Two jobs that want the same trials: one trains them, the other takes the results."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from shardjobs import EPOCHS, assert_same_numbers, epochs_reached, finish, segments, study
from workbench import (
    Bench,
    kill_hard,
    prepare_bench,
    shard_tables,
    shared_forks,
    start_shard_job,
    wait_for,
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = prepare_bench(tmp_path_factory.mktemp("undisturbed"), study())
    finish(bench)
    return bench


def no_lock_is_left(bench: Bench) -> bool:
    return not list(bench.plan.paths.runs.glob("*/.*"))


def test_two_jobs_of_one_shard_train_each_trial_once(tmp_path: Path, undisturbed: Bench) -> None:
    bench = prepare_bench(tmp_path, study())
    with shared_forks():
        first = start_shard_job(bench.plan)
        wait_for(lambda: any(epochs_reached(bench).values()))
        second = start_shard_job(bench.plan)
    for job in (first, second):
        _, errors = job.communicate(timeout=300)
        assert job.returncode == 0, errors.decode()
    assert {tuple(segments(bench, t)) for t in bench.plan.trials} == {((1, EPOCHS),)}
    assert shard_tables(bench.plan).trials.exists()
    assert_same_numbers(bench, undisturbed)
    assert no_lock_is_left(bench)


def test_a_job_that_waits_takes_over_from_one_that_is_killed(
    tmp_path: Path, undisturbed: Bench
) -> None:
    bench = prepare_bench(tmp_path, study())
    first = start_shard_job(bench.plan)
    wait_for(lambda: any(epochs_reached(bench).values()))
    second = start_shard_job(bench.plan)
    time.sleep(1.0)
    kill_hard(first)
    reached = epochs_reached(bench)
    _, errors = second.communicate(timeout=300)
    assert second.returncode == 0, errors.decode()
    for trial in bench.plan.trials:
        stretches = segments(bench, trial)
        assert [a for a, _ in stretches] == [1, *(last + 1 for _, last in stretches[:-1])]
        assert len(stretches) == 1 or stretches[0][1] >= reached[trial], "nothing was lost"
    assert_same_numbers(bench, undisturbed)
    assert no_lock_is_left(bench)

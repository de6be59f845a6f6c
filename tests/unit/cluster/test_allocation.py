"""What a job was given, and that its trials use all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from workbench import prepare_bench, shared_forks

from gridfold.cluster.allocation import Allocation
from gridfold.jobs import pool


def allocation(threads: int, **environment: str) -> Allocation:
    return Allocation.of_job(threads, remote=True, environment=environment)


def test_a_job_of_a_cluster_uses_the_cores_that_it_was_given() -> None:
    given = allocation(4, SLURM_JOB_ID="7", SLURM_CPUS_PER_TASK="16")
    assert given.workers(threads_per_worker=1) == 16
    assert given.workers(threads_per_worker=4) == 4
    assert given.workers(threads_per_worker=32) == 1


def test_where_slurm_does_not_tell_the_cores_the_kernel_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)))
    assert allocation(4, SLURM_JOB_ID="7").cores == 6


def test_another_scheduler_gives_what_was_asked_for() -> None:
    assert allocation(4).cores == 4


def test_jobs_of_one_machine_leave_each_other_their_cores() -> None:
    environment = {"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "16"}
    given = Allocation.of_job(4, remote=False, environment=environment)
    assert given.workers(threads_per_worker=1) == 4


@pytest.mark.parametrize(
    ("variable", "gpus"),
    [
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("0", ("0",)),
        ("0,2,3", ("0", "2", "3")),
        ("GPU-8932f937,GPU-5b6f2f3e", ("GPU-8932f937", "GPU-5b6f2f3e")),
    ],
)
def test_gpus_are_those_of_the_job(variable: str, gpus: tuple[str, ...]) -> None:
    assert allocation(4, CUDA_VISIBLE_DEVICES=variable).gpus == gpus


def test_one_worker_for_each_gpu_unless_the_study_says_how_many() -> None:
    given = allocation(40, CUDA_VISIBLE_DEVICES="0,1,2,3")
    assert given.workers(threads_per_worker=1) == 4
    assert given.workers(threads_per_worker=1, wanted=8) == 8
    assert given.workers(threads_per_worker=1, trials_per_gpu=3) == 12
    assert given.workers(threads_per_worker=1, wanted=8, trials_per_gpu=3) == 8
    assert allocation(40).workers(threads_per_worker=1, trials_per_gpu=3) == 40


WATCHED_MODEL = """
import os
import time

import keras


def build_model(hp, input_shape, outputs):
    name = hp.Int("number", 0, 100)
    with open(f"{folder}/{{name}}", "w") as stream:
        print(os.environ.get("CUDA_VISIBLE_DEVICES"), time.time(), file=stream)
    time.sleep(1)
    with open(f"{folder}/{{name}}", "a") as stream:
        print(os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH"), time.time(), file=stream)
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
"""


@pytest.mark.parametrize("workers", [2, 4])
def test_each_worker_sees_its_own_gpu_for_as_long_as_it_has_it(
    tmp_path: Path, workers: int
) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()
    model = tmp_path / "watched.py"
    model.write_text(WATCHED_MODEL.format(folder=seen))
    bench = prepare_bench(
        tmp_path,
        {
            "study": "gpus",
            "data": {"source": "iris"},
            "problem": {"type": "multiclass"},
            "model": {"python": {"build": f"{model}:build_model"}},
            "training": {"epochs": 1},
            "search": {"space": {"python.number": [1, 2, 3, 4, 5, 6]}},
            "resampling": {"method": "holdout"},
            "execution": {"trials_per_job": 100},
        },
    )
    works = [bench.work(position) for position in range(6)]
    failures: list[pool.Event] = []
    with shared_forks():
        pool.run(works, workers, lambda e: failures.append(e) if e.failure else None, ["2", "3"])
    assert not failures
    stretches: dict[str, list[tuple[float, float]]] = {"2": [], "3": []}
    growths = set()
    for file in seen.iterdir():
        (gpu, begin), (growth, end) = (line.split() for line in file.read_text().splitlines())
        stretches[gpu].append((float(begin), float(end)))
        growths.add(growth)
    assert sum(map(len, stretches.values())) == 6
    # Which GPU gets the last trials depends on which of the first end first.
    assert min(map(len, stretches.values())) >= 2
    at_once = workers // 2
    for times in map(sorted, stretches.values()):
        # A trial begins only when the one so many places before it has left its GPU.
        assert all(a[1] <= b[0] for a, b in zip(times, times[at_once:], strict=False))
    # With two trials on each, neither may take all of its memory.
    assert growths == ({"None"} if workers == 2 else {"true"})

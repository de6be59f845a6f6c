"""A profiled trial: real operations of a real epoch, and nothing of the study is touched."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from workbench import Bench, prepare_bench

PROGRAM = Path(sys.executable).with_name("gridfold")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return prepare_bench(
        tmp_path_factory.mktemp("profiled"),
        {
            "study": "profiled",
            "data": {"source": "digits", "subset": 300},
            "problem": {"type": "multiclass"},
            "model": {"cnn": {"filters": 4}},
            "training": {"epochs": 50, "batch_size": 32},
            "resampling": {"method": "stratified", "folds": 2},
        },
    )


def profile(bench: Bench, *words: str) -> subprocess.CompletedProcess[str]:
    (study,) = bench.plan.files
    results = ["--results", bench.plan.paths.root.parent]
    return subprocess.run(
        [PROGRAM, "profile", *words[:1], study, *results, *words[1:]],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
    )


def test_operations_of_one_epoch_are_told_and_recorded(bench: Bench) -> None:
    paths, (configuration,) = bench.plan.paths, bench.plan.configurations
    before = {file for file in paths.root.rglob("*") if file.is_file()}
    answer = profile(bench, configuration.id[:5], "--split", "r0f1", "--top", "40")
    assert answer.returncode == 0, answer.stderr
    told = {n: calls for calls, n in re.findall(r"([\d,]+) x  (\w+)  /host:CPU", answer.stdout)}
    convolutions = next(name for name in told if "Conv2DBackpropFilter" in name)
    # 120 training samples are 4 batches of 32: one epoch, not two.
    assert int(told[convolutions]) == 4
    folder = paths.profiles / f"{configuration.id}-r0f1"
    assert str(folder) in answer.stdout
    new = {file for file in paths.root.rglob("*") if file.is_file()} - before
    assert new
    assert all(file.is_relative_to(folder) for file in new)


def test_what_cannot_be_profiled_is_said(bench: Bench, tmp_path: Path) -> None:
    (configuration,) = bench.plan.configurations
    for words, said in (
        (
            ("none",),
            f"begins with none; allowed: the beginning of one id of {configuration.id}",
        ),
        ((configuration.id, "--split", "r9f9"), "no split of"),
    ):
        answer = profile(bench, *words)
        assert answer.returncode == 1
        assert said in answer.stderr
        assert "Traceback" not in answer.stderr
    (study,) = bench.plan.files
    answer = subprocess.run(
        [PROGRAM, "profile", configuration.id, study, "--results", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "has no prepared data" in answer.stderr

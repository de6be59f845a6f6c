"""A Slurm that is small, refuses jobs or does not answer: runs on a real one."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clones import IMPATIENT, PATIENCE, PAUSE, Clone, ended, flag, new_cluster, submissions
from slurmcluster import SlurmCluster
from workbench import wait_for
from workspaces import LEAN, tiny

CORES = 4
PROFILE = ("--profile", "slurm", *IMPATIENT, "--verbose")
HYPERBAND = tiny(
    training={"epochs": 2, "learning_rate": 0.01},
    search={
        "strategy": {"type": "hyperband", "factor": 2},
        "space": {"mlp.units": [4, 8, 16, 32]},
    },
    resampling={"method": "holdout"},
    report=LEAN,
)


@pytest.fixture(scope="module")
def small() -> Iterator[SlurmCluster]:
    """A cluster whose nodes have no more cores than a training job asks for, nor accounting."""
    with new_cluster(accounting=False, cpus=CORES) as running:
        yield running


@pytest.fixture(scope="module")
def accounted() -> Iterator[SlurmCluster]:
    with new_cluster(accounting=True, cpus=CORES) as running:
        yield running


class Run:
    """Snakemake on a cluster, listened to."""

    def __init__(self, clone: Clone, study: dict[str, Any], *options: str) -> None:
        self._process = clone.start(study, *options)
        self._lines: list[str] = []
        self._listener = threading.Thread(target=self._listen)

    def __enter__(self) -> Run:
        self._listener.start()
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(ended(self._process))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._listener.join(PATIENCE)

    def _listen(self) -> None:
        assert self._process.stdout
        self._lines.extend(iter(self._process.stdout.readline, ""))

    @property
    def output(self) -> str:
        return "".join(self._lines)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> int:
        """Wait for the end of Snakemake and of what it says."""
        code = self._process.wait(timeout=PATIENCE)
        self._listener.join(PATIENCE)
        return code

    def wait_for_words(self, words: str) -> None:
        wait_for(lambda: words in self.output or self.has_ended, PATIENCE)
        assert words in self.output, self.output


def submitted(output: str) -> Counter[str]:
    """Return how often each job was submitted."""
    return Counter(re.findall(r"^sbatch call: .* --comment '?([^\s']+)", output, re.M))


@pytest.fixture(scope="module")
def silenced(small: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    """A Hyperband search in the middle of which Slurm does not answer."""
    clone = Clone(tmp_path_factory.mktemp("clone"), small, shares_forks=True)
    with Run(clone, HYPERBAND, *PROFILE) as run:
        logs = clone.results() / "logs"
        wait_for(lambda: any(logs.glob("train/*.log")) or run.has_ended, PATIENCE)
        assert not run.has_ended, run.output
        small.stop_controller()
        run.wait_for_words("[gridfold] Slurm does not answer since ")
        small.start_controller()
        code = run.end()
    assert code == 0, run.output
    return clone, run.output


def test_no_job_is_forgotten_while_slurm_does_not_answer(silenced: tuple[Clone, str]) -> None:
    clone, output = silenced
    assert (clone.results() / "report.html").stat().st_size > 10_000
    assert output.count("[gridfold] Slurm does not answer") == 1, "said once"
    assert len(re.findall(r"\[gridfold\] Slurm answers again, after \d+ s\.", output)) == 1
    assert set(submitted(output).values()) == {1}, "nothing was submitted twice"


def test_a_hyperband_search_fits_nodes_as_large_as_a_training_job(
    silenced: tuple[Clone, str],
) -> None:
    clone, output = silenced
    jobs = submissions(output, clone)
    asked = {name: int(flag(line, "--cpus-per-task")) for name, line in jobs.items()}
    assert {n for name, n in asked.items() if "rule_train_wildcards" in name} == {CORES}
    assert {n for name, n in asked.items() if "rule_train_wildcards" not in name} == {1}
    # Data, splits and what the brackets explore are one job; each decision is another.
    assert sum(name.startswith("rule_data_") for name in jobs) == 1
    assert sum(name.startswith("rule_choose_") for name in jobs) == 1
    memory = {name: int(flag(line, "--mem")) for name, line in jobs.items()}
    (report,) = (name for name in jobs if name.startswith("rule_report_"))
    assert memory[report] < 2000


def test_a_group_that_is_refused_is_told_with_what_it_asked_for(
    small: SlurmCluster, tmp_path: Path
) -> None:
    clone = Clone(tmp_path, small, shares_forks=True)
    too_much = ("--set-resources", "prepare_data:mem_mb=900000", "--retries", "0")
    with Run(clone, tiny(), *PROFILE, *too_much, "--", "results/tiny/splits.npz") as run:
        assert run.end() != 0
    refused = "[gridfold] Slurm has not taken the job of data: "
    assert refused in run.output, run.output
    asked = re.search(r"^\[gridfold\]   asked for: (.*)$", run.output, re.M)
    assert asked
    for words in ("partition cpu", "1 cores for each task", "900000 MB", "20 minutes"):
        assert words in asked[1]
    assert "[gridfold] more than a node has: " in run.output
    # The command that is shown is refused for the same reason.
    command = re.search(r"^\[gridfold\]   the same question again: (.*)$", run.output, re.M)
    assert command
    answer = subprocess.run(
        shlex.split(command[1]), env=small.environment, capture_output=True, text=True
    )
    assert answer.returncode != 0
    reason = run.output.partition(refused)[2].splitlines()[0]
    assert reason.rpartition(": ")[2] in answer.stderr
    assert f"  the answer: {answer.stderr.strip()}" in run.output


HELD_UP = """#!/bin/sh
case "$*" in *rule_train*)
    touch {asked}
    while [ ! -e {answered} ]; do sleep 0.1; done
esac
exec {sbatch} "$@"
"""


def test_a_job_that_can_not_be_submitted_in_silence_is_submitted_later(
    accounted: SlurmCluster, tmp_path: Path
) -> None:
    clone = Clone(tmp_path / "clone", accounted, shares_forks=True)
    # The controller is gone between the wish to submit and its answer.
    asked, answered = tmp_path / "asked", tmp_path / "answered"
    sbatch = tmp_path / "programs" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(
        HELD_UP.format(
            asked=asked,
            answered=answered,
            sbatch=shutil.which("sbatch", path=clone.environment["PATH"]),
        )
    )
    sbatch.chmod(0o755)
    clone.environment["PATH"] = f"{sbatch.parent}{os.pathsep}{clone.environment['PATH']}"
    target = "results/tiny/shards/s0001.trials.parquet"
    with Run(clone, tiny(), *PROFILE, "--", target) as run:
        wait_for(asked.exists, PATIENCE, pause=PAUSE)
        accounted.stop_controller()
        answered.touch()
        run.wait_for_words("The job of train is submitted again when Slurm answers.")
        assert "[gridfold] Slurm does not answer since " in run.output
        accounted.start_controller()
        assert run.end() == 0, run.output
    assert "Slurm answers again" in run.output
    assert submitted(run.output)["rule_train_wildcards_s0001"] == 2, "refused, and taken"
    assert [row["State"] for row in accounted.jobs("State")] == ["COMPLETED"] * 2
    assert list(clone.scores()["status"]) == ["finished"] * 4


def test_a_run_that_begins_in_silence_waits(accounted: SlurmCluster, tmp_path: Path) -> None:
    clone = Clone(tmp_path, accounted, shares_forks=True)
    accounted.stop_controller()
    with Run(clone, tiny(), *PROFILE, "--", "results/tiny/splits.npz") as run:
        run.wait_for_words("Slurm does not answer: no controller is up")
        accounted.start_controller()
        assert run.end() == 0, run.output
    assert sum(submitted(run.output).values()) == 1


def test_an_account_that_does_not_exist_ends_the_run(
    accounted: SlurmCluster, tmp_path: Path
) -> None:
    clone = Clone(tmp_path, accounted, shares_forks=True)
    nobody = ("--default-resources", "slurm_account=nobody", "--retries", "0")
    with Run(clone, tiny(), *PROFILE, *nobody, "--", "results/tiny/splits.npz") as run:
        assert run.end() != 0
    assert "[gridfold] Slurm has not taken the job of data: " in run.output
    assert "[gridfold] account refused: " in run.output

"""`gridfold submit` on a real Slurm: a controller that is killed and reaches its time limit."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from clones import IMPATIENT, PATIENCE, Clone, last_job, submitted
from sleepy import (
    assert_same_numbers,
    running_jobs,
    sleepy,
    sleepy_clone,
    trained,
    undisturbed,
    wake,
)
from slurmcluster import SlurmCluster
from workbench import wait_for
from workspaces import tiny


@pytest.mark.daily("jobs of Slurm that end early", 2)
def test_a_controller_that_is_killed_goes_on_and_submits_nothing_twice(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    since = last_job(cluster)
    study = sleepy() | {"search": {"space": {"python.units": [8]}}}
    clone = sleepy_clone(cluster, tmp_path / "clone", study)
    targets = [f"results/tiny/shards/s000{number}.trials.parquet" for number in (1, 2)]
    clone.write(study)
    files = clone.results() / "controller"
    words = ("--then", "echo $GRIDFOLD_STUDY $GRIDFOLD_OUTCOME > then.txt", "--time", "1000")
    options = (*IMPATIENT, "--set-threads", "train=1", "--", *targets)
    said = clone.gridfold("submit", "study.yaml", *words, "--", *options)
    assert said.returncode == 0, said.stderr
    job = re.search(r"Slurm job (\d+)$", said.stdout, re.M)
    assert job

    def output() -> str:
        return (files / "output.log").read_text()

    try:
        wait_for(lambda: len(trained(clone)) == 2, PATIENCE)
        second = clone.gridfold("submit", "study.yaml")
        assert second.returncode == 1
        assert re.match(
            rf"the study tiny is being run already by process \d+ on \S+, Slurm job {job[1]}, since"
            r" [\d :-]+; nothing was started\.\n  look at it: gridfold status results/tiny --watch",
            second.stderr,
        ), second.stderr
        os.kill(json.loads((files / "run.lock").read_text())["pid"], signal.SIGKILL)
        wait_for(lambda: "waiting for 2 jobs that an earlier Snakemake" in output(), PATIENCE)
        # What Slurm does before a time limit.
        cluster.run("scancel", "--batch", "--signal=USR1", job[1])
        wait_for(lambda: "Restarts=1" in cluster.run("scontrol", "show", "job", job[1]), PATIENCE)
        wait_for(lambda: output().count("an earlier run of this study was cut off") == 2, PATIENCE)
        status = json.loads(clone.gridfold("status", "--json").stdout)
        assert status["controller"]["alive"]
        assert status["controller"]["queue"] == {"RUNNING": 2}
        wake(clone)
        wait_for((files / "outcome.json").exists, PATIENCE)
        wait_for(lambda: job[1] not in running_jobs(cluster).values(), PATIENCE)
    finally:
        clone.gridfold("stop", "study.yaml")
    assert (clone.folder / "then.txt").read_text() == "tiny finished\n", output()
    assert "controller: finished, at " in clone.gridfold("status").stdout
    trained_by = [f"rule_train_wildcards_s000{number}" for number in (1, 2)]
    assert submitted(cluster, since, "train") == trained_by
    assert_same_numbers(clone, undisturbed(tmp_path / "undisturbed", study, *targets))


def test_a_controller_asks_for_no_more_time_than_its_partition_gives(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    clone = Clone(tmp_path / "clone", cluster)
    clone.write(tiny())
    said = clone.gridfold("submit", "study.yaml", "--time", "99999")
    assert said.returncode == 1
    assert said.stderr.startswith("--time 99999: longer than the partition allows;")
    assert "Allowed: up to 2880 minutes" in said.stderr
    said = clone.gridfold("submit", "study.yaml", "--partition", "nowhere")
    names = "cpu, gpu, shared, gpu-shared, 24-48, 00123, int, all"
    assert said.stderr == f"partition nowhere is none of this cluster; allowed: {names}\n"
    assert not (clone.results() / "controller" / "submission.json").exists()

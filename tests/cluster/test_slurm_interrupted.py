"""Jobs that end too early on a real Slurm: no number is lost or changed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from clones import IMPATIENT, PATIENCE, PAUSE, ended, last_job, parallel
from distributed import need_mpi
from sleepy import (
    EPOCHS,
    assert_resumed_and_equal,
    assert_same_numbers,
    epoch_of,
    running_jobs,
    sleepy,
    sleepy_clone,
    trained,
    undisturbed,
    wake,
)
from slurmcluster import SlurmCluster
from workbench import wait_for

SHARDS = [f"s{number:04d}" for number in range(1, 5)]
TARGETS = [f"results/tiny/shards/{shard}.trials.parquet" for shard in SHARDS]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """What the study comes to where nothing interrupts it."""
    return undisturbed(tmp_path_factory.mktemp("here") / "undisturbed", sleepy(), *TARGETS)


@pytest.mark.daily("jobs of Slurm that end early", 2)
def test_interrupted_in_every_way_equals_never_interrupted(
    cluster: SlurmCluster, tmp_path: Path, expected: pd.DataFrame
) -> None:
    since = last_job(cluster)
    clone = sleepy_clone(cluster, tmp_path, sleepy())
    process = clone.start(
        sleepy(),
        *("--profile", "slurm", *IMPATIENT, "--set-threads", "train=1"),
        *("--", *TARGETS),
    )
    with ended(process):
        wait_for(lambda: len(trained(clone)) == 4, PATIENCE)
        told, requeued, cancelled, limited = (f"rule_train_wildcards_{s}" for s in SHARDS)
        jobs = running_jobs(cluster)
        # What Slurm does before a time limit; what it does to a preempted job; what a user does.
        cluster.run("scancel", "--signal=USR1", jobs[told])
        cluster.run("scontrol", "requeue", jobs[requeued])
        cluster.run("scancel", jobs[cancelled])
        cluster.run("scontrol", "update", f"JobId={jobs[limited]}", "TimeLimit=1")
        first = {jobs[name] for name in (told, cancelled, limited)}
        wait_for(lambda: first.isdisjoint(running_jobs(cluster).values()), PATIENCE, pause=PAUSE)
        wake(clone)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output

    states: dict[str, list[str]] = {}
    for row in cluster.jobs("JobIDRaw", "Comment", "State"):
        if int(row["JobIDRaw"]) > since:
            states.setdefault(row["Comment"], []).append(row["State"].split()[0])
    assert states[told][0] == "FAILED"
    assert states[cancelled][0] == "CANCELLED"
    assert states[limited][0] in ("FAILED", "TIMEOUT"), "USR1 came first, or the limit itself"
    assert len(states[limited]) >= 2
    # A requeued job keeps its number; accounting lists its earlier run on demand.
    assert "Requeued" in cluster.run("scontrol", "show", "job", jobs[requeued]) or "Restarts=1" in (
        cluster.run("scontrol", "show", "job", jobs[requeued])
    )
    assert {found[-1] for found in states.values()} == {"COMPLETED"}
    steps = cluster.run("sacct", "--noheader", "--format=JobID%20", f"--jobs={jobs[told]}").split()
    assert f"{jobs[told]}.0" in steps
    assert f"{jobs[told]}.1" not in steps, "repeated inside the job that was told to stop"

    assert_resumed_and_equal(clone, expected, EPOCHS)


@pytest.mark.daily("jobs of Slurm that end early", 2)
def test_a_node_that_fails_costs_no_number(
    cluster: SlurmCluster, tmp_path: Path, expected: pd.DataFrame
) -> None:
    study = sleepy() | {"execution": {"trials_per_job": 100, "retries": 2}}
    clone = sleepy_clone(cluster, tmp_path, study)
    target = ["results/tiny/shards/s0001.trials.parquet"]
    process = clone.start(study, *("--profile", "slurm", *IMPATIENT, "--", *target))
    with ended(process):
        wait_for(lambda: len(trained(clone)) >= 2, PATIENCE)
        job = running_jobs(cluster)["rule_train_wildcards_s0001"]
        node = cluster.run("squeue", "--noheader", f"--jobs={job}", "--format=%N")
        cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        try:
            wait_for(lambda: job not in running_jobs(cluster).values(), PATIENCE, pause=PAUSE)
            wake(clone)
            output, _ = process.communicate(timeout=PATIENCE)
        finally:
            cluster.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
    assert process.returncode == 0, output
    assert "Restarts=1" in cluster.run("scontrol", "show", "job", job)
    assert_same_numbers(clone, expected)


@pytest.mark.daily("jobs of Slurm that end early", 2)
def test_an_interrupted_distributed_job_goes_on_at_its_next_epoch(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    need_mpi()
    epochs = 40
    study = parallel("horovod", 2) | {
        "model": {"python": {"build": "sleepy.py:build_model"}},
        "search": {"space": {"python.units": [8]}},
        "execution": {"start_timeout": 300, "retries": 4},
    }
    study["training"] |= {"epochs": epochs, "batch_size": 60, "checkpoint_every": 1}
    clone = sleepy_clone(cluster, tmp_path / "cluster", study)
    target = "results/tiny/shards/d0001.trials.parquet"
    comment = "rule_train_distributed_wildcards_d0001"
    # What Slurm does before a time limit and to a preempted job.
    ways = (("scancel", "--signal=USR1", "{job}"), ("scontrol", "requeue", "{job}"))
    process = clone.start(study, *("--profile", "slurm", *IMPATIENT, "--", target))
    with ended(process):
        reached = 0
        for way in ways:
            wait_for(lambda: epoch_of(clone) > reached or process.poll() is not None, PATIENCE)  # noqa: B023
            assert process.poll() is None, process.communicate()[0]
            job = running_jobs(cluster)[comment]
            cluster.run(*(word.format(job=job) for word in way))
            wait_for(lambda: comment not in running_jobs(cluster), PATIENCE, pause=PAUSE)
            reached = epoch_of(clone)
        wake(clone)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert_resumed_and_equal(clone, undisturbed(tmp_path / "here", study, target), epochs)
    assert list(clone.scores()["resumptions"]) == [len(ways)]

"""Jobs and Snakemakes that end too early on a real Slurm: no number is lost or changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import slurmcluster
from clones import (
    IMPATIENT,
    PATIENCE,
    Clone,
    ended,
    last_job,
    parallel,
)
from distributed import need_mpi
from workbench import wait_for
from workspaces import tiny

# Every batch takes a nap, where there is one to take: on the cluster, not in the comparison.
SLEEPY_MODEL = """
import os
import time

import keras
import tensorflow as tf


class Nap(keras.layers.Layer):
    def call(self, x):
        seconds = float(os.environ.get("GRIDFOLD_TEST_NAP", 0))
        if not seconds:
            return x

        def nap(values):
            time.sleep(seconds)
            return values

        y = tf.numpy_function(nap, [x], tf.float32)
        y.set_shape(x.shape)
        return y


def build_model(hp, input_shape, outputs):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(Nap()(inputs))
    x = keras.layers.Dense(hp.Int("units", 1, 64), activation="relu")(x)
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
"""


EPOCHS = 150


def sleepy() -> dict[str, Any]:
    """Four jobs of one trial each, a minute long on the cluster and a moment elsewhere."""
    return tiny(
        model={"python": {"build": "sleepy.py:build_model"}},
        training={"epochs": EPOCHS, "batch_size": 150},
        search={"space": {"python.units": [8, 16]}},
        execution={"trials_per_job": "split", "retries": 4},
    )


def trained(clone: Clone) -> set[Path]:
    """Return the trials that have at least one epoch behind them."""
    return {file.parent for file in clone.results().glob("runs/*/*/checkpoint-*")}


def running_jobs(cluster: slurmcluster.SlurmCluster) -> dict[str, str]:
    """Return the ids of running jobs by their comment."""
    lines = cluster.run("squeue", "--noheader", "--states=R", "--format=%k %i").splitlines()
    return dict(line.split() for line in lines)


def test_interrupted_in_every_way_equals_never_interrupted(
    cluster: slurmcluster.SlurmCluster, tmp_path: Path
) -> None:
    since = last_job(cluster)
    clones = [Clone(tmp_path / name, cluster) for name in ("cluster", "undisturbed")]
    for clone in clones:
        (clone.folder / "sleepy.py").write_text(SLEEPY_MODEL)
    clone, undisturbed = clones
    clone.environment |= {"GRIDFOLD_TEST_NAP": "0.2"}
    shards = [f"s{number:04d}" for number in range(1, 5)]
    targets = [f"results/tiny/shards/{shard}.trials.parquet" for shard in shards]
    process = clone.start(
        sleepy(),
        *("--profile", "slurm", *IMPATIENT, "--set-threads", "train=1"),
        *("--", *targets),
    )
    with ended(process):
        wait_for(lambda: len(trained(clone)) == 4, PATIENCE)
        told, requeued, cancelled, limited = (f"rule_train_wildcards_{s}" for s in shards)
        jobs = running_jobs(cluster)
        # What Slurm does before a time limit; what it does to a preempted job; what a user does.
        cluster.run("scancel", "--signal=USR1", jobs[told])
        cluster.run("scontrol", "requeue", jobs[requeued])
        cluster.run("scancel", jobs[cancelled])
        cluster.run("scontrol", "update", f"JobId={jobs[limited]}", "TimeLimit=1")
        undisturbed.snakemake(sleepy(), "--cores", "2", "--", *targets)
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

    assert_resumed_and_equal(clone, undisturbed, EPOCHS)


def sleepy_pair(cluster: slurmcluster.SlurmCluster, folder: Path) -> tuple[Clone, Clone]:
    """Return a clone in which every batch takes a nap, and one to compare with."""
    clones = [Clone(folder / name, cluster) for name in ("cluster", "undisturbed")]
    for clone in clones:
        (clone.folder / "sleepy.py").write_text(SLEEPY_MODEL)
    clones[0].environment |= {"GRIDFOLD_TEST_NAP": "0.2", "OMPI_MCA_btl": "tcp,self"}
    return clones[0], clones[1]


def assert_resumed_and_equal(clone: Clone, undisturbed: Clone, epochs: int) -> None:
    assert (clone.scores()["resumptions"] >= 1).all(), "every trial was interrupted"
    assert_same_numbers(clone, undisturbed)
    for file in clone.results().glob(f"runs/*/*/result-{epochs:05d}.json"):
        stretches = json.loads(file.read_text())["segments"]
        # Every stretch begins right after the last epoch that was kept: nothing ran twice.
        assert [s["first"] for s in stretches] == [1, *(s["last"] + 1 for s in stretches[:-1])]


def assert_same_numbers(clone: Clone, undisturbed: Clone) -> None:
    columns = ["config_id", "split", "accuracy", "log_loss", "best_epoch", "epochs_trained"]
    pd.testing.assert_frame_equal(
        clone.scores()[columns], undisturbed.scores()[columns], check_exact=True
    )


def test_a_node_that_fails_costs_no_number(
    cluster: slurmcluster.SlurmCluster, tmp_path: Path
) -> None:
    clone, undisturbed = sleepy_pair(cluster, tmp_path)
    study = sleepy() | {"execution": {"trials_per_job": 100, "retries": 2}}
    target = ["results/tiny/shards/s0001.trials.parquet"]
    process = clone.start(study, *("--profile", "slurm", *IMPATIENT, "--", *target))
    with ended(process):
        wait_for(lambda: len(trained(clone)) >= 2, PATIENCE)
        job = running_jobs(cluster)["rule_train_wildcards_s0001"]
        node = cluster.run("squeue", "--noheader", f"--jobs={job}", "--format=%N")
        cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        try:
            output, _ = process.communicate(timeout=PATIENCE)
        finally:
            cluster.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
    assert process.returncode == 0, output
    assert "Restarts=1" in cluster.run("scontrol", "show", "job", job)
    undisturbed.snakemake(study, "--cores", "2", "--", *target)
    assert_same_numbers(clone, undisturbed)


def submitted(cluster: slurmcluster.SlurmCluster, since: int, rule: str) -> list[str]:
    """Return the comment of every job of a rule after job number `since`."""
    return sorted(
        row["Comment"]
        for row in cluster.jobs("JobIDRaw", "Comment")
        if int(row["JobIDRaw"]) > since and row["Comment"].startswith(f"rule_{rule}_")
    )


def test_jobs_of_a_killed_snakemake_are_waited_for_and_not_submitted_twice(
    cluster: slurmcluster.SlurmCluster, tmp_path: Path
) -> None:
    since = last_job(cluster)
    clone, undisturbed = sleepy_pair(cluster, tmp_path)
    study = sleepy()
    study["training"]["epochs"] = 40
    shards = [f"s{number:04d}" for number in range(1, 5)]
    targets = [f"results/tiny/shards/{shard}.trials.parquet" for shard in shards]
    options = ("--profile", "slurm", *IMPATIENT, "--set-threads", "train=1")
    process = clone.start(study, *options, "--jobs", "2", "--", *targets)
    with ended(process):
        wait_for(lambda: len(trained(clone)) == 2, PATIENCE)
        process.kill()
        process.communicate()
    left = running_jobs(cluster)
    assert len(left) == 2
    clone.snakemake(study, *options, "--unlock")
    output = clone.snakemake(study, *options, "--", *targets)
    assert "waiting for 2 jobs that an earlier Snakemake has submitted" in output
    assert all(number in output for number in left.values())
    assert submitted(cluster, since, "train") == [f"rule_train_wildcards_{s}" for s in shards]
    undisturbed.snakemake(study, "--cores", "2", "--", *targets)
    assert_same_numbers(clone, undisturbed)
    assert (clone.scores()["resumptions"] == 0).all(), "no job got in the way of another"


def test_what_a_job_has_made_unwatched_does_not_survive_a_change_of_the_study(
    cluster: slurmcluster.SlurmCluster, tmp_path: Path
) -> None:
    clone = Clone(tmp_path, cluster)
    options = ("--profile", "slurm", *IMPATIENT)
    shard = "results/tiny/shards/s0001.trials.parquet"
    process = clone.start(tiny(), *options, "--", shard)
    with ended(process):
        wait_for((clone.results() / "logs" / "train" / "s0001.log").exists, PATIENCE)
        process.kill()
        process.communicate()
    wait_for(lambda: not cluster.queue(), PATIENCE)
    clone.snakemake(tiny(), *options, "--unlock")
    assert "Nothing to be done" in clone.snakemake(tiny(), *options, "--dry-run", "--", shard)

    longer = tiny(training={"epochs": 5, "learning_rate": 0.01})
    said = "3 files to be made again, made after the last Snakemake was killed, for a study"
    before = (clone.folder / shard).read_bytes()
    assert said in clone.snakemake(longer, *options, "--dry-run", "--", shard)
    assert (clone.folder / shard).read_bytes() == before, "a dry run deletes nothing"
    assert said in clone.snakemake(longer, *options, "--", shard)
    assert set(clone.scores()["epochs"]) == {5}
    assert said not in clone.snakemake(tiny(), *options, "--dry-run", "--", shard)


def test_an_interrupted_distributed_job_goes_on_at_its_next_epoch(
    cluster: slurmcluster.SlurmCluster, tmp_path: Path
) -> None:
    need_mpi()
    epochs = 40
    clone, undisturbed = sleepy_pair(cluster, tmp_path)
    study = parallel("horovod", 2) | {
        "model": {"python": {"build": "sleepy.py:build_model"}},
        "search": {"space": {"python.units": [8, 16, 32, 64]}},
        "execution": {"start_timeout": 300, "retries": 3, "trials_per_job": "split"},
    }
    study["training"] |= {"epochs": epochs, "batch_size": 60}
    targets = [f"results/tiny/shards/d000{number}.trials.parquet" for number in range(1, 5)]
    process = clone.start(study, *("--profile", "slurm", *IMPATIENT, "--", *targets))
    with ended(process):
        wait_for(lambda: len(trained(clone)) == 4, PATIENCE)
        told, requeued, cancelled, limited = (
            f"rule_train_distributed_wildcards_d000{n}" for n in range(1, 5)
        )
        jobs = running_jobs(cluster)
        cluster.run("scancel", "--signal=USR1", jobs[told])
        cluster.run("scontrol", "requeue", jobs[requeued])
        cluster.run("scancel", jobs[cancelled])
        cluster.run("scontrol", "update", f"JobId={jobs[limited]}", "TimeLimit=1")
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    undisturbed.snakemake(study, "--cores", "2", "--", *targets)
    assert_resumed_and_equal(clone, undisturbed, epochs)

"""Studies on a real Slurm, from a fresh clone to the report, and through everything in between."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import slurmcluster
from clones import IMPATIENT, PATIENCE, Clone, ended, flag, new_cluster, submissions
from distributed import need_mpi
from workbench import ROOT, wait_for
from workspaces import tiny

from gridfold import advice
from gridfold.store.locks import Holder, TrialLock

GOLDEN = ROOT / "tests" / "cluster" / "golden" / "sbatch.txt"


@pytest.fixture(scope="module")
def cluster() -> Iterator[slurmcluster.SlurmCluster]:
    with new_cluster(accounting=True) as running:
        yield running


def last_job(cluster: slurmcluster.SlurmCluster) -> int:
    return max((int(row["JobIDRaw"]) for row in cluster.jobs("JobIDRaw")), default=0)


@pytest.fixture(scope="module")
def runs(
    cluster: slurmcluster.SlurmCluster, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Users at once: on CPUs, with Expanse's profile, and with the ways to ask for a GPU."""
    options = {
        "CPU trials": ("--profile", "slurm"),
        "one-GPU trials": (
            *("--profile", "slurm"),
            *("--set-resources", "train:gpu=1", "train:slurm_partition=gpu"),
        ),
        # No engine for containers here: the image is the one thing of this profile left out.
        "Expanse": ("--profile", "profiles/expanse", "--sdm", "env-modules"),
        "GPUs by gres": (
            *("--profile", "slurm"),
            *("--set-resources", "train:gres=gpu:v100:1", "train:slurm_partition=gpu"),
        ),
        "GPUs by node": (
            *("--profile", "slurm"),
            *("--set-resources", "train:slurm_partition=gpu"),
            "train:slurm_extra='--gpus-per-node=1 --signal=USR1@120'",
        ),
    }
    since = last_job(cluster)
    clones, started = {}, {}
    for name, words in options.items():
        clone = clones[name] = Clone(tmp_path_factory.mktemp("clone"), cluster)
        if name == "Expanse":
            clone.environment |= {"EXPANSE_ACCOUNT": slurmcluster.ACCOUNT}
        # One of them to its end is enough.
        target = [] if name == "CPU trials" else ["results/tiny/shards/s0001.trials.parquet"]
        started[name] = clone.start(tiny(), *words, *IMPATIENT, "--verbose", "--", *target)
    outputs = {}
    with contextlib.ExitStack() as stack:
        for process in started.values():
            stack.enter_context(ended(process))
        for name, process in started.items():
            outputs[name], _ = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, f"{name}: {outputs[name]}"
    return {
        "clones": clones,
        "outputs": outputs,
        "submissions": {n: submissions(outputs[n], clones[n]) for n in options},
        "since": since,
    }


def test_the_promised_command_reaches_its_report_from_a_fresh_clone(runs: dict[str, Any]) -> None:
    clone = runs["clones"]["CPU trials"]
    assert (clone.results() / "report.html").stat().st_size > 10_000
    assert list(clone.scores()["status"]) == ["finished"] * 4
    assert "Best of 2 configurations" in runs["outputs"]["CPU trials"]


@pytest.mark.parametrize(
    ("name", "pool"),
    [
        # The nodes claim more cores than the machine has; Snakemake's job step asks the machine.
        ("CPU trials", f"{min(4, len(os.sched_getaffinity(0)))} at a time, on GPUs none"),
        ("one-GPU trials", r"1 at a time, on GPUs \d"),
        ("Expanse", r"1 at a time, on GPUs \d"),
        ("GPUs by gres", r"1 at a time, on GPUs \d"),
        ("GPUs by node", r"1 at a time, on GPUs \d"),
    ],
)
def test_a_pool_is_as_large_as_its_job(runs: dict[str, Any], name: str, pool: str) -> None:
    log = runs["clones"][name].results() / "logs" / "train" / "s0001.log"
    assert re.search(rf"{pool}$", log.read_text(), re.M)


def test_the_commands_of_sbatch_are_as_recorded(runs: dict[str, Any]) -> None:
    for name, lines in runs["submissions"].items():
        check_golden(name, lines)


def check_golden(name: str, lines: dict[str, str]) -> None:
    """Compare the submissions of one run with the recorded ones, or record them."""
    sections = dict(re.findall(r"^# (.*)\n((?:sbatch .*\n)*)", GOLDEN.read_text(), re.M))
    text = "".join(f"{line}\n" for _, line in sorted(lines.items()))
    if os.environ.get("GRIDFOLD_RECORD"):
        sections[name] = text
        GOLDEN.write_text("".join(f"# {n}\n{t}" for n, t in sections.items()))
    assert text == sections[name], "if this is meant: GRIDFOLD_RECORD=1 pytest tests/cluster"


def test_accounting_saw_what_was_asked_for(
    runs: dict[str, Any], cluster: slurmcluster.SlurmCluster
) -> None:
    asked = [
        {
            "comment": flag(line, "--comment"),
            "partition": flag(line, "-p"),
            "minutes": flag(line, "-t"),
            "cpu": flag(line, "--cpus-per-task"),
            "mem": flag(line, "--mem") + "M",
            "gpu": gpus_of(line),
            "account": flag(line, "-A", "root"),
        }
        for lines in runs["submissions"].values()
        for line in lines.values()
    ]
    fields = ("JobIDRaw", "Comment", "State", "ReqTRES", "TimelimitRaw", "Partition", "Account")
    seen = []
    for row in cluster.jobs(*fields):
        if int(row["JobIDRaw"]) > runs["since"]:
            assert row["State"] == "COMPLETED", row
            amounts = dict(item.split("=") for item in row["ReqTRES"].split(","))
            seen.append(
                {
                    "comment": row["Comment"],
                    "partition": row["Partition"],
                    "minutes": row["TimelimitRaw"],
                    "cpu": amounts["cpu"],
                    "mem": amounts["mem"],
                    "gpu": amounts.get("gres/gpu", "0"),
                    "account": row["Account"],
                }
            )
    assert sorted(map(str, seen)) == sorted(map(str, asked))


def gpus_of(line: str) -> str:
    """Return how many GPUs a command line of one node asks for, in any of the ways."""
    match = re.search(r" --(?:gpus|gpus-per-node|gres=gpu:\w+)[=: ](\d+)", line)
    return match[1] if match else "0"


def test_a_cluster_without_accounting_serves_a_job_with_four_gpus(tmp_path: Path) -> None:
    with new_cluster(accounting=False) as bare:
        clone = Clone(tmp_path / "clone", bare)
        output = clone.snakemake(
            tiny(),
            *("--profile", "slurm", *IMPATIENT, "--verbose"),
            *("--set-resources", "train:gpu=4", "train:slurm_partition=gpu"),
            *("--", "results/tiny/shards/s0001.trials.parquet"),
        )
    assert "command=squeue" in output
    assert list(clone.scores()["status"]) == ["finished"] * 4
    log = (clone.results() / "logs" / "train" / "s0001.log").read_text()
    assert "4 at a time, on GPUs 0, 1, 2, 3" in log


def parallel(backend: str, world_size: int) -> dict[str, Any]:
    """One trial on several replicas."""
    return tiny(
        training={
            "epochs": 2,
            "batch_size": 64,
            "distribution": {"backend": backend, "world_size": world_size},
        },
        search={"space": {"mlp.units": [8]}},
        resampling={"method": "holdout"},
        execution={"start_timeout": 300},
    )


def site_words(**words: Any) -> tuple[str, ...]:
    """What a profile says about nodes, for both rules that train on several of them."""
    rules = ("train_distributed", "train_final")
    return ("--set-resources", *(f"{r}:{k}={v}" for r in rules for k, v in words.items()))


SHARD = ["results/tiny/shards/d0001.trials.parquet"]
SHARD_LOG = "train_distributed/d0001.log"
GPUS = {"slurm_partition": "gpu", "gpus_per_replica": 1}
# Study, what the profile says besides, and what is asked for: nothing is the whole report.
DISTRIBUTED: dict[str, tuple[dict[str, Any], tuple[str, ...], list[str]]] = {
    "Horovod on one node": (parallel("horovod", 2), (), SHARD),
    "Horovod on two nodes": (parallel("horovod", 4), site_words(ranks_per_node=2), []),
    "several GPUs of one node": (parallel("mirrored", 2), site_words(**GPUS), SHARD),
    "several GPUs of two nodes": (
        parallel("horovod", 4),
        site_words(**GPUS, ranks_per_node=2),
        ["results/tiny/final/trained.json"],
    ),
}


@pytest.fixture(scope="module")
def distributed(
    cluster: slurmcluster.SlurmCluster, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    need_mpi()
    since = last_job(cluster)
    clones, outputs = {}, {}
    # Two at a time: each rank is a TensorFlow of its own.
    for names in zip(*[iter(DISTRIBUTED)] * 2, strict=True):
        with contextlib.ExitStack() as stack:
            started = {}
            for name in names:
                study, words, target = DISTRIBUTED[name]
                clone = clones[name] = Clone(tmp_path_factory.mktemp("clone"), cluster)
                # The nodes are one host: Open MPI must not take shared memory for a network.
                clone.environment |= {"OMPI_MCA_btl": "tcp,self"}
                process = clone.start(
                    study, *("--profile", "slurm", *words, *IMPATIENT, "--verbose", "--", *target)
                )
                started[name] = stack.enter_context(ended(process))
            for name, process in started.items():
                outputs[name], _ = process.communicate(timeout=PATIENCE)
                assert process.returncode == 0, f"{name}: {outputs[name]}"
    return {
        "clones": clones,
        "submissions": {n: submissions(outputs[n], clones[n]) for n in DISTRIBUTED},
        "since": since,
    }


def seen_by_ranks(clone: Clone, log: str) -> list[dict[str, str]]:
    """Return what each rank has reported of itself, as the job's log says it."""
    text = (clone.results() / "logs" / log).read_text()
    found = re.findall(
        r" rank \d+: host (\S+), local_rank (\d+), CUDA_VISIBLE_DEVICES (\S+), threads (\d+)", text
    )
    return [dict(zip(("host", "local_rank", "gpus", "threads"), r, strict=True)) for r in found]


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_distributed_jobs_ask_for_what_is_recorded(distributed: dict[str, Any], name: str) -> None:
    lines = distributed["submissions"][name]
    check_golden(name, {comment: line for comment, line in lines.items() if "train_" in comment})


@pytest.mark.parametrize(
    ("name", "log", "nodes", "ranks", "gpus"),
    [
        ("Horovod on one node", SHARD_LOG, 1, 2, 0),
        ("Horovod on two nodes", SHARD_LOG, 2, 2, 0),
        ("Horovod on two nodes", "train_final.log", 2, 2, 0),
        ("several GPUs of one node", SHARD_LOG, 1, 1, 2),
        ("several GPUs of two nodes", SHARD_LOG, 2, 2, 1),
        ("several GPUs of two nodes", "train_final.log", 2, 2, 1),
    ],
)
def test_ranks_are_on_the_nodes_and_gpus_of_their_job(
    distributed: dict[str, Any], name: str, log: str, nodes: int, ranks: int, gpus: int
) -> None:
    seen = seen_by_ranks(distributed["clones"][name], log)
    by_host: dict[str, list[dict[str, str]]] = {}
    for each in seen:
        by_host.setdefault(each["host"], []).append(each)
    assert len(by_host) == nodes
    for found in by_host.values():
        assert sorted(each["local_rank"] for each in found) == [str(n) for n in range(ranks)]
        devices = [d for each in found for d in each["gpus"].split(",") if d != "none"]
        assert len(devices) == len(set(devices)) == ranks * gpus, "no GPU has two ranks"
    assert {each["threads"] for each in seen} == {"1"}


def test_accounting_saw_nodes_and_cores_of_distributed_jobs(
    distributed: dict[str, Any], cluster: slurmcluster.SlurmCluster
) -> None:
    seen = {
        (row["NNodes"], row["NCPUS"], re.sub(r".*gres/gpu=(\d+).*|.*", r"\1", row["ReqTRES"]))
        for row in cluster.jobs("JobIDRaw", "Comment", "State", "NNodes", "NCPUS", "ReqTRES")
        if int(row["JobIDRaw"]) > distributed["since"]
        and row["Comment"].startswith("rule_train_distributed")
        and row["State"] == "COMPLETED"
    }
    assert seen == {("1", "2", ""), ("2", "4", ""), ("1", "1", "2"), ("2", "4", "4")}


def test_a_distributed_study_reaches_its_report(distributed: dict[str, Any]) -> None:
    clone = distributed["clones"]["Horovod on two nodes"]
    assert (clone.results() / "report.html").stat().st_size > 10_000
    assert json.loads((clone.results() / "final" / "trained.json").read_text())["trained_here"]


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


# Ridge regression on classes, solved at once: of such a trial little is left but what Slurm,
# Snakemake and gridfold do with it.
MOMENTARY_LOOP = """
import keras
import numpy as np


def train(trial):
    features, targets = trial.training_data
    features = np.column_stack([features, np.ones(len(features))])
    classes = np.eye(trial.outputs)[np.ravel(targets).astype(int)]
    penalty = trial.hp.Int("penalty", 1, 40) * np.eye(features.shape[1])
    weights = np.linalg.solve(features.T @ features + penalty, features.T @ classes)
    outputs = keras.layers.Dense(trial.outputs, activation="softmax")
    model = keras.Sequential([keras.Input(trial.input_shape), outputs])
    model.set_weights([weights[:-1], weights[-1]])
    trial.report(1, loss=float(np.mean((features @ weights - classes) ** 2)))
    return model
"""


def test_a_load_of_short_trials_is_trained_once_each(
    cluster: slurmcluster.SlurmCluster, tmp_path: Path
) -> None:
    since = last_job(cluster)
    clone = Clone(tmp_path, cluster)
    (clone.folder / "momentary.py").write_text(MOMENTARY_LOOP)
    study = tiny(
        data={"source": "iris"},
        model={"custom": {"train": "momentary.py:train"}},
        training={"epochs": 1},
        search={"space": {"custom.penalty": {"range": {"start": 1, "stop": 40}}}},
        resampling={"method": "kfold", "folds": 8},
        execution={"trials_per_job": "configuration"},
    )
    # The nodes are one machine: half a node for each job, so that four run and the others wait in
    # the queue.
    cores = slurmcluster.CPUS // 2
    options = ("--profile", "slurm", *IMPATIENT, "--set-threads", f"train={cores}", "--jobs", "10")
    clone.snakemake(study, *options)
    trials = pd.read_parquet(clone.results() / "tables" / "trials.parquet")
    assert len(trials) == 40 * 8
    assert set(trials["status"]) == {"finished"}
    jobs = [
        (row["Comment"], row["State"])
        for row in cluster.jobs("JobIDRaw", "Comment", "State")
        if int(row["JobIDRaw"]) > since and row["Comment"].startswith("rule_train_")
    ]
    shards = [f"s{number:04d}" for number in range(1, 41)]
    assert sorted(jobs) == [(f"rule_train_wildcards_{shard}", "COMPLETED") for shard in shards]
    # What the jobs say of themselves: no trial in two of them, and none twice in one.
    logs = (clone.results() / "logs" / "train").glob("*.log")
    finished = [
        line.split()[3]
        for log in logs
        for line in log.read_text().splitlines()
        if " finished: " in line
    ]
    assert len(finished) == len(set(finished)) == len(trials)
    for file in clone.results().glob("runs/*/*/result-*.json"):
        assert len(json.loads(file.read_text())["segments"]) == 1


def test_slurm_is_asked_whether_the_holder_of_a_lock_still_runs(
    cluster: slurmcluster.SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, cluster.environment[name])
    job = cluster.run("sbatch", "--parsable", "--wrap", "sleep 600")
    wait_for(lambda: job in running_jobs_by_id(cluster), PATIENCE)
    trial = tmp_path / "cafe" / "r0f0"
    trial.parent.mkdir()
    far = replace(Holder.me(), host="far", machine="far", job=job)
    trial.with_name(".r0f0.lock").write_text(json.dumps(asdict(far)))
    assert not TrialLock(trial).acquire()
    cluster.run("scancel", job)
    wait_for(lambda: job not in running_jobs_by_id(cluster), PATIENCE)
    assert TrialLock(trial).acquire()
    unknown = replace(far, token="another", job="999999")
    trial.with_name(".r0f0.lock").write_text(json.dumps(asdict(unknown)))
    assert TrialLock(trial).acquire(), "Slurm has forgotten it"


def running_jobs_by_id(cluster: slurmcluster.SlurmCluster) -> list[str]:
    return cluster.run("squeue", "--noheader", "--states=R,CG", "--format=%i").split()


def test_jobs_tell_what_they_asked_for_and_what_accounting_saw(runs: dict[str, Any]) -> None:
    clone = runs["clones"]["CPU trials"]
    jobs = pd.read_csv(clone.results() / "tables" / "jobs.csv")
    shards = {f.name.partition(".")[0] for f in (clone.results() / "shards").glob("*.trials.*")}
    assert set(jobs["shard"]) == shards
    assert set(jobs["source"]) == {"sacct"}
    assert set(jobs["state"]) == {"COMPLETED"}
    asked = [line for name, line in runs["submissions"]["CPU trials"].items() if "train" in name]
    assert set(jobs["asked_memory_mb"]) == {float(flag(line, "--mem")) for line in asked}
    assert set(jobs["asked_minutes"]) == {float(flag(line, "-t")) for line in asked}
    assert jobs["memory_mb"].gt(100).all()
    assert jobs["cpu_seconds"].gt(1).all()
    assert jobs["core_hours"].gt(0).all()


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (("-A", "nobody"), advice.ACCOUNT),
        (("-p", "nowhere"), advice.PARTITION),
        (("--mem=900G",), advice.TOO_LARGE),
        (("-p", "gpu", "--gpus=9"), advice.TOO_LARGE),
    ],
)
def test_what_sbatch_refuses_is_recognised(
    cluster: slurmcluster.SlurmCluster, options: tuple[str, ...], cause: advice.Cause
) -> None:
    answer = subprocess.run(
        ["sbatch", *options, "--wrap", "true"],
        env=cluster.environment,
        cwd=cluster.folder,
        capture_output=True,
        text=True,
    )
    assert answer.returncode != 0
    assert advice.recognise(answer.stderr) is cause, answer.stderr


def test_the_doctor_sees_the_job_it_runs_in(cluster: slurmcluster.SlurmCluster) -> None:
    doctor = str(Path(sys.executable).parent / "gridfold")
    found = json.loads(cluster.run("srun", "--ntasks=1", doctor, "doctor", "--json"))
    assert found["slurm_job"]["job_id"].isdigit()
    assert found["slurm_job"]["tasks"] == 1
    for library in ("tensorflow", "keras"):
        assert found["libraries"][library]["installed"]

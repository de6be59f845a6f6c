"""Studies on a real Slurm, from a fresh clone to the report, and through everything in between."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import slurmcluster
from clones import (
    IMPATIENT,
    PATIENCE,
    PAUSE,
    Clone,
    check_golden,
    ended,
    flag,
    last_job,
    new_cluster,
    submissions,
)
from workbench import wait_for
from workspaces import tiny

from gridfold import advice
from gridfold.store.locks import Holder, TrialLock


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
    one_trial = tiny(search={"space": {"mlp.units": [8]}}, resampling={"method": "holdout"})
    since = last_job(cluster)
    clones, started = {}, {}
    for name, words in options.items():
        # One of them to its end is enough, and two with jobs for the data.
        whole = name == "CPU trials"
        study = tiny() if whole else one_trial
        folder = tmp_path_factory.mktemp("clone")
        clone = clones[name] = Clone(folder, cluster, shares_forks=True)
        if name == "Expanse":
            clone.environment |= {"EXPANSE_ACCOUNT": slurmcluster.ACCOUNT}
        elif not whole:
            clone.prepare(study)
        target = [] if whole else ["results/tiny/shards/s0001.trials.parquet"]
        started[name] = clone.start(study, *words, *IMPATIENT, "--verbose", "--", *target)
    outputs = {}
    with contextlib.ExitStack() as stack:
        for process in started.values():
            stack.enter_context(ended(process))
        for clone in clones.values():
            clone.spoil_study()
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
        ("CPU trials", "4 at a time, on GPUs none"),
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
        clone.prepare(tiny())
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
    clone = Clone(tmp_path, cluster, shares_forks=True)
    (clone.folder / "momentary.py").write_text(MOMENTARY_LOOP)
    study = tiny(
        data={"source": "iris"},
        model={"custom": {"train": "momentary.py:train"}},
        training={"epochs": 1},
        search={"space": {"custom.penalty": {"range": {"start": 1, "stop": 5}}}},
        resampling={"method": "kfold", "folds": 4},
        execution={"trials_per_job": "configuration"},
    )
    # The nodes are one machine: half a node for each job, so that four run and the others wait in
    # the queue.
    cores = slurmcluster.CPUS // 2
    options = ("--profile", "slurm", *IMPATIENT, "--set-threads", f"train={cores}", "--jobs", "10")
    clone.prepare(study)
    target = "results/tiny/tables/trials.parquet"
    clone.snakemake(study, *options, "--", target)
    trials = pd.read_parquet(clone.folder / target)
    assert len(trials) == 5 * 4
    assert set(trials["status"]) == {"finished"}
    jobs = [
        (row["Comment"], row["State"])
        for row in cluster.jobs("JobIDRaw", "Comment", "State")
        if int(row["JobIDRaw"]) > since and row["Comment"].startswith("rule_train_wildcards")
    ]
    shards = [f"s{number:04d}" for number in range(1, 6)]
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
    wait_for(lambda: job in running_jobs_by_id(cluster), PATIENCE, pause=PAUSE)
    trial = tmp_path / "cafe" / "r0f0"
    trial.parent.mkdir()
    far = replace(Holder.me(), host="far", machine="far", job=job)
    trial.with_name(".r0f0.lock").write_text(json.dumps(asdict(far)))
    assert not TrialLock(trial).acquire()
    cluster.run("scancel", job)
    wait_for(lambda: job not in running_jobs_by_id(cluster), PATIENCE, pause=PAUSE)
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

"""Studies with several replicas on a real Slurm: what is asked for, and where ranks run."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import engine
import pytest
import slurmcluster
from clones import (
    IMPATIENT,
    PATIENCE,
    Clone,
    check_golden,
    ended,
    last_job,
    parallel,
    submissions,
)
from daily import of_day
from distributed import need_mpi, started_by


def site_words(**words: Any) -> tuple[str, ...]:
    """What a profile says about nodes, for both rules that train on several of them."""
    rules = ("train_distributed", "train_final")
    return ("--set-resources", *(f"{r}:{k}={v}" for r in rules for k, v in words.items()))


SHARD = ["results/tiny/shards/d0001.trials.parquet"]


SHARD_LOG = "train_distributed/d0001.log"


IN_ONE, IN_CONTAINERS = "a container on one node", "containers on two nodes"
CONTAINER = ("--sdm", "apptainer")


GPUS = {"slurm_partition": "gpu", "gpus_per_replica": 1}


# Study, what the profile says besides, and what is asked for: nothing is the whole report. Two at a
# time, since each rank is a TensorFlow of its own.
Distributed = tuple[dict[str, Any], tuple[str, ...], list[str]]
ALIKE: list[dict[str, Distributed]] = [
    {
        "Horovod on one node": (parallel("horovod", 2), (), SHARD),
        "Horovod on two nodes": (parallel("horovod", 4), site_words(ranks_per_node=2), SHARD),
    },
    {
        "several GPUs of one node": (parallel("mirrored", 2), site_words(**GPUS), SHARD),
        "several GPUs of two nodes": (
            parallel("horovod", 4),
            site_words(**GPUS, ranks_per_node=2),
            [],
        ),
    },
    {
        IN_ONE: (parallel("horovod", 2), CONTAINER, SHARD),
        IN_CONTAINERS: (
            parallel("horovod", 4),
            (*site_words(ranks_per_node=2), *CONTAINER),
            SHARD,
        ),
    },
]
OF_DAY = of_day(ALIKE, 1)
DISTRIBUTED = {name: study for alike in OF_DAY for name, study in alike.items()}


@pytest.fixture(scope="module")
def distributed(
    cluster: slurmcluster.SlurmCluster, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    need_mpi()
    since = last_job(cluster)
    clones, outputs = {}, {}
    for alike in OF_DAY:
        with contextlib.ExitStack() as stack:
            started = {}
            for name in alike:
                study, words, target = DISTRIBUTED[name]
                folder = tmp_path_factory.mktemp("clone")
                clone = clones[name] = Clone(folder, cluster, shares_forks=True)
                clone.prepare(study)
                # The nodes are one host: Open MPI must not take shared memory for a network, nor
                # look for a way between networks that reach no other host.
                clone.environment |= {
                    "OMPI_MCA_btl": "tcp,self",
                    "OMPI_MCA_btl_tcp_if_include": "lo",
                }
                if name in (IN_ONE, IN_CONTAINERS):
                    record = engine.install(tmp_path_factory.mktemp("engine"), hidden=folder.parent)
                    path = clone.environment["PATH"]
                    clone.environment["PATH"] = f"{record.parent / 'bin'}:{path}"
                process = clone.start(
                    study, *("--profile", "slurm", *words, *IMPATIENT, "--verbose", "--", *target)
                )
                started[name] = stack.enter_context(ended(process))
                clone.spoil_study()
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


# Name, log of the job, nodes, ranks and GPUs on each.
PLACES = [
    ("Horovod on one node", SHARD_LOG, 1, 2, 0),
    ("Horovod on two nodes", SHARD_LOG, 2, 2, 0),
    ("several GPUs of one node", SHARD_LOG, 1, 1, 2),
    ("several GPUs of two nodes", SHARD_LOG, 2, 2, 1),
    ("several GPUs of two nodes", "train_final.log", 2, 2, 1),
    (IN_ONE, SHARD_LOG, 1, 2, 0),
    (IN_CONTAINERS, SHARD_LOG, 2, 2, 0),
]


@pytest.mark.parametrize(
    ("name", "log", "nodes", "ranks", "gpus"), [p for p in PLACES if p[0] in DISTRIBUTED]
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
    asked = {
        "Horovod on one node": ("1", "2", ""),
        "Horovod on two nodes": ("2", "4", ""),
        "several GPUs of one node": ("1", "1", "2"),
        "several GPUs of two nodes": ("2", "4", "4"),
        IN_ONE: ("1", "2", ""),
        IN_CONTAINERS: ("2", "4", ""),
    }
    assert seen == {asked[name] for name in DISTRIBUTED}


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_a_distributed_study_reaches_what_was_asked_for(
    distributed: dict[str, Any], name: str
) -> None:
    results = distributed["clones"][name].results()
    assert set(distributed["clones"][name].scores()["status"]) == {"finished"}
    *_, asked = DISTRIBUTED[name]
    if not asked:
        assert (results / "report.html").stat().st_size > 10_000
        assert json.loads((results / "final" / "trained.json").read_text())["trained_here"]


STARTED_BY = {
    "several GPUs of one node": [],
    IN_ONE: ["apptainer", "mpirun"],
    IN_CONTAINERS: ["mpirun", "apptainer"],
}


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_who_starts_ranks(distributed: dict[str, Any], name: str) -> None:
    log = distributed["clones"][name].results() / "logs" / SHARD_LOG
    assert started_by(log) == STARTED_BY.get(name, ["mpirun"])

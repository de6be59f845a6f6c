"""An asynchronous Hyperband on a real Slurm: two jobs promote side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clones import IMPATIENT, Clone, submissions
from slurmcluster import SlurmCluster
from workspaces import tiny

pytestmark = pytest.mark.daily("searches of several jobs", 1)

STUDY = tiny(
    training={"epochs": 4, "learning_rate": 0.01},
    search={
        "strategy": {"type": "hyperband", "factor": 2, "asynchronous": True, "jobs": 2},
        "space": {"mlp.units": {"int": {"min": 4, "max": 64, "log": True}}},
    },
)


def test_two_jobs_train_each_trial_once(cluster: SlurmCluster, tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone", cluster, shares_forks=True)
    target = "results/tiny/search/decisions.json"
    output = clone.snakemake(
        STUDY,
        *("--profile", "slurm", *IMPATIENT, "--verbose"),
        *("--set-threads", "train_rungs=1", "--", target),
    )
    asked = {name for name in submissions(output, clone) if "rungs" in name}
    assert asked == {
        "rule_train_rungs_wildcards_rungs-001",
        "rule_train_rungs_wildcards_rungs-002",
        "rule_rungs_close_rungs",
    }
    made = json.loads((clone.folder / target).read_text())
    said = [
        json.loads((clone.results() / "search" / "jobs" / f"{job}.json").read_text())
        for job in ("rungs-001", "rungs-002")
    ]
    assert sum(job["trained"] for job in said) == 2 * len(made)
    assert {(d["bracket"], d["rung"]) for d in made} == {
        *((2, 0), (2, 1), (2, 2)),
        *((1, 0), (1, 1)),
        (0, 0),
    }

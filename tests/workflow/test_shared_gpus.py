"""Trials that share a GPU, in each form of a search; a stand-in speaks for the driver."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from searches import tuned
from workspaces import Workspace, tiny

FORMS: dict[str, dict[str, Any]] = {
    "grid": {},
    "random and refine": {
        "search": {
            "strategy": {"type": "random", "n": 2},
            "space": {"mlp.units": [8, 16, 32]},
            "refine": {"top": 1, "max_configurations": 1},
        }
    },
    "asynchronous": {
        "search": {
            "strategy": {"type": "hyperband", "factor": 2, "asynchronous": True},
            "space": {"mlp.units": {"int": {"min": 4, "max": 64}}},
        }
    },
    "keras_tuner": {"search": tuned({"tuner": "random", "max_trials": 2})["search"]},
    "keras_tuner with workers": {
        "search": tuned({"tuner": "random", "max_trials": 2, "workers": 2})["search"]
    },
}


@pytest.mark.daily("forms of a search that share a GPU", 2)
@pytest.mark.parametrize("form", FORMS)
def test_trials_count_as_parts_of_their_gpu(tmp_path: Path, form: str) -> None:
    driver = tmp_path / "bin" / "nvidia-smi"
    driver.parent.mkdir()
    driver.write_text("#!/bin/sh\necho '16160, [N/A]'\n")
    driver.chmod(0o755)
    workspace = Workspace(tmp_path)
    workspace.environment = {
        "CUDA_VISIBLE_DEVICES": "0",
        "PATH": f"{driver.parent}:{os.environ['PATH']}",
    }
    study = tiny(execution={"trials_per_gpu": 2}, **FORMS[form])
    tables = Path("results/tiny/tables")
    workspace.snakemake(study, *(str(tables / f"{n}.parquet") for n in ("trials", "jobs")))
    results = tmp_path / tables.parent
    trials = pd.read_parquet(results / "tables" / "trials.parquet")
    assert len(trials) >= 2
    assert set(trials["status"]) == {"finished"}
    said = "".join(file.read_text() for file in (results / "logs").rglob("*.log"))
    assert "2 at a time, on GPUs 0" in said
    assert f"a trial has {16160 // 2 - 600} MB of a GPU" in said
    jobs = pd.read_parquet(results / "tables" / "jobs.parquet")
    assert set(trials["gpus"]) == {0.5}
    # Workers of a search keep records of their own.
    if form != "keras_tuner with workers":
        assert (set(jobs["workers"]), set(jobs["gpus"])) == ({2}, {1})

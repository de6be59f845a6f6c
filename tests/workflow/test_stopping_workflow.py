"""A search that stops, through Snakemake itself, and what becomes of it when it need not stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from workspaces import Workspace

EXPLORED, MOST = 10, 13


def study(**search: Any) -> dict[str, Any]:
    """Return a random search of 13, refined and confirmed."""
    space = {
        "mlp.units": {"int": {"min": 2, "max": 64}},
        "training.learning_rate": {"float": {"min": 0.001, "max": 0.1, "log": True}},
    }
    return {
        "study": "stops",
        "data": {"source": "iris"},
        "problem": {"type": "multiclass", "measure": "log_loss"},
        "model": {"mlp": {}},
        "training": {"epochs": 1},
        "search": {
            "space": space,
            "strategy": {"type": "random", "n": MOST},
            "refine": {"top": 1, "max_configurations": 2},
            "confirm": {"top": 2},
            **search,
        },
        "resampling": {"method": "kfold", "folds": 2},
        "execution": {"trials_per_job": 8},
        "report": {"chance_level": False, "baselines": []},
    }


def results(workspace: Workspace) -> Path:
    return workspace.folder / "results" / "stops"


def stage(workspace: Workspace, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (results(workspace) / "search" / f"{name}.json").read_text()
    )
    return content


def stages(workspace: Workspace) -> pd.Series:
    table = pd.read_parquet(results(workspace) / "tables" / "search.parquet")
    return table.groupby("stage", sort=False)["config_id"].nunique()


@pytest.mark.daily("long studies", 2)
def test_a_search_stops_says_so_and_goes_on_when_stop_is_taken_out(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    # It stops at its first look: of 13, 3 are left, which are not so probably better.
    stopping = {"after": EXPLORED, "risk": 0.9}
    jobs = workspace.planned_jobs(study(stop=stopping))
    assert (jobs["choose"], jobs["train"]) == (4, 3 + 1 + 1 + 1)
    said = workspace.snakemake(study(stop=stopping)).stderr
    decision = stage(workspace, "more1")["decision"]
    assert decision["stops"]
    reason = f"stopped after {EXPLORED} of {MOST} configurations: another one is expected to gain"
    assert f"search {reason}" in said
    assert stage(workspace, "more1")["configurations"] == []
    assert stages(workspace).to_dict() == {"explore": EXPLORED, "refine1": 2, "confirm": 2}
    explored = pd.read_parquet(results(workspace) / "tables" / "search_trials.parquet")
    means = explored[explored["stage"] == "explore"].groupby("config_id")["log_loss"].mean()
    assert decision["best"] == pytest.approx(means.min())
    assert stage(workspace, "refine1")["configurations"][0]["id"] == means.idxmin()
    page = (results(workspace) / "report.html").read_text()
    assert f"The search {reason}" in page
    words = json.loads((results(workspace) / "figures" / "stopping.json").read_text())
    assert reason in words["alt"]
    trained = workspace.trainings("stops")

    assert "Nothing to be done" in workspace.snakemake(study(stop=stopping)).stderr

    said = workspace.snakemake(study()).stderr
    assert "search stopped" not in said
    assert stages(workspace)["explore"] == MOST
    ids = [c["id"] for c in stage(workspace, "explore")["configurations"]]
    assert set(ids[:EXPLORED]) == set(means.index)
    after = workspace.trainings("stops")
    assert {trial: after[trial] for trial in trained} == trained
    # `trainings` knows those of the search, not those of the confirmation.
    assert len(after) >= len(trained) + 2 * (MOST - EXPLORED)
    assert "The search stopped" not in (results(workspace) / "report.html").read_text()

"""A search with a budget through Snakemake: what ends it, what is shown, and how it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from workspaces import Workspace


def budgeted(n: int, core_hours: float) -> dict[str, Any]:
    """Return a study that explores `n` configurations and confirms two."""
    return {
        "study": "tiny",
        "data": {"source": "wine"},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {"units": 8}},
        "training": {"epochs": 2},
        "search": {
            "strategy": {"type": "random", "n": n, "seed": 1},
            "space": {"training.learning_rate": {"float": {"min": 0.001, "max": 0.1}}},
            "explore": {"splits": 1},
            "confirm": {"top": 2, "folds": 2},
            "budget": {"core_hours": core_hours},
        },
        "resampling": {"method": "stratified", "folds": 2},
        "execution": {"trials_per_job": 2},
        "report": {"baselines": [], "chance_level": False},
    }


PLENTY = 100.0
TINY = 1e-6


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A search of two that ended by itself, and of four that has nothing left for two of them."""
    workspace = Workspace(tmp_path_factory.mktemp("budget"))
    first = workspace.snakemake(budgeted(2, PLENTY))
    assert "budget: 100 core-hours, 0.0" in first.stderr
    assert "has ended within its budget (100 core-hours)" in page(workspace)
    assert outcome(workspace)["is_cut"] is False
    return workspace


def page(workspace: Workspace) -> str:
    text = (workspace.folder / "results" / "tiny" / "report.html").read_text()
    return " ".join(text.split())


def outcome(workspace: Workspace) -> dict[str, Any]:
    file = workspace.folder / "results" / "tiny" / "tables" / "budget.json"
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def table(workspace: Workspace, name: str) -> pd.DataFrame:
    return pd.read_parquet(workspace.folder / "results" / "tiny" / "tables" / f"{name}.parquet")


def test_a_budget_that_is_spent_ends_the_search_and_a_larger_one_goes_on(ended: Workspace) -> None:
    before = ended.trainings()
    answer = ended.snakemake(budgeted(4, TINY))
    assert "the budget (1e-06 core-hours) has ended the search" in answer.stderr
    assert "2 trials left out" in answer.stderr
    assert "Best of 2 configurations" in answer.stderr
    assert ended.trainings() == before, "nothing was trained beyond the budget"

    text = page(ended)
    assert "The budget (1e-06 core-hours) has ended the search." in text
    assert "Not trained, or not to the end: 2 trials" in text
    left_out = table(ended, "left_out")
    assert (
        left_out[["stage", "n_splits", "n_trained"]].to_numpy().tolist() == [["explore", 1, 0]] * 2
    )
    path = table(ended, "search_trials")
    assert (path["status"] == "left_out").sum() == 2
    assert not set(left_out["config_id"]) & set(table(ended, "trials")["config_id"])
    assert table(ended, "search")["n_failed"].sum() == 0
    catalogue = json.loads((ended.folder / "results/tiny/search/catalogue.json").read_text())
    assert len(catalogue) == 2, "what was never trained was not tried"
    again = ended.snakemake(budgeted(4, TINY))
    assert "Nothing to be done" in again.stderr

    more = ended.snakemake(budgeted(4, PLENTY))
    assert "2 files to be made again" in more.stderr or "3 files to be made again" in more.stderr
    after = ended.trainings()
    assert {file: after[file] for file in before} == before, "nothing is trained again"
    assert len(after) > len(before)
    assert outcome(ended)["is_cut"] is False
    assert (table(ended, "search_trials")["status"] == "finished").all()
    assert not len(table(ended, "left_out"))
    assert "has ended within its budget" in page(ended)


def test_a_budget_without_an_answer_says_so(tmp_path: Path) -> None:
    study = budgeted(2, PLENTY)
    study["search"]["budget"] = {"until": "2020-01-01 00:00"}
    workspace = Workspace(tmp_path)
    answer = workspace.snakemake(study, expect=1)
    said = answer.stdout + answer.stderr
    assert "has left no configuration whole" in said
    assert "Raise search.budget" in said
    assert not workspace.trainings()

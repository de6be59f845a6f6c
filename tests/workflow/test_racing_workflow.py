"""Races over the splits through Snakemake itself: the numbers are those of the whole grid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from workspaces import Workspace

KEYS = ["config_id", "split"]


def racing(**changes: Any) -> dict[str, Any]:
    """Return a study in which six configurations race over three splits."""
    search = {
        "space": {"mlp.units": [2, 8], "training.learning_rate": [0.03, 0.01, 0.0001]},
        "race": {},
    }
    return {
        "study": "racing",
        "data": {"source": "wine", "normalise": "standard", "test_fraction": 0.2},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {}},
        "training": {"epochs": 3, "batch_size": 16},
        "search": search | changes.pop("search", {}),
        "resampling": {"method": "stratified", "folds": 3},
        "report": {"baselines": False, "chance_level": False},
    } | changes


def results(workspace: Workspace) -> Path:
    return workspace.folder / "results" / "racing"


def table(workspace: Workspace, name: str) -> pd.DataFrame:
    return pd.read_parquet(results(workspace) / "tables" / f"{name}.parquet")


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A finished race; tests only read it."""
    workspace = Workspace(tmp_path_factory.mktemp("racing"))
    workspace.snakemake(racing())
    return workspace


def test_all_jobs_of_a_race_are_known_before_it_begins(tmp_path: Path) -> None:
    study = racing(execution={"trials_per_job": 2})
    jobs = Workspace(tmp_path).planned_jobs(study)
    # Six on the first split, at most three on each of the two others; two in each job.
    assert jobs["train"] == 3 + 2 * 2
    assert jobs["choose"] == 3


def test_those_at_the_end_are_compared_and_the_others_are_told(raced: Workspace) -> None:
    left, compared = table(raced, "race"), table(raced, "trials")
    complete = set(compared["config_id"])
    assert complete | set(left["config_id"]) == set(table(raced, "search")["config_id"])
    assert not complete & set(left["config_id"])
    assert (compared.groupby("config_id")["split"].nunique() == 3).all()
    assert set(table(raced, "configurations")["config_id"]) == complete
    assert set(table(raced, "epochs")["config_id"]) == complete
    assert (left["n_splits"] < 3).all()
    trained = table(raced, "search_trials").groupby("config_id")["split"].nunique()
    assert (left.set_index("config_id")["n_splits"] == trained[left["config_id"]]).all()


def test_the_report_says_what_was_left_behind_and_at_what_risk(raced: Workspace) -> None:
    page = (results(raced) / "report.html").read_text()
    left = table(raced, "race")
    assert "6 configurations raced over 3 splits" in page
    assert f"{6 - len(left)} reached the end, and are compared above" in page
    assert f"The risk that one of the {len(left)} configurations left behind" in page
    assert "Left behind in the race" in page
    for label in left["label"]:
        assert f"<td>{label}</td>" in page.replace('<td class="">', "<td>") or label in page
    best = json.loads((results(raced) / "tables" / "best.json").read_text())
    assert best["tried"] == 6
    assert best["estimate"]["explored"] == 6


def test_without_the_race_only_what_was_left_out_is_trained(raced: Workspace) -> None:
    before = table(raced, "search_trials").set_index(KEYS).sort_index()
    compared = table(raced, "trials").set_index(KEYS).sort_index()
    study = racing()
    del study["search"]["race"]
    raced.snakemake(study, "results/racing/tables/trials.parquet")
    after = table(raced, "trials").set_index(KEYS).sort_index()
    assert len(after) == 6 * 3
    # The records are the same ones: not one trial was trained again.
    same = ["accuracy", "log_loss", "fit_seconds"]
    pd.testing.assert_frame_equal(after.loc[before.index, same], before[same])
    means = after["accuracy"].groupby("config_id").mean()
    assert set(means.nlargest(1).index) <= set(compared.reset_index()["config_id"])


def test_a_race_goes_on_to_neighbours_and_finalists(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    search = {
        "refine": {"top": 1, "max_configurations": 3},
        "confirm": {"top": 2, "folds": 3, "samples": "held_back"},
    }
    workspace.snakemake(racing(search=search), "results/racing/tables/trials.parquet")
    steps = table(workspace, "search")
    last = steps[steps["stage"] == "race3"]
    refined = json.loads((results(workspace) / "search" / "refine1.json").read_text())
    assert refined["configurations"][0]["id"] == last.sort_values("score")["config_id"].iloc[-1]
    finalists = json.loads((results(workspace) / "search" / "confirm.json").read_text())
    assert len(finalists["configurations"]) == 2
    left = table(workspace, "race")
    assert not set(left["config_id"]) & {c["id"] for c in refined["configurations"]}
    assert set(table(workspace, "trials")["split"]) == {"c0f0", "c0f1", "c0f2"}

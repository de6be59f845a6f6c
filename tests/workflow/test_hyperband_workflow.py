"""Hyperband through Snakemake itself: rungs, promotions, and what a killed run leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from finalmodels import ensemble_score
from workspaces import Workspace

# R = 4 and factor 2: brackets of 4, 2 and 3 configurations.
RUNGS = {
    "b2r0": (4, 1),
    "b2r1": (2, 2),
    "b2r2": (1, 4),
    "b1r0": (2, 2),
    "b1r1": (1, 4),
    "b0r0": (3, 4),
}


def hyperband(**changes: Any) -> dict[str, Any]:
    return {
        "study": "rungs",
        "data": {"source": "digits", "subset": 300, "normalise": "global"},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {}},
        "training": {
            "epochs": 4,
            "learning_rate": 0.01,
            "schedule": {"kind": "cosine"},
            "early_stopping": {"patience": 3},
        },
        "search": {
            "strategy": {"type": "hyperband", "factor": 2},
            "space": {
                "mlp.units": {"int": {"min": 4, "max": 64, "log": True}},
                "mlp.activation": {"choice": ["relu", "tanh"]},
            },
        },
        "resampling": {"method": "holdout"},
        "final": {"ensemble": True},
    } | changes


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A finished Hyperband; tests only read it."""
    workspace = Workspace(tmp_path_factory.mktemp("rungs"))
    workspace.snakemake(hyperband(), "--", "collect", "fit_final")
    return workspace


def results(workspace: Workspace) -> Path:
    return workspace.folder / "results" / "rungs"


def table(workspace: Workspace, name: str) -> pd.DataFrame:
    return pd.read_parquet(results(workspace) / "tables" / f"{name}.parquet")


def test_the_ensemble_is_that_of_the_splits_of_full_trainings(searched: Workspace) -> None:
    assert ensemble_score(results(searched), ["r0f0"]) > 0.1


def trained_segments(workspace: Workspace) -> dict[str, list[tuple[int, int]]]:
    """Return the stretches of epochs that each trial was trained in, by its longest request."""
    found = {}
    for file in sorted(results(workspace).glob("runs/*/r*/result-*.json")):
        segments = json.loads(file.read_text())["segments"]
        found[str(file.parent)] = [(s["first"], s["last"]) for s in segments]
    return found


def test_a_dry_run_shows_every_rung_before_anything_runs(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    jobs = workspace.planned_jobs(hyperband())
    assert (jobs["choose"], jobs["train"]) == (3 + 3, 6)
    answer = workspace.snakemake(hyperband(), "--dry-run")
    assert "Bracket 2, rung 0               4       1       1       4           4" in answer.stderr


def test_each_rung_trains_as_many_for_as_long_as_the_schedule_says(searched: Workspace) -> None:
    steps = table(searched, "search")
    found = {
        stage: (len(rows), int(rows["epochs"].iloc[0]))
        for stage, rows in steps.groupby("stage", sort=False)
    }
    assert found == RUNGS
    assert steps["config_id"].nunique() == 4 + 2 + 3


def test_the_better_ones_of_a_rung_go_on_in_their_order(searched: Workspace) -> None:
    path = table(searched, "search_trials")
    for here, there in (("b2r0", "b2r1"), ("b2r1", "b2r2"), ("b1r0", "b1r1")):
        scores = path[path["stage"] == here].set_index("config_id")["accuracy"]
        expected = scores.sort_values(ascending=False, kind="stable").index
        promoted = path[path["stage"] == there]["config_id"]
        assert list(promoted) == list(expected[: len(promoted)])


def test_no_epoch_is_trained_twice(searched: Workspace) -> None:
    segments = trained_segments(searched)
    for stretches in segments.values():
        epochs = [e for first, last in stretches for e in range(first, last + 1)]
        assert epochs == list(range(1, len(epochs) + 1))
    counted = sum(last - first + 1 for found in segments.values() for first, last in found)
    steps = table(searched, "search")
    assert steps["new_epochs"].sum() == counted
    # 4 + 2 + 2 epochs of the first bracket, 4 + 2 of the second, 12 of the third.
    assert counted == 8 + 6 + 12


def test_only_what_was_trained_in_full_can_win(searched: Workspace) -> None:
    compared = table(searched, "trials")
    assert set(compared["epochs"]) == {4}
    last = table(searched, "search").query("epochs == 4")
    assert set(compared["config_id"]) == set(last["config_id"])
    assert len(compared) == 5


def test_a_run_killed_within_a_rung_loses_nothing(searched: Workspace, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    # The first rungs have no order, so some trial of a rung has ended while others have not.
    workspace.killed(hyperband(), lambda: len(workspace.trainings("rungs")) >= 2)
    before = workspace.trainings("rungs")
    assert not (results(workspace) / "tables" / "trials.parquet").exists()

    workspace.snakemake(hyperband(), "--unlock")
    target = "results/rungs/tables/search_trials.parquet"
    workspace.snakemake(hyperband(), "--rerun-incomplete", "--", target)
    after = workspace.trainings("rungs")
    assert {name: after[name] for name in before} == before
    times = ("seconds", "hours", "cpu", "memory", "resumptions")
    same = [c for c in table(searched, "search_trials") if not any(t in c for t in times)]
    pd.testing.assert_frame_equal(
        table(workspace, "search_trials")[same], table(searched, "search_trials")[same]
    )

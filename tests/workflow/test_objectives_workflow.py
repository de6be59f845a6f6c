"""Several objectives, constraints and samplers of Optuna through Snakemake itself, on real data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from workspaces import Workspace

MOST = 300
# Of two learning rates, one lets the loss diverge.
RATES = {"choice": [0.02, 1.0e30]}


def sampled(n: int = 5) -> dict[str, Any]:
    """Return a study that Optuna explores; it is refined and confirmed, and losses are small."""
    return {
        "study": "weighed",
        "data": {"source": "wine", "normalise": "standard", "test_fraction": 0.2},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {}},
        "training": {"epochs": 2},
        "search": {
            "strategy": {
                "type": "optuna",
                "sampler": "nsga2",
                "n": n,
                "population": 3,
                "max_consecutive_failed_trials": 9,
            },
            "space": {
                "mlp.units": {"int": {"min": 2, "max": 32, "log": True}},
                "training.learning_rate": RATES,
            },
            "objectives": ["log_loss", "parameters"],
            "constraints": {"parameters": {"at_most": MOST}},
            "select": "smallest_within_one_standard_error",
            "explore": {"epochs": 1, "splits": 1},
            "refine": {"top": 1, "max_configurations": 3, "swap": False},
            "confirm": {"top": 2},
        },
        "resampling": {"method": "kfold", "folds": 2},
    }


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A finished study with two objectives; tests only read it, or go on with it at the end."""
    workspace = Workspace(tmp_path_factory.mktemp("weighed"))
    workspace.snakemake(sampled())
    return workspace


def results(workspace: Workspace, study: str = "weighed") -> Path:
    return workspace.folder / "results" / study


def table(workspace: Workspace, name: str, study: str = "weighed") -> pd.DataFrame:
    return pd.read_parquet(results(workspace, study) / "tables" / f"{name}.parquet")


def stage(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    content = json.loads((results(workspace) / "search" / f"{name}.json").read_text())
    found: list[dict[str, Any]] = content["configurations"]
    return found


def weights(configuration: dict[str, Any]) -> int:
    # Wine: 13 features, three classes.
    return 17 * int(configuration["axes"]["mlp.units"]) + 3


def test_the_sampler_explores_and_failed_trials_are_in_the_tables(searched: Workspace) -> None:
    explored = stage(searched, "explore")
    assert len(explored) == 5
    trials = table(searched, "search_trials")
    first = trials[trials["stage"] == "explore"].set_index("config_id")
    for configuration in explored:
        row = first.loc[configuration["id"]]
        assert (row["status"] == "failed") == (configuration["axes"]["training.learning_rate"] > 1)
        if row["status"] == "finished":
            assert row["total_parameters"] == weights(configuration)


def test_no_stage_takes_what_has_too_many_weights(searched: Workspace) -> None:
    for name in ("refine1", "confirm"):
        best, *_ = stage(searched, name)
        assert weights(best) <= MOST
    finalists = stage(searched, "confirm")
    assert all(weights(configuration) <= MOST for configuration in finalists)


def test_the_selected_one_is_the_smallest_near_the_best(searched: Workspace) -> None:
    best = json.loads((results(searched) / "tables" / "best.json").read_text())
    assert best["rule"] == "smallest_within_one_standard_error"
    pareto = table(searched, "pareto")
    assert pareto.loc[pareto["selected"], "config_id"].tolist() == [best["config_id"]]
    assert pareto["within_constraints"].all()
    assert (pareto["parameters"] <= MOST).all()
    configurations = table(searched, "configurations")
    assert configurations["config_id"].iloc[0] == best["config_id"]
    assert configurations["difference"].iloc[0] == 0


def test_the_report_says_what_was_wanted_and_how_one_was_selected(searched: Workspace) -> None:
    page = (results(searched) / "report.html").read_text()
    text = re.sub(r"<[^>]+>", " ", page[page.index('id="objectives"') :])
    for words in (
        "log loss (lower is better)",
        "parameters at most 300",
        "Selected is the one with",
    ):
        assert words in text
    words = json.loads((results(searched) / "figures" / "front.json").read_text())
    assert "Pareto front" in words["alt"]
    answer = Workspace.snakemake(searched, sampled(), "--quiet", "all")
    assert "Selected by smallest_within_one_standard_error" in answer.stdout + answer.stderr


def test_more_trials_go_on_after_those_there_are(searched: Workspace) -> None:
    before, known = searched.trainings("weighed"), stage(searched, "explore")
    searched.snakemake(sampled(7), "--until", "tune")
    after = stage(searched, "explore")
    assert [c["id"] for c in after][:5] == [c["id"] for c in known]
    assert len(after) == 7
    assert before.items() <= searched.trainings("weighed").items()


def grid(**wishes: Any) -> dict[str, Any]:
    return {
        "study": "limited",
        "data": {"source": "iris", "test_fraction": 0.2},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {}},
        "training": {"epochs": 2},
        "search": {"space": {"mlp.units": [4, 8]}, **wishes},
        "resampling": {"method": "kfold", "folds": 2},
        "report": {"baselines": False},
    }


def test_a_grid_is_weighed_and_costs_are_looked_for_without_training_again(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.snakemake(grid(), "--until", "train")
    times = {f: f.stat().st_mtime_ns for f in results(workspace, "limited").glob("runs/*/*/check*")}
    assert times

    wishes: dict[str, Any] = {"objectives": ["accuracy", "seconds_per_sample"]}
    limits = {"constraints": {"parameters": {"at_most": 20}}}
    refused = workspace.snakemake(grid(**wishes, **limits), expect=1)
    said = refused.stdout + refused.stderr
    assert "satisfies search.constraints (parameters at most 20)" in said
    assert "nearest is" in said
    assert "Traceback" not in said
    # Each checkpoint was at its end: nothing had to be trained.
    assert {f: f.stat().st_mtime_ns for f in times} == times
    trials = table(workspace, "trials", "limited")
    assert (trials["seconds_per_sample"] > 0).all()
    assert set(trials["total_parameters"]) == {8 * 4 + 3, 8 * 8 + 3}

    limits = {"constraints": {"parameters": {"at_most": 40}}}
    workspace.snakemake(grid(**wishes, **limits))
    pareto = table(workspace, "pareto", "limited").set_index("config_id")
    assert pareto["within_constraints"].tolist() == [True, False]
    assert pareto["selected"].tolist() == [True, False]
    assert pareto["violations"].tolist() == ["", "parameters at most 40"]
    page = (results(workspace, "limited") / "report.html").read_text()
    assert "Times are of this machine" in page
    assert {f: f.stat().st_mtime_ns for f in times} == times

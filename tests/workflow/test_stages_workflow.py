"""Searches in stages through Snakemake itself, on real data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from finalmodels import ensemble_score
from workspaces import Workspace


def staged(**changes: Any) -> dict[str, Any]:
    """Return a study that explores four, refines the best and confirms two."""
    search = {
        "space": {"mlp.units": [4, 16], "training.learning_rate": [0.001, 0.1]},
        "explore": {"epochs": 1, "splits": 1},
        "refine": {"top": 1, "max_configurations": 3, "epochs": 2, "splits": 1},
        "confirm": {"top": 2, "folds": 3},
    }
    return {
        "study": "staged",
        "data": {"source": "digits", "subset": 300, "normalise": "global"},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {}},
        "training": {"epochs": 3},
        "search": search | changes.pop("search", {}),
        "resampling": {"method": "holdout"},
        "execution": {"trials_per_job": 2},
        "final": {"ensemble": True},
    } | changes


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A finished search in stages; tests only read it."""
    workspace = Workspace(tmp_path_factory.mktemp("staged"))
    workspace.snakemake(staged())
    return workspace


def results(workspace: Workspace) -> Path:
    return workspace.folder / "results" / "staged"


def stage(workspace: Workspace, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (results(workspace) / "search" / f"{name}.json").read_text()
    )
    return content


def table(workspace: Workspace, name: str) -> pd.DataFrame:
    return pd.read_parquet(results(workspace) / "tables" / f"{name}.parquet")


def test_all_jobs_of_a_search_are_known_before_it_begins(tmp_path: Path) -> None:
    jobs = Workspace(tmp_path).planned_jobs(staged())
    # Four explored, three refined and six confirming trials, two in each job.
    assert jobs["train"] == 2 + (2 + 3)
    assert (jobs["choose"], jobs["collect"]) == (3, 1)


def test_a_study_without_stages_is_a_search_with_one(tmp_path: Path) -> None:
    study = staged()
    for name in ("explore", "refine", "confirm"):
        del study["search"][name]
    jobs = Workspace(tmp_path).planned_jobs(study)
    assert (jobs["choose"], jobs["train"]) == (1, 2)


def test_the_schedule_is_printed_before_anything_runs(tmp_path: Path) -> None:
    answer = Workspace(tmp_path).snakemake(staged(), "--dry-run")
    assert re.search(r"Explore +4 +1 +1 +4 +4 ", answer.stderr)
    assert re.search(r"Refine, round 1 +up to 3 +2 +1 +3 +6 ", answer.stderr)
    assert re.search(r"Confirm +up to 2 +3 +3 +6 +18 ", answer.stderr)


def test_only_trials_in_full_are_compared(searched: Workspace) -> None:
    compared = table(searched, "trials")
    assert set(compared["split"]) == {"c0f0", "c0f1", "c0f2"}
    assert set(compared["epochs"]) == {3}
    finalists = [c["id"] for c in stage(searched, "confirm")["configurations"]]
    assert list(dict.fromkeys(compared["config_id"])) == finalists
    best = json.loads((results(searched) / "tables" / "best.json").read_text())
    assert best["config_id"] == compared.groupby("config_id")["accuracy"].mean().idxmax()
    assert set(table(searched, "epochs")["config_id"]) == set(finalists)


def test_axes_are_judged_by_all_that_was_explored(searched: Workspace) -> None:
    assert table(searched, "trials")["config_id"].nunique() == 2
    values = table(searched, "scientific")
    of_axis = values.groupby("axis")["value"].apply(set).to_dict()
    assert of_axis == {"mlp.units": {"4", "16"}, "training.learning_rate": {"0.001", "0.1"}}
    assert (values["n_configurations"] == 2).all()
    explored = table(searched, "search_trials").query("stage == 'explore'")
    units = explored.groupby("mlp.units")["accuracy"].max()
    best = values[values["axis"] == "mlp.units"].set_index("value")["mean"]
    assert best["4"] == units[4]
    assert best["16"] == units[16]
    page = (results(searched) / "report.html").read_text()
    effort = "all 4 configurations of the stage Explore, each trained for 1 epoch on 1 split"
    assert f"Axes are judged by {effort}" in page
    words = json.loads((results(searched) / "figures" / "hyperparameters.json").read_text())
    assert words["caption"].endswith(f"Shown are {effort}.")


def test_each_stage_goes_on_from_the_best_of_the_one_before(searched: Workspace) -> None:
    path = table(searched, "search_trials")
    explored = path[path["stage"] == "explore"].set_index("config_id")["accuracy"]
    first, *neighbours = stage(searched, "refine1")["configurations"]
    assert explored[first["id"]] == explored.max() == first["score"]
    assert len(neighbours) == 2
    for other in neighbours:
        differing = [name for name in first["axes"] if other["axes"][name] != first["axes"][name]]
        assert len(differing) == 1
    refined = path[path["stage"] == "refine1"].set_index("config_id")["accuracy"]
    finalists = stage(searched, "confirm")["configurations"]
    assert [c["score"] for c in finalists] == sorted(refined, reverse=True)[:2]


def test_a_promoted_trial_goes_on_from_its_checkpoint(searched: Workspace) -> None:
    path = table(searched, "search_trials")
    promoted = stage(searched, "refine1")["configurations"][0]["id"]
    row = path[(path["stage"] == "refine1") & (path["config_id"] == promoted)].iloc[0]
    assert (row["epochs_trained"], row["resumptions"]) == (2, 1)
    steps = table(searched, "search").set_index(["stage", "config_id"])
    assert steps.loc[("explore", promoted), "new_epochs"] == 1
    assert steps.loc[("refine1", promoted), "new_epochs"] == 1
    assert steps.loc[("explore", promoted), "went_on"]


def test_the_budget_counts_epochs_and_samples(searched: Workspace) -> None:
    steps, path = table(searched, "search"), table(searched, "search_trials")
    sizes = path.groupby("stage")["n_train"].mean()
    explored = steps[steps["stage"] == "explore"]
    assert explored["effort"].sum() == 4 * 1 * sizes["explore"]
    confirmed = steps[steps["stage"] == "confirm"]
    assert confirmed["new_epochs"].tolist() == [9, 9]
    assert confirmed["effort"].sum() == 2 * 9 * sizes["confirm"]


def test_the_splits_of_the_confirmation_are_its_own(searched: Workspace) -> None:
    with np.load(results(searched) / "splits.npz") as splits:
        explored = set(splits["r0f0/validation"])
        folds = [set(splits[f"c0f{fold}/validation"]) for fold in range(3)]
        test = set(splits["test"])
    assert explored not in folds
    assert not any(fold & test for fold in folds)


def test_a_finished_search_has_nothing_to_do(searched: Workspace) -> None:
    assert "Nothing to be done" in searched.snakemake(staged()).stderr


def test_the_final_model_is_the_finalist_that_won(searched: Workspace) -> None:
    best = json.loads((results(searched) / "tables" / "best.json").read_text())
    card = json.loads((results(searched) / "final" / "card.json").read_text())
    catalogue = json.loads((results(searched) / "search" / "catalogue.json").read_text())
    assert card["configuration"]["id"] == best["config_id"]
    assert card["configuration"]["settings"] == catalogue[best["config_id"]]["settings"]


def test_the_ensemble_is_that_of_the_splits_on_which_the_winner_was_confirmed(
    searched: Workspace,
) -> None:
    assert ensemble_score(results(searched), ["c0f0", "c0f1", "c0f2"]) > 0.1


def test_the_report_shows_the_path_of_the_search(searched: Workspace) -> None:
    page = (results(searched) / "report.html").read_text()
    section = page[page.index('<section id="search"') :]
    section = section[: section.index("</section>")]
    assert "The search tried 6 configurations in 3 stages. 2 finalists went through" in section
    assert "The search itself gave the selected configuration accuracy" in section
    assert "Over the 2 finalists, the search&#39;s estimates lay" in section
    steps = table(searched, "search")
    for name, row in (("Explore", "explore"), ("Confirm", "confirm")):
        effort = steps[steps["stage"] == row]["effort"].sum()
        assert re.search(rf">{name}</td>.*?>{effort:,}</td>", section, re.DOTALL)
    words = json.loads((results(searched) / "figures" / "search_path.json").read_text())
    assert "Explore: 4 configurations, best 0." in words["alt"]


def test_failed_and_slow_trials_of_all_stages_are_reported(searched: Workspace) -> None:
    page = (results(searched) / "report.html").read_text()
    # Four explored, two neighbours and six confirming trials; one was trained in two stages.
    assert "12, of which 0 failed" in page


def test_the_answer_counts_what_was_tried_and_what_was_compared(searched: Workspace) -> None:
    answer = searched.snakemake(staged(), "--quiet").stderr
    assert "Best of 6 configurations, 2 compared in full: mlp units=" in answer

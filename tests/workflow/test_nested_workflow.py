"""Nested cross-validation through Snakemake itself: to the report, killed, grown, and in stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from workspaces import Workspace

from gridfold.data.splits import FINAL, Splits
from gridfold.paths import StudyPaths
from gridfold.plan.stage_file import StageFile
from gridfold.plan.status import answer
from gridfold.requests import SummaryRequest
from gridfold.statistics.summary import select, summarise
from gridfold.store.answer import Answer
from gridfold.store.nested import NestedEstimate

FOLDS = ("o0f0", "o0f1")


def nested(*units: int, **changes: Any) -> dict[str, Any]:
    return {
        "study": "nested",
        "data": {"source": "digits", "subset": 240, "normalise": "global"},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {}},
        # Stops early in the search: a learning rate at which nothing gets better for long.
        "training": {"epochs": 6, "learning_rate": 0.5, "early_stopping": {"patience": 1}},
        "search": {"space": {"mlp.units": list(units or (4, 8))}},
        "resampling": {"method": "stratified", "folds": 2, "outer": {"folds": 2}},
        "report": {"baselines": False, "chance_level": False},
    } | changes


def paths(workspace: Workspace) -> StudyPaths:
    return StudyPaths(workspace.folder / "results" / "nested")


def trainings(workspace: Workspace) -> dict[str, int]:
    """Return the inode of every result, those of outer folds included."""
    runs = paths(workspace).runs
    return {
        str(file.relative_to(runs)): file.stat().st_ino for file in runs.glob("*/*/result-*.json")
    }


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, int]]:
    """A study that was killed in its outer folds and then finished; what it had before."""
    workspace = Workspace(tmp_path_factory.mktemp("nested"))
    workspace.killed(nested(), lambda: any("/o0f" in name for name in trainings(workspace)))
    before = trainings(workspace)
    assert not paths(workspace).nested.exists()
    workspace.snakemake(nested(), "--unlock")
    workspace.snakemake(nested(), "--rerun-incomplete")
    return workspace, before


@pytest.fixture(scope="module")
def finished(killed: tuple[Workspace, dict[str, int]]) -> Workspace:
    return killed[0]


def test_a_run_that_was_killed_loses_nothing(killed: tuple[Workspace, dict[str, int]]) -> None:
    workspace, before = killed
    after = trainings(workspace)
    assert before
    assert {name: after[name] for name in before} == before
    # Two configurations on two splits in each of three searches, and two winners.
    assert len(after) == 3 * 2 * 2 + 2


def test_each_winner_is_what_the_study_would_select_and_trained_as_the_final_model(
    finished: Workspace,
) -> None:
    found, table = paths(finished), pd.read_parquet(paths(finished).table("nested"))
    splits, summary = Splits.load(found.splits), SummaryRequest("accuracy", 0.95)
    searched = pd.concat(
        pd.read_parquet(file) for file in found.shards.glob("s*.trials.parquet")
    ).assign(label="", model="mlp")
    for fold in FOLDS:
        of_fold = searched[searched["split"].str.startswith(f"{fold}.")]
        expected = select(summarise(of_fold, summary), summary)
        (winner,) = StageFile.read(found.stage(f"{fold}_score")).configurations
        assert winner.score == pytest.approx(expected.mean)
        assert of_fold["epochs_trained"].min() < 6, "no training was stopped early"
        own = pd.read_parquet(found.shards / f"{fold}_score-001.trials.parquet").iloc[0]
        assert own["config_id"] == winner.id
        assert own["epochs_trained"] == own["best_epoch"] == winner.epochs
        assert own["n_train"] == len(splits.by_name[fold].training)
        curves = pd.read_parquet(found.shards / f"{fold}_score-001.epochs.parquet")
        assert curves["val_loss"].isna().all(), "its validation part was followed"
        predictions = pd.read_parquet(found.shards / f"{fold}_score-001.predictions.parquet")
        assert set(predictions["sample"]) == set(splits.by_name[fold].validation)
        targets = np.load(found.array("targets"))
        right = np.stack(predictions["prediction"].to_list()).argmax(axis=1)
        score = float(np.mean(right == targets[predictions["sample"]]))
        row = table.set_index("outer_fold").loc[fold]
        assert (row["config_id"], row["accuracy"]) == (winner.id, pytest.approx(score))
        assert row["n_validation"] == len(splits.by_name[fold].validation)
    development = splits.by_name[FINAL].training
    assert table["n_validation"].sum() == len(development)


def test_the_estimate_is_their_mean_and_the_report_shows_it(finished: Workspace) -> None:
    found = paths(finished)
    table, estimate = pd.read_parquet(found.table("nested")), json.loads(found.nested.read_text())
    assert estimate["score"] == pytest.approx(table["accuracy"].mean())
    assert 0 <= estimate["low"] < estimate["score"] < estimate["high"] <= 1
    assert (estimate["folds"], estimate["missing"]) == (2, 0)
    nested = Answer.read(found).card.nested
    assert nested == NestedEstimate.read(found.nested)
    assert f"search and training, nested {nested.score:.4f}" in answer(found)
    text = found.final_model.card_text.read_text(encoding="utf-8")
    assert "| search and training together, nested cross-validation |" in text
    page = found.report.read_text(encoding="utf-8")
    assert "How good is the whole procedure?" in page
    assert "Search and training, nested" in page
    assert "no estimate of the one final model" in page
    assert 'href="tables/nested.csv"' in page
    for name in table["outer_fold"]:
        assert f">{name}<" in page


def test_what_the_study_itself_says_knows_nothing_of_outer_folds(finished: Workspace) -> None:
    compared = finished.table("nested")
    assert set(compared["split"]) == {"r0f0", "r0f1"}
    assert len(compared) == 4


def test_a_larger_grid_trains_only_what_is_new(finished: Workspace) -> None:
    before = trainings(finished)
    tables = paths(finished).root.relative_to(finished.folder) / "tables"
    wanted = (str(tables / f"{name}.parquet") for name in ("trials", "nested"))
    finished.snakemake(nested(4, 8, 16), *wanted)
    after = trainings(finished)
    assert {name: after[name] for name in before} == before
    third = next(
        c.id
        for c in StageFile.read(paths(finished).stage("explore")).configurations
        if c.axes["mlp.units"] == 16
    )
    new = set(after) - set(before)
    searched = {name.split("/")[1] for name in new if name.startswith(third)}
    assert searched >= {f"{start}r0f{fold}" for start in ("", "o0f0.", "o0f1.") for fold in (0, 1)}
    # Nothing else but winners that became others, in the folds or of the study.
    others = {name.split("/")[1] for name in new if not name.startswith(third)}
    assert others <= set(FOLDS)
    assert len(pd.read_parquet(paths(finished).table("nested"))) == 2


@pytest.mark.daily("long studies", 2)
def test_a_search_in_stages_runs_whole_in_every_outer_fold(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    study = nested(
        data={"source": "iris"},
        training={"epochs": 2, "learning_rate": 0.01},
        search={
            "space": {"mlp.units": [4, 16]},
            "explore": {"epochs": 1, "splits": 1},
            "refine": {"top": 1, "max_configurations": 2, "epochs": 1, "splits": 1},
            "confirm": {"top": 1, "samples": "held_back", "folds": 2},
        },
        execution={"trials_per_job": 8},
    )
    workspace.snakemake(study)
    found = paths(workspace)
    splits = Splits.load(found.splits)
    for fold in FOLDS:
        files = {
            step: StageFile.read(found.stage(f"{fold}_{step}"))
            for step in ("explore", "refine1", "confirm", "score")
        }
        explored, refined, confirmed, scored = files.values()
        assert [c.id for c in explored.configurations] == [
            c.id for c in StageFile.read(found.stage("explore")).configurations
        ]
        assert refined.configurations[0].score == max(c.score or 0 for c in refined.configurations)
        assert confirmed.splits == (f"{fold}.c0f0", f"{fold}.c0f1")
        assert [c.id for c in scored.configurations] == [c.id for c in confirmed.configurations]
        outer = splits.by_name[fold]
        for name in [split for file in (explored, refined, confirmed) for split in file.splits]:
            assert not np.intersect1d(splits.by_name[name].training, outer.validation).size
            assert not np.intersect1d(splits.by_name[name].validation, outer.validation).size
    table = pd.read_parquet(found.table("nested"))
    assert table["status"].tolist() == ["finished", "finished"]
    # Explored, refined and confirmed trials, each once, and the winner's own.
    assert (table["trials"] >= 2 + 1 + 2 + 1).all()
    assert "Outer folds" in found.report.read_text(encoding="utf-8")

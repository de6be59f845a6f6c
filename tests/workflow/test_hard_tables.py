"""Data that leave a measure undefined or a test set tiny end in a report that says so."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from workspaces import Workspace


def write_rare(file: Path, positives: int, step: int) -> None:
    """Write 100 samples of which every `step`-th is positive, up to a number."""
    numbers = random.Random(2)
    codes = [int(i % step == 0 and i // step < positives) for i in range(100)]
    rows = [f"{numbers.gauss(0.5 * code, 1):.4f},{code}" for code in codes]
    file.write_text("\n".join(["a,y", *rows]) + "\n")


def study(data: dict[str, Any], kind: str, measure: str, **resampling: Any) -> dict[str, Any]:
    return {
        "study": "hard",
        "data": data,
        "problem": {"type": kind, "measure": measure},
        "model": {"mlp": {}},
        "search": {"space": {"mlp.units": [4, 16]}},
        "training": {"epochs": 2},
        "resampling": resampling,
    }


def page_and_card(workspace: Workspace) -> tuple[str, dict[str, Any]]:
    results = workspace.folder / "results" / "hard"
    card: dict[str, Any] = json.loads((results / "final" / "card.json").read_text())
    return (results / "report.html").read_text(), card


def test_splits_without_a_class_are_named_before_training_and_in_the_report(
    tmp_path: Path,
) -> None:
    write_rare(tmp_path / "rare.csv", positives=3, step=1)
    workspace = Workspace(tmp_path)
    data = {"source": "csv", "path": "rare.csv", "targets": ["y"], "test_fraction": 0}
    said = workspace.snakemake(study(data, "binary", "roc_auc", method="kfold", folds=5)).stderr
    assert "[gridfold] roc_auc is not defined on r0f" in said
    page, card = page_and_card(workspace)
    assert "ROC AUC is not defined on r0f" in page
    assert card["cross_validation"]["n_splits"] < 5


def test_a_measure_that_no_split_defines_ends_the_run_before_training(tmp_path: Path) -> None:
    # Each clinic has patients of one kind only.
    rows = [f"{i % 7},{i % 2},clinic {i % 2}" for i in range(40)]
    (tmp_path / "clinics.csv").write_text("\n".join(["a,y,clinic", *rows]) + "\n")
    workspace = Workspace(tmp_path)
    data = {"source": "csv", "path": "clinics.csv", "targets": ["y"], "groups": "clinic"}
    wanted = study(data | {"test_fraction": 0}, "binary", "roc_auc", method="group", folds=2)
    said = workspace.snakemake(wanted, expect=1).stderr
    assert "roc_auc is not defined on any split: the validation parts have one class only" in said
    assert "Traceback" not in said
    assert not (tmp_path / "results" / "hard" / "runs").exists()


def test_draws_without_positives_are_counted_in_the_report(tmp_path: Path) -> None:
    write_rare(tmp_path / "rare.csv", positives=10, step=10)
    workspace = Workspace(tmp_path)
    data = {"source": "csv", "path": "rare.csv", "targets": ["y"]}
    workspace.snakemake(study(data, "binary", "roc_auc", method="stratified", folds=3))
    page, card = page_and_card(workspace)
    assert card["test"]["undefined_draws"] > 50
    assert card["test"]["low"] < card["test"]["high"]
    assert "in which a class is missing" in page


def test_a_single_test_sample_has_a_score_and_no_interval(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    data = {"source": "diabetes", "test_fraction": 0.002}
    said = workspace.snakemake(study(data, "regression", "mse", method="kfold", folds=3)).stderr
    assert "on 1 sample\n" in said
    page, _ = page_and_card(workspace)
    assert "no confidence interval: one test sample says nothing" in page


def test_folds_of_a_single_value_have_no_r2_and_are_named(tmp_path: Path) -> None:
    """With repeats; the test set has one value, too."""
    numbers = random.Random(3)
    rows = [f"{numbers.gauss(0, 1):.4f},{2.5 if i in (3, 40, 70) else 0}" for i in range(90)]
    (tmp_path / "flat.csv").write_text("\n".join(["a,y", *rows]) + "\n")
    workspace = Workspace(tmp_path)
    data = {"source": "csv", "path": "flat.csv", "targets": ["y"], "test_fraction": 0.1}
    wanted = study(data, "regression", "r2", method="kfold", folds=5, repeats=2)
    said = workspace.snakemake(wanted).stderr
    assert "r2 is not defined on r0f" in said
    assert "which has one value only" in said
    assert "held-out test not defined on 9 samples" in said
    page, card = page_and_card(workspace)
    assert "R² is not defined on r0f" in page
    assert card["cross_validation"]["n_splits"] < 10

"""Measures through the whole workflow: named, edited, ranked by; a positive class, a threshold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from workspaces import Workspace

from gridfold.final.inference import FinalModel
from gridfold.finished.comparison import compare_studies
from gridfold.finished.study import FinishedStudy
from gridfold.store.model_card import ModelCard
from gridfold.store.selection import Selection

COSTS = """
import numpy as np
from prices import PRICE


def missed_cost(targets, predictions):
    wrong = (predictions >= 0.3) != targets
    return np.mean(np.where(targets == 1, PRICE, 1) * wrong)
"""
STUDY: dict[str, Any] = {
    "study": "tumours",
    "data": {"source": "breast_cancer", "normalise": "standard", "test_fraction": 0.3},
    "problem": {"type": "binary", "positive": "malignant"},
    "model": {"mlp": {"units": 4}},
    "training": {"epochs": 4, "learning_rate": 0.01},
    "search": {"space": {"mlp.units": [2, 8]}},
    "resampling": {"method": "stratified", "folds": 2},
}
RANKED = STUDY | {
    "problem": STUDY["problem"]
    | {"measure": "missed_cost", "measures": ["average_precision", "costs.py:missed_cost"]}
    | {"threshold": 0.3}
}
RAISED = STUDY | {"problem": STUDY["problem"] | {"threshold": 0.6}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, int]]:
    """A study that was ranked by accuracy, then by a measure of its own; its first checkpoints."""
    workspace = Workspace(tmp_path_factory.mktemp("tumours"))
    (workspace.folder / "costs.py").write_text(COSTS)
    (workspace.folder / "prices.py").write_text("PRICE = 20\n")
    workspace.snakemake(STUDY, "--", "results/tumours/tables/best.json")
    assert "missed_cost" not in workspace.table("tumours")
    before = checkpoints(workspace)
    workspace.snakemake(RANKED)
    return workspace, before


def checkpoints(workspace: Workspace) -> dict[str, int]:
    runs = workspace.folder / "results/tumours/runs"
    return {str(f.relative_to(runs)): f.stat().st_ino for f in runs.glob("*/r*/checkpoint-*")}


def test_naming_measures_and_a_threshold_trains_nothing(
    finished: tuple[Workspace, dict[str, int]],
) -> None:
    workspace, before = finished
    assert checkpoints(workspace) == before
    assert len(before) == 4
    table = workspace.table("tumours")
    assert {"average_precision", "missed_cost"} <= set(table.columns)
    assert "cohen_kappa" not in table


def test_configurations_are_ranked_by_it_where_lower_is_better(
    finished: tuple[Workspace, dict[str, int]],
) -> None:
    folder = finished[0].folder / "results/tumours"
    best = Selection.read(folder / "tables/best.json")
    means = finished[0].table("tumours").groupby("config_id")["missed_cost"].mean()
    assert (best.measure, best.config_id) == ("missed_cost", means.idxmin())
    assert best.mean == pytest.approx(means.min())
    report = (folder / "report.html").read_text()
    assert "missed cost" in report
    assert "lower is better" in report
    comparison = json.loads((folder / "tables/comparison.json").read_text())
    assert comparison["selection"]["obstacle"] == ""


def test_the_test_score_has_an_interval_by_every_measure_that_is_named(
    finished: tuple[Workspace, dict[str, int]],
) -> None:
    final = finished[0].folder / "results/tumours/final"
    test = ModelCard.read(final / "card.json").test
    assert test is not None
    known = pd.read_parquet(final / "test_predictions.parquet")
    targets = np.load(finished[0].folder / "results/tumours/data/targets.npy")[known["sample"]]
    chances = np.stack(known["prediction"].to_list())[:, 0]
    wrong = (chances >= 0.3) != targets
    assert test.score == pytest.approx(np.mean(np.where(targets == 1, 20, 1) * wrong))
    assert test.low <= test.score <= test.high
    assert list(test.further) == ["average_precision"]
    further = test.further["average_precision"]
    assert further.low < further.score < further.high
    card = (final / "card.md").read_text()
    assert "| held-out test set | average_precision |" in card


def test_everything_follows_the_positive_class(
    finished: tuple[Workspace, dict[str, int]],
) -> None:
    folder = finished[0].folder / "results/tumours"
    card = ModelCard.read(folder / "final/card.json")
    assert card.data.classes == ["benign", "malignant"]
    assert card.answers == "the probability of the class malignant"
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    rows = folder / "rows.npy"
    np.save(rows, data.data[:50])
    predicted = FinalModel.load(folder).predict(rows)
    assert list(predicted) == ["prediction", "p(benign)", "p(malignant)"]
    sick = data.target[:50] == 0
    assert (predicted["prediction"] == "malignant")[sick].mean() > 0.7
    table = finished[0].table("tumours")
    assert (table["average_precision"] > 0.5).all()


def agrees(folder: Path, threshold: float) -> pd.DataFrame:
    """Compare scores, classes and predictions with those of labels; return the table of trials."""
    targets = np.load(folder / "data/targets.npy")
    trials = pd.read_parquet(folder / "tables/trials.parquet")
    shards = (pd.read_parquet(f) for f in folder.glob("shards/*.predictions.parquet"))
    predicted = pd.concat(shards).groupby(["config_id", "split"])
    for _, trial in trials.iterrows():
        rows = predicted.get_group((trial["config_id"], trial["split"]))
        labels, truth = chances_of(rows) >= threshold, targets[rows["sample"]]
        assert trial["accuracy"] == pytest.approx(metrics.accuracy_score(truth, labels))
        assert trial["f1"] == pytest.approx(metrics.f1_score(truth, labels))
        balanced = metrics.balanced_accuracy_score(truth, labels)
        assert trial["balanced_accuracy"] == pytest.approx(balanced)

    classes = pd.read_csv(folder / "tables/classes.csv").set_index(["part", "class"])
    mistakes = pd.read_csv(folder / "tables/misclassified.csv")
    for part, file in (
        ("out of fold", "tables/best_predictions.parquet"),
        ("held-out test set", "final/test_predictions.parquet"),
    ):
        rows = pd.read_parquet(folder / file)
        labels, truth = chances_of(rows) >= threshold, targets[rows["sample"]]
        found = classes.loc[part, "malignant"]
        expected = metrics.precision_recall_fscore_support(truth, labels, average="binary")
        np.testing.assert_allclose(found[["precision", "recall", "f1"]].astype(float), expected[:3])
        wrong = rows["sample"][labels != truth]
        assert sorted(mistakes.loc[mistakes["part"] == part, "sample"]) == sorted(wrong)
        words = json.loads((folder / "figures/errors.json").read_text())
        assert f"{len(rows) - len(wrong)} of {len(rows)} right" in words["alt"]
        assert f"predicted as malignant from a probability of {threshold} on" in words["caption"]

    card = ModelCard.read(folder / "final/card.json")
    assert card.test is not None
    assert card.test.scores["accuracy"] == pytest.approx(metrics.accuracy_score(truth, labels))
    model = FinalModel.load(folder)
    np.save(folder / "rows.npy", np.load(folder / "data/features.npy"))
    answer = model.predict(folder / "rows.npy")
    assert ((answer["prediction"] == "malignant") == (answer["p(malignant)"] >= threshold)).all()
    assert answer["p(malignant)"].between(0.3, 0.6).any(), "both thresholds would be the same"
    return trials


def chances_of(rows: pd.DataFrame) -> Any:
    return np.stack(rows["prediction"].to_list())[:, 0]


def test_everything_is_judged_at_the_threshold(finished: tuple[Workspace, dict[str, int]]) -> None:
    folder = finished[0].folder / "results/tumours"
    agrees(folder, 0.3)
    assert "probability of 0.3 on" in (folder / "report.html").read_text()


def test_an_edited_module_of_it_scores_anew_and_trains_nothing(
    finished: tuple[Workspace, dict[str, int]],
) -> None:
    workspace, before = finished
    scores = workspace.table("tumours")["missed_cost"]
    prices = workspace.folder / "prices.py"
    prices.write_text("PRICE = 20  # As agreed.\n")
    assert workspace.planned_jobs(RANKED) == {}
    prices.write_text("PRICE = 1\n")
    said = workspace.snakemake(RANKED, "--", "results/tumours/tables/best.json").stderr
    assert "4 of 4 trials done before" in said
    assert checkpoints(workspace) == before
    again = workspace.table("tumours")
    np.testing.assert_allclose(again["missed_cost"], 1 - again["accuracy"])
    assert (again["missed_cost"] < scores).all()


def test_a_later_threshold_gives_new_scores_and_trains_nothing(
    finished: tuple[Workspace, dict[str, int]],
) -> None:
    workspace, before = finished
    folder = workspace.folder / "results/tumours"
    first = workspace.table("tumours")
    workspace.snakemake(RAISED)
    assert checkpoints(workspace) == before
    raised = agrees(folder, 0.6)
    assert (raised["accuracy"] != first["accuracy"]).any()
    for same in ("roc_auc", "log_loss"):
        np.testing.assert_array_equal(raised[same], first[same])
    page = (folder / "report.html").read_text()
    assert "Epochs that were trained at another threshold have no accuracy (threshold 0.6)." in page
    assert pd.read_parquet(folder / "tables/epochs.parquet")["val_metric"].isna().all()
    assert "probability of 0.6 on" in page
    assert "probability of 0.3 on" not in page
    assert workspace.planned_jobs(RAISED) == {}
    # Scored once more, a study has the test score of its card.
    other = shutil.copytree(folder, folder.with_name("other"))
    (found,) = compare_studies([FinishedStudy.read(folder), FinishedStudy.read(other)])
    assert found.obstacles == []
    assert found.test is not None
    assert found.test.value == 0


def test_a_wrong_measure_is_told_with_file_and_remedy_and_keeps_what_was_trained(
    tmp_path: Path,
) -> None:
    workspace = Workspace(tmp_path)
    (tmp_path / "costs.py").write_text("def missed_cost(t, p):\n    return (t - p) ** 2\n")
    one = RANKED | {"search": {}, "execution": {"retries": 0}}
    answer = workspace.snakemake(one, expect=1)
    said = answer.stdout + answer.stderr
    assert "costs.py:missed_cost has returned an array of shape (" in said
    assert "mend it and run again: trained epochs are kept" in said
    before = checkpoints(workspace)
    (tmp_path / "costs.py").write_text("def missed_cost(t, p):\n    return ((t - p) ** 2).mean()\n")
    workspace.snakemake(one, "--", "results/tumours/tables/best.json")
    after = checkpoints(workspace)
    # The one before the last is there until a trial is finished.
    assert after.items() < before.items()
    assert len(after) == 2

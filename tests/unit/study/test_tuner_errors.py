"""What is refused about a search with Keras Tuner before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from searches import SPACE, tuned
from studies import load

from gridfold.errors import StudyError

HYPERBAND: dict[str, Any] = {"tuner": "hyperband"}

CASES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "argument of another tuner": (
        tuned({"tuner": "random", "max_epochs": 9}),
        "search.strategy",
        "`max_epochs` with `tuner: random`",
        "max_trials",
    ),
    "no such argument": (
        tuned({"tuner": "bayesian", "gamma": 1.0}),
        "search.strategy.gamma",
        "unknown key",
        "beta",
    ),
    "no such tuner": (
        tuned({"tuner": "sklearn"}),
        "search.strategy.tuner",
        '"sklearn"',
        "hyperband",
    ),
    "no tuner": (tuned({}), "search.strategy.tuner", "missing", "bayesian"),
    "max_epochs below 2": (
        tuned({**HYPERBAND, "max_epochs": 1}),
        "search.strategy.max_epochs",
        "1",
        "at least 2",
    ),
    "one epoch for hyperband": (
        tuned(HYPERBAND, training={"epochs": 1}),
        "search.strategy.max_epochs",
        "`training.epochs: 1`",
        "at least 2",
    ),
    "factor": (tuned({**HYPERBAND, "factor": 1}), "search.strategy.factor", "1", "at least 2"),
    "seed 0": (tuned({"tuner": "random", "seed": 0}), "search.strategy.seed", "0", "above 0"),
    "objective of another problem": (
        tuned({"tuner": "random", "objective": "r2"}),
        "search.strategy.objective",
        '"r2" with `type: multiclass`',
        "accuracy, balanced_accuracy, roc_auc_ovr, f1_macro, log_loss, average_precision_ovr",
    ),
    "objective in a list": (
        tuned({"tuner": "random", "objective": ["val_loss", "val_mae"]}),
        "search.strategy.objective[1]",
        '"val_mae"',
        "val_accuracy",
    ),
    "interval in a grid": (
        tuned({"tuner": "grid"}),
        'search.space["training.learning_rate"].float',
        "a real interval in a grid",
        "linspace",
    ),
    "epochs as an axis of hyperband": (
        tuned({**HYPERBAND, "max_epochs": 4}, {"training.epochs": [1, 2]}),
        'search.space["training.epochs"]',
        "chooses them itself",
        "max_epochs",
    ),
    "several devices": (
        tuned(
            {"tuner": "random"},
            training={"epochs": 2, "distribution": {"backend": "mirrored", "world_size": 2}},
        ),
        "search.strategy",
        "trials on several devices",
        "world_size 1",
    ),
    "new entries of a model without any": (
        tuned({"tuner": "random", "tune_new_entries": True}),
        "search.strategy.tune_new_entries",
        "without `model.python`",
        "leave it out",
    ),
    "nothing to tune": (tuned({"tuner": "random"}, {}), "search.space", "nothing", "one axis"),
    "hyperband in the last stage": (
        tuned(HYPERBAND),
        "search.strategy",
        "the last stage",
        "confirm",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_what_is_allowed(case: str, tmp_path: Path) -> None:
    study, path, found, allowed = CASES[case]
    with pytest.raises(StudyError) as caught:
        load(tmp_path, study)
    problems = [str(problem) for problem in caught.value.problems]
    matching = [text for text in problems if f"{path}: " in text]
    assert matching, problems
    assert any(found in text and allowed in text for text in matching), matching


def test_a_study_that_a_tuner_searches_is_accepted(tmp_path: Path) -> None:
    for tuner in ("random", "bayesian"):
        load(tmp_path, tuned({"tuner": tuner}))
    load(tmp_path, tuned({"tuner": "grid"}, {"mlp.units": [4, 8]}))
    study = tuned({**HYPERBAND, "objective": ["val_loss", "accuracy"]})
    study["search"]["confirm"] = {}
    load(tmp_path, study)


def test_a_bad_combination_is_found_before_the_search(tmp_path: Path) -> None:
    axes = {**SPACE, "mlp.units": [[4, 4], 8], "mlp.layers": [1, 2]}
    with pytest.raises(StudyError, match="contradicts"):
        load(tmp_path, tuned({"tuner": "random"}, axes))

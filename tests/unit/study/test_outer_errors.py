"""Outer folds of what can't be repeated in them are refused, and say what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from studies import load, tiny_study

from gridfold.errors import StudyError

SPACE = {"mlp.units": [4, 8]}


def study(outer: Any, method: str = "kfold", **sections: Any) -> dict[str, Any]:
    return tiny_study(resampling={"method": method, "folds": 2, "outer": outer}, **sections)


TUNER = {"type": "keras_tuner", "tuner": "random", "max_trials": 2}


@pytest.mark.parametrize(
    ("bad", "where", "found"),
    [
        (
            study({}, search={"space": SPACE, "strategy": TUNER}),
            "resampling.outer",
            "outer folds with `search.strategy: keras_tuner`, whose one job searches on the splits",
        ),
        (
            study({}, training={"distribution": {"backend": "horovod", "world_size": 2}}),
            "resampling.outer",
            "outer folds of trials on several devices",
        ),
        (
            study({}, search={"space": {**SPACE, "training.distribution.world_size": [1, 2]}}),
            "resampling.outer",
            "outer folds of trials on several devices",
        ),
        (
            study({"repeats": 2}, "forward"),
            "resampling.outer.repeats",
            "2 with `resampling.method: forward`, which draws nothing",
        ),
        (study({"seed": 1}, "blocked"), "resampling.outer.seed", "1 with"),
        (study({"folds": 1}), "resampling.outer.folds", "1"),
        (
            study({"folds": 100, "repeats": 11}),
            "resampling.outer",
            "11 repeats of 100 outer folds are 1,100 whole searches",
        ),
        (study({"fold": 3}), "resampling.outer.fold", "unknown key"),
    ],
)
def test_outer_folds_that_can_not_be_run_are_refused(
    tmp_path: Path, bad: dict[str, Any], where: str, found: str
) -> None:
    with pytest.raises(StudyError) as refusal:
        load(tmp_path, bad)
    text = str(refusal.value)
    assert f"{where}: {found}" in text
    assert "allowed: " in text


@pytest.mark.parametrize("method", ["kfold", "stratified", "blocked", "forward"])
def test_outer_folds_are_five_unless_the_study_says_more(tmp_path: Path, method: str) -> None:
    found = load(tmp_path, study({}, method)).study.resampling.outer
    assert found is not None
    assert (found.folds, found.repeats, found.seed) == (5, 1, 0)

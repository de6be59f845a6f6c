"""Searches in stages that can't be run are refused, and say what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from studies import load, tiny_study

from gridfold.errors import StudyError
from gridfold.plan.stages import stages_of

SPACE = {"mlp.units": [4, 8]}


def study(search: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return tiny_study(search={"space": SPACE, **search}, **sections)


@pytest.mark.parametrize(
    ("bad", "where", "found"),
    [
        (study({"explore": {"epochs": 9}, "confirm": {}}), "search.explore.epochs", "9"),
        (study({"explore": {"splits": 3}, "confirm": {}}), "search.explore.splits", "3"),
        (
            study({"explore": {"training_fraction": 1.5}, "confirm": {}}),
            "search.explore.training_fraction",
            "1.5",
        ),
        (
            study({"confirm": {}}, resampling={"method": "forward", "folds": 3}),
            "search.confirm.folds",
            "3 with",
        ),
        (
            study({"confirm": {"folds": 3}}, resampling={"method": "forward", "folds": 3}),
            "search.confirm.folds",
            "3 with `resampling.method: forward`, which draws nothing: the search has seen",
        ),
        (
            study(
                {"confirm": {"folds": 4, "repeats": 2}},
                resampling={"method": "forward", "folds": 3},
            ),
            "search.confirm.repeats",
            "2 with",
        ),
        (
            study(
                {"confirm": {"folds": 4, "seed": 1}}, resampling={"method": "forward", "folds": 3}
            ),
            "search.confirm.seed",
            "1 with",
        ),
        (study({"explore": {"epochs": 1}}), "search.explore", "`epochs` in the last stage"),
        (
            study({"refine": {"epochs": 1, "training_fraction": 0.5}}),
            "search.refine",
            "`epochs` and `training_fraction` in the last stage",
        ),
        (study({"refine": {"top": 4, "max_configurations": 3}}), "search.refine.top", "4"),
        (
            study({"explore": {"epochs": 1}, "confirm": {}, "space": {"training.epochs": [1, 2]}}),
            "search.explore.epochs",
            "1 with an axis `training.epochs`",
        ),
        (
            study(
                {"refine": {}}, training={"distribution": {"backend": "horovod", "world_size": 2}}
            ),
            "search.refine",
            "a search in stages of trials on several devices",
        ),
        (study({"confirm": {"folds": 1}}), "search.confirm.folds", "1"),
        (study({"race": {}}), "search.race", "over 2 splits, of which the first two say"),
        (
            study(
                {"race": {}, "strategy": {"type": "hyperband"}},
                resampling={"method": "kfold", "folds": 3},
            ),
            "search.race",
            "with `strategy: hyperband`, which decides by itself what goes on",
        ),
        (
            study(
                {"race": {}, "explore": {"epochs": 1}, "confirm": {}},
                resampling={"method": "kfold", "folds": 3},
            ),
            "search.race",
            "with `search.explore`: the first round of a race is its exploration",
        ),
        (
            study({"race": {}}, resampling={"method": "forward", "folds": 3}),
            "search.race",
            "with `resampling.method: forward`: splits by time are no draws from one whole",
        ),
        (
            study({"race": {}}, training={"distribution": {"backend": "horovod", "world_size": 2}}),
            "search.race",
            "a search in stages of trials on several devices",
        ),
        (study({"race": {"risk": 0.7}}), "search.race.risk", "0.7"),
        (study({"stop": "auto"}), "search.stop", "with `strategy: grid`: a grid has an end"),
        (
            study({"stop": "auto", "strategy": {"type": "hyperband"}}),
            "search.stop",
            "with `strategy: hyperband`: Hyperband has a schedule",
        ),
        (
            study({"stop": "auto", "strategy": {"type": "latin_hypercube", "n": 2}}),
            "search.stop",
            "with `strategy: latin_hypercube`: a part of a Latin hypercube is none",
        ),
        (
            study({"stop": "auto", "strategy": {"type": "keras_tuner", "tuner": "grid"}}),
            "search.stop",
            "with `tuner: grid`: a grid has an end",
        ),
        (
            study(
                {
                    "stop": "auto",
                    "strategy": {"type": "keras_tuner", "tuner": "hyperband"},
                    "confirm": {},
                }
            ),
            "search.stop",
            "with `tuner: hyperband`: Hyperband has a schedule",
        ),
        (
            study({"stop": "auto", "strategy": {"type": "random", "n": 24}}),
            "search.strategy.n",
            "24 with `stop`, which looks at the scores after 20 for the first time",
        ),
        (
            study({"stop": "auto", "strategy": {"type": "keras_tuner", "tuner": "random"}}),
            "search.strategy.max_trials",
            "10 with `stop`",
        ),
        (
            study(
                {
                    "stop": "auto",
                    "strategy": {
                        "type": "keras_tuner",
                        "tuner": "random",
                        "max_trials": 30,
                        "objective": "val_loss",
                    },
                }
            ),
            "search.strategy.objective",
            "val_loss with `stop`, which goes by the study's measure",
        ),
        (
            study(
                {"stop": "auto", "strategy": {"type": "random", "n": 30}},
                resampling={"method": "holdout"},
            ),
            "search.stop",
            "with one split, which does not show how much scores vary",
        ),
        (
            study(
                {
                    "stop": "auto",
                    "strategy": {"type": "random", "n": 30},
                    "explore": {"splits": 1},
                    "confirm": {},
                }
            ),
            "search.stop",
            "with one split",
        ),
        (
            study(
                {"stop": "auto", "race": {}, "strategy": {"type": "random", "n": 30}},
                resampling={"method": "kfold", "folds": 3},
            ),
            "search.stop",
            "with `race`, whose first round tries all configurations",
        ),
        (study({"stop": {"after": 5}}), "search.stop.after", "5"),
        (study({"stop": {"risk": 1}}), "search.stop.risk", "1"),
        (study({"stop": {"patience": 3}}), "search.stop.patience", "unknown key"),
        (study({"stop": "maybe"}), "search.stop", '"maybe"'),
        (
            study(
                {"stop": "auto", "strategy": {"type": "random", "n": 30}},
                training={"distribution": {"backend": "horovod", "world_size": 2}},
            ),
            "search.stop",
            "a search in stages of trials on several devices",
        ),
    ],
)
def test_a_search_that_can_not_be_run_is_refused(
    tmp_path: Path, bad: dict[str, Any], where: str, found: str
) -> None:
    with pytest.raises(StudyError) as refusal:
        load(tmp_path, bad)
    text = str(refusal.value)
    assert f"{where}: {found}" in text
    assert "allowed: " in text


@pytest.mark.parametrize(
    "search",
    [
        {"refine": {}},
        {"explore": {}, "refine": {"rounds": 3}},
        {"explore": {"epochs": 1, "splits": 1, "training_fraction": 0.5}, "confirm": {}},
        {"explore": {"epochs": 1}, "refine": {}},
    ],
)
def test_a_last_stage_in_full_is_enough(tmp_path: Path, search: dict[str, Any]) -> None:
    assert load(tmp_path, study(search)).study.search.is_staged


def test_a_search_that_may_stop_needs_no_more_than_the_word(tmp_path: Path) -> None:
    space = {"training.learning_rate": {"float": {"min": 0.001, "max": 0.1}}}
    wanted = {"space": space, "strategy": {"type": "random", "n": 25}}
    for written in ("auto", {}, {"after": 20}):
        search = load(tmp_path, study({**wanted, "stop": written})).study.search
        assert search.is_staged
        assert search.stop is not None
        assert (search.stop.after, search.stop.gain, search.stop.risk) == (20, 0.5, 0.1)
    assert not load(tmp_path, study({**wanted, "stop": None})).study.search.is_staged


def test_a_race_by_time_is_run_where_it_is_asked_for(tmp_path: Path) -> None:
    asked = study({"race": {"any_splits": True}}, resampling={"method": "forward", "folds": 3})
    loaded = load(tmp_path, asked)
    stages = stages_of(loaded.study, loaded.expansion.configurations)
    assert [stage.name for stage in stages] == ["explore", "race2", "race3"]

"""What requests work out of what they say."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gridfold.problems import USUAL_THRESHOLD
from gridfold.requests import Conditions, Constraint, Objectives, OwnMeasure


def conditions(**changes: Any) -> Conditions:
    usual: dict[str, Any] = {
        "code": "c",
        "versions": {},
        "steps_per_execution": "auto",
        "checkpoint_every": 1,
        "threads": 1,
        "in_memory_mb": 1024,
        "loadable": True,
    }
    return Conditions(**usual | changes)


def test_without_a_threshold_the_usual_one_counts() -> None:
    assert conditions().positive_from == USUAL_THRESHOLD
    assert conditions(threshold=0.3).positive_from == 0.3


def test_own_functions_are_named() -> None:
    assert conditions().own_functions == {}
    own = {"cost": OwnMeasure("costs.py:cost", "ab"), "gain": OwnMeasure("costs.py:gain", "ab")}
    found = conditions(own_measures=own).own_functions
    assert found == {"cost": "costs.py:cost", "gain": "costs.py:gain"}


@pytest.mark.parametrize(
    ("problem", "monitor", "trains"),
    [
        ("binary", "val_accuracy", True),
        ("binary", "val_metric", True),
        ("binary", "f1", True),
        ("binary", "roc_auc", False),
        ("binary", "val_loss", False),
        ("binary", None, False),
        ("multiclass", "val_accuracy", False),
    ],
)
@pytest.mark.parametrize("follows", [None, True])
def test_a_threshold_trains_otherwise_where_it_ends_a_training(
    problem: str, monitor: str | None, trains: bool, follows: bool | None
) -> None:
    stopping = None if monitor is None else {"monitor": monitor, "patience": 2}
    settings = {"training": {"early_stopping": stopping}, "problem": {"type": problem}}
    asked = conditions(threshold=0.3, objective_follows_threshold=follows)
    assert asked.trains_by_threshold(settings) is (trains or bool(follows))


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"at_most": 1000}, "parameters at most 1,000"),
        ({"at_least": 0.25}, "parameters at least 0.25"),
        ({"at_least": 1, "at_most": 2e9}, "parameters at least 1 and at most 2,000,000,000"),
        ({"at_most": 1 / 3}, "parameters at most 0.3333333333"),
    ],
)
def test_a_constraint_is_written_as_people_do(limits: dict[str, float], text: str) -> None:
    assert Constraint("parameters", **limits).text == text


@pytest.mark.parametrize(
    ("limits", "value", "excess"),
    [
        ({"at_most": 10}, 15, 0.5),
        ({"at_most": 10}, 10, 0.0),
        ({"at_most": 10}, 5, -0.5),
        ({"at_least": 10}, 5, 0.5),
        ({"at_least": 10}, 15, -0.5),
        ({"at_most": -10}, -5, 0.5),
        ({"at_most": 0}, 3, 3.0),
        ({"at_least": 0}, 3, -3.0),
        ({"at_least": 4, "at_most": 5}, 6, 0.2),
        ({"at_least": 4, "at_most": 5}, 2, 0.5),
    ],
)
def test_an_excess_is_in_parts_of_the_limit(
    limits: dict[str, float], value: float, excess: float
) -> None:
    assert Constraint("x", **limits).excess(value) == pytest.approx(excess)


def test_what_is_missed_or_not_known_is_listed_once() -> None:
    few, quick = Constraint("parameters", at_most=10), Constraint("seconds_per_sample", at_most=1)
    wanted = Objectives(("accuracy", "parameters"), (few, quick))
    assert wanted.looked_at == ("accuracy", "parameters", "seconds_per_sample")
    assert wanted.missed({"parameters": 10, "seconds_per_sample": 1}) == []
    assert wanted.missed({"parameters": 11, "seconds_per_sample": 1}) == [few]
    assert wanted.missed({"parameters": 10}) == [quick]
    assert wanted.missed({"parameters": math.nan, "seconds_per_sample": 2}) == [few, quick]

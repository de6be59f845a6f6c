"""Learning rates over time, against values worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gridfold.training import optimisers

STEPS = 10


def rates(epochs: list[float], **training: Any) -> list[float]:
    """Return the learning rate at the given epochs, 10 steps each."""
    options = {
        "learning_rate": 0.1,
        "schedule": {"kind": "constant"},
        "warmup_epochs": 0,
    } | training
    schedule = optimisers.learning_rate(options, STEPS)
    if isinstance(schedule, float):
        return [schedule] * len(epochs)
    return [float(schedule(round(epoch * STEPS))) for epoch in epochs]


def test_without_a_schedule_the_rate_stays() -> None:
    assert rates([0, 5, 100]) == [0.1, 0.1, 0.1]


def test_warm_up_rises_linearly_and_then_stays() -> None:
    assert rates([0, 0.5, 1.9, 2, 7], warmup_epochs=2) == pytest.approx(
        [0.1 * 1 / 20, 0.1 * 6 / 20, 0.1, 0.1, 0.1]
    )


def test_cosine_ends_at_its_final_fraction() -> None:
    schedule = {"kind": "cosine", "final_fraction": 0.2, "epochs": 8}
    expected = [0.1 * (0.8 * 0.5 * (1 + math.cos(math.pi * e / 8)) + 0.2) for e in (0, 2, 4, 8)]
    assert rates([0, 2, 4, 8], schedule=schedule) == pytest.approx(expected)


def test_cosine_decays_in_what_the_warm_up_leaves() -> None:
    schedule = {"kind": "cosine", "final_fraction": 0.0, "epochs": 10}
    expected = [0.1, 0.05, 0.0]
    assert rates([2, 6, 10], schedule=schedule, warmup_epochs=2) == pytest.approx(
        expected, abs=1e-8
    )


def test_exponential_multiplies_once_an_epoch() -> None:
    schedule = {"kind": "exponential", "rate": 0.5}
    assert rates([0, 1, 3], schedule=schedule) == pytest.approx([0.1, 0.05, 0.0125])


def test_steps_fall_right_after_their_epochs() -> None:
    schedule = {"kind": "step", "at": [2, 4], "factor": 0.1}
    assert rates([0, 1.9, 2, 3.9, 4, 9], schedule=schedule) == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )


def test_a_warm_up_schedule_survives_saving() -> None:
    import keras

    schedule = optimisers.learning_rate(
        {
            "learning_rate": 0.1,
            "schedule": {"kind": "exponential", "rate": 0.5},
            "warmup_epochs": 1,
        },
        STEPS,
    )
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    for step in (0, 5, 10, 25):
        assert float(loaded(step)) == float(schedule(step))

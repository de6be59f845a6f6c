"""Samples that depend on each other: what is independent, and what that makes of an error."""

from __future__ import annotations

import numpy as np
import pytest

from gridfold.statistics.dependence import (
    Units,
    block_length,
    time_blocks,
    unit_error,
    units_of,
)
from gridfold.statistics.weighted import weighted_score
from gridfold.training.measures import Scorer

NUMBERS = np.random.default_rng(0).normal(size=(60, 1))


def series(memory: float, points: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    noise = random.normal(size=points + 100)
    for place in range(1, len(noise)):
        noise[place] += memory * noise[place - 1]
    return noise[100:]


def test_each_sample_is_its_own_unit_without_groups_and_times() -> None:
    given = Scorer("mse"), np.zeros((60, 1)), NUMBERS
    assert units_of(np.arange(60), None, *given) is None
    found = units_of(np.arange(60) // 4 + 100, None, *given)
    assert found is not None
    assert (found.kind, found.count) == ("groups", 15)


def test_the_error_of_a_mean_by_single_samples_is_the_usual_one() -> None:
    losses = NUMBERS[:, 0] ** 2
    score = weighted_score(Scorer("mse"), np.zeros((60, 1)), NUMBERS)
    error, used = unit_error(score, Units("groups", np.arange(60)))
    assert used == 60
    assert error == pytest.approx(losses.std(ddof=1) / np.sqrt(60))


def test_equal_samples_are_worth_one() -> None:
    groups = np.repeat(np.arange(15), 4)
    many = NUMBERS[:15].repeat(4, axis=0)
    one = weighted_score(Scorer("mse"), np.zeros((15, 1)), NUMBERS[:15])
    all_of_them = weighted_score(Scorer("mse"), np.zeros((60, 1)), many)
    assert unit_error(all_of_them, Units("groups", groups))[0] == pytest.approx(
        unit_error(one, Units("groups", np.arange(15)))[0]
    )


def test_the_length_of_blocks_follows_the_memory_of_a_series() -> None:
    lengths = [
        np.mean([block_length(series(memory, 300, seed)) for seed in range(20)])
        for memory in (0.0, 0.5, 0.9)
    ]
    assert lengths[0] < 5 < lengths[1] < 15 < lengths[2]
    # What the formula gives for an autoregression: (2 g^2 / D)^(1/3) n^(1/3), with
    # g = 2 m / (1 - m)^2 and D = 4/3 ((1 + m) / (1 - m))^2, all times the variance.
    memory, n = 0.5, 100_000
    g, d = 2 * memory / (1 - memory) ** 2, 4 / 3 * ((1 + memory) / (1 - memory)) ** 2
    expected = (2 * g**2 / d * n) ** (1 / 3)
    assert block_length(series(memory, n)) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("points", [1, 2, 3, 5, 40])
def test_any_series_has_blocks(points: int) -> None:
    for errors in (np.zeros(points), np.arange(points, dtype=float)):
        blocks = time_blocks(np.arange(points), errors)
        assert blocks.tolist() == sorted(blocks)
        assert set(blocks) == set(range(blocks.max() + 1))
        assert blocks.max() + 1 <= 10


def test_samples_of_one_time_are_in_one_block() -> None:
    times = np.repeat(np.arange(30), 3)[::-1]
    blocks = time_blocks(times, np.random.default_rng(1).random(90))
    assert all(len(set(blocks[times == time])) == 1 for time in range(30))
    assert blocks[0] == blocks.max()

"""The bootstrap of scores: that of a plain loop over draws, paired or not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridfold.problems import PROBLEM_KINDS, Measure
from gridfold.statistics.bootstrap import percentiles, scores_of_draws, studentised
from gridfold.training.measures import Scorer

MEASURES = [
    name for name in PROBLEM_KINDS["multiclass"].all_measures if Measure.of(name).least_classes <= 4
]


def classes(seed: int, samples: int, rare: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    targets = random.integers(0, 3, samples)
    targets[:rare] = 3
    chances = random.dirichlet(np.ones(4), samples)
    chances[np.arange(samples), targets] += 0.3
    return targets, chances / chances.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("measure", MEASURES)
def test_draws_have_the_scores_that_single_draws_have(measure: str) -> None:
    targets, predictions = classes(0, 30, rare=2)
    draws = np.random.default_rng(1).integers(0, 30, (2, 5, 30))
    found = scores_of_draws(Scorer(measure), targets, predictions)(draws, -1)
    expected = [[Scorer(measure).score(targets[d], predictions[d]) for d in row] for row in draws]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_measure_of_the_users_own_is_called_for_each_draw(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def first_score(targets, chances):\n    return targets[0] / (targets[0] != targets[1])\n"
    )
    targets = np.arange(10)
    score = scores_of_draws(
        Scorer("first_score", f"{tmp_path / 'mine.py'}:first_score"), targets, np.zeros((10, 1))
    )
    draws = np.array([[3, 4, 5], [7, 7, 1], [0, 2, 2]])
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(score(draws, -1), [3, np.nan, 0])


@pytest.mark.parametrize("measure", ["accuracy", "roc_auc", "f1"])
def test_pairs_are_drawn_together(measure: str) -> None:
    targets, one = classes(2, 40)
    other = classes(3, 40)[1]
    ours, theirs = (scores_of_draws(Scorer(measure), targets, each) for each in (one, other))
    found = percentiles(
        lambda own, same, axis: ours(own, axis) - theirs(same, axis), [40, 40], 0.9, paired=True
    )
    random, differences = np.random.default_rng(0), []
    for _ in range(1000):
        d = random.integers(0, 40, 40)
        differences.append(
            Scorer(measure).score(targets[d], one[d]) - Scorer(measure).score(targets[d], other[d])
        )
    expected = np.quantile(differences, [0.05, 0.95])
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-9)
    assert (found.draws, found.undefined) == (1000, 0)


def test_sets_of_their_own_are_drawn_apart() -> None:
    numbers = [np.random.default_rng(seed).normal(size=50) for seed in (0, 1)]

    def difference(own: Any, other: Any, axis: int) -> Any:
        return numbers[0][own].mean(axis) - numbers[1][other].mean(axis)

    apart = percentiles(difference, [50, 50], 0.95)
    variances = sum(values.var() / 50 for values in numbers)
    assert apart.high - apart.low == pytest.approx(2 * 1.96 * np.sqrt(variances), rel=0.1)
    # Of what is the same in both, nothing is left where pairs are drawn.
    numbers[1] = numbers[0] + 1
    together = percentiles(difference, [50, 50], 0.95, paired=True)
    assert (together.low, together.high) == pytest.approx((-1, -1))


def test_more_draws_than_are_held_at_once_are_those_of_one_stream() -> None:
    values = np.random.default_rng(5).normal(size=15_000)
    found = percentiles(lambda draws, axis: values[draws].mean(axis), [len(values)], 0.95)
    random = np.random.default_rng(0)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(1000)]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_what_is_never_defined_has_no_interval() -> None:
    targets = np.zeros(12, int)
    found = percentiles(
        scores_of_draws(Scorer("roc_auc"), targets, np.full((12, 1), 0.5)), [12], 0.95
    )
    assert np.isnan([found.low, found.high]).all()
    assert (found.draws, found.undefined) == (1000, 1000)


def test_what_is_undefined_in_some_draws_is_left_out_and_counted() -> None:
    values = np.array([np.nan, 1.0, 2.0, 3.0])
    found = percentiles(lambda draws, axis: values[draws].max(axis), [4], 0.9)
    random = np.random.default_rng(0)
    drawn = [values[random.integers(0, 4, 4)].max() for _ in range(1000)]
    known = [value for value in drawn if np.isfinite(value)]
    assert (found.draws, found.undefined) == (1000, 1000 - len(known))
    assert 600 < found.undefined < 760
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(known, [0.05, 0.95])))


# -- bootstrap-t ----------------------------------------------------------------------------------


def test_bootstrap_t_is_that_of_a_plain_loop_over_draws() -> None:
    losses = np.random.default_rng(6).gamma(0.5, size=40)
    mean, count = losses.mean(), len(losses)
    random, distances = np.random.default_rng(0), []
    for _ in range(1000):
        drawn = losses[random.integers(0, count, count)]
        error = drawn.std(ddof=1) / math.sqrt(count) / drawn.mean()
        distances.append(math.log(drawn.mean() / mean) / error)
    below, above = np.quantile(distances, [0.05, 0.95])
    error = losses.std(ddof=1) / math.sqrt(count) / mean
    expected = (mean * math.exp(-above * error), mean * math.exp(-below * error))
    assert studentised(losses, 0.9) == pytest.approx(expected)


def test_bootstrap_t_holds_the_mean_of_skewed_losses_more_often_than_percentiles() -> None:
    # Log-normal losses: their mean is known, and large ones are rare.
    random, held, plain, studies = np.random.default_rng(7), 0, 0, 300
    mean = math.exp(1 / 2)
    for _ in range(studies):
        losses = np.exp(random.normal(size=25))
        low, high = studentised(losses, 0.9) or (math.nan, math.nan)
        held += low <= mean <= high
        one = percentiles(lambda draws, axis, v=losses: v[draws].mean(axis), [25], 0.9)
        plain += one.low <= mean <= one.high
    assert plain / studies < 0.84
    assert 0.84 < held / studies < 0.96


@pytest.mark.parametrize(
    "losses", [[0.0, 0.0, 0.0], [2.0, 2.0], [0.1 + 0.2, 0.3, 0.3], [1.5], [math.nan, 1.0]]
)
def test_losses_without_spread_have_no_bootstrap_t(losses: list[float]) -> None:
    assert studentised(np.array(losses), 0.95) is None


def test_no_bootstrap_t_is_wider_than_a_factor_of_twenty_thousand() -> None:
    # Many bootstrap samples have one large loss, or none, and hardly a spread of their own.
    losses = np.array([1.0, 1e-3, 1.0001e-3, 1.0002e-3, 1.0003e-3])
    found = studentised(losses, 0.999)
    assert found is not None
    assert found[1] == pytest.approx(losses.mean() * math.exp(10))
    assert found[0] >= losses.mean() * math.exp(-10) * (1 - 1e-9)


def test_of_three_losses_there_is_a_bootstrap_t_and_of_two_there_is_none() -> None:
    assert studentised(np.array([1.0, 0.5]), 0.95) is None
    found = studentised(np.array([1.0, 0.5, 0.25]), 0.95)
    assert found is not None
    assert found[0] < found[1]


def test_bootstrap_t_keeps_the_unit_of_the_losses() -> None:
    losses = np.random.default_rng(8).exponential(size=30)
    one, thousand = studentised(losses, 0.95), studentised(losses * 1000, 0.95)
    assert one is not None
    assert thousand == pytest.approx((one[0] * 1000, one[1] * 1000))


def test_bootstrap_t_of_more_than_is_held_at_once_is_that_of_one_stream() -> None:
    losses = np.random.default_rng(9).exponential(size=15_000)
    random, distances = np.random.default_rng(0), []
    for _ in range(1000):
        drawn = losses[random.integers(0, 15_000, 15_000)]
        error = drawn.std(ddof=1) / math.sqrt(15_000) / drawn.mean()
        distances.append(math.log(drawn.mean() / losses.mean()) / error)
    below, above = np.quantile(distances, [0.025, 0.975])
    error = losses.std(ddof=1) / math.sqrt(15_000) / losses.mean()
    expected = losses.mean() * np.exp([-above * error, -below * error])
    assert studentised(losses, 0.95) == pytest.approx(tuple(expected))

"""The bootstrap of scores: that of a plain loop over draws, paired or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridfold.problems import PROBLEM_KINDS, Measure
from gridfold.statistics.bootstrap import percentiles, scores_of_draws
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

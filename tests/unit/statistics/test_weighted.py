"""Scores of weighted samples are those of samples that are there so many times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridfold.problems import PROBLEM_KINDS
from gridfold.statistics.weighted import is_fast, weighted_score
from gridfold.training.measures import Scorer

MEASURES = [(kind, name) for kind, of in PROBLEM_KINDS.items() for name in of.all_measures]


def predicted(kind: str, samples: int = 40) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    if kind in ("regression", "multi_output"):
        targets = random.normal(size=(samples, 1 if kind == "regression" else 3)) + 5
        return targets, (targets + random.normal(size=targets.shape)).astype(np.float32)
    if kind == "binary":
        targets = random.integers(0, 2, samples)
        # Few different values, so that there are ties.
        chances = np.round(np.clip(0.3 * targets + random.random(samples), 0, 1), 1)
        return targets, chances[:, np.newaxis]
    targets = np.r_[random.integers(0, 5, samples - 2), 5, 5]
    chances = random.dirichlet(np.ones(6), samples)
    chances[np.arange(samples), targets] += 0.3
    return targets, chances / chances.sum(axis=1, keepdims=True)


def repeated(scorer: Scorer, targets: Any, predictions: Any, weights: Any) -> float:
    taken = np.repeat(np.arange(len(targets)), weights)
    try:
        return scorer.score(targets[taken], predictions[taken])
    except ValueError:
        return float("nan")


@pytest.mark.parametrize(("kind", "measure"), MEASURES)
def test_weights_count_as_repetitions(kind: str, measure: str) -> None:
    targets, predictions = predicted(kind)
    random = np.random.default_rng(1)
    weights = random.multinomial(40, np.full(40, 1 / 40), size=30)
    if kind in ("binary", "multiclass"):
        # Draws that lack classes.
        weights[0], weights[1], weights[2] = 0, targets == 1, targets < 2
        weights[0, 0] = 1
    scorer = Scorer(measure)
    found = weighted_score(scorer, targets, predictions)(weights.astype(float))
    expected = [repeated(scorer, targets, predictions, each) for each in weights]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("kind", "measure"), MEASURES)
def test_without_samples_there_is_no_score(kind: str, measure: str) -> None:
    targets, predictions = predicted(kind)
    nothing = np.zeros((1, len(targets)))
    assert np.isnan(weighted_score(Scorer(measure), targets, predictions)(nothing)).all()


@pytest.mark.parametrize("measure", ["f1", "roc_auc"])
def test_several_classes_may_have_the_measures_of_earlier_versions(measure: str) -> None:
    targets, predictions = predicted("multiclass")
    found = weighted_score(Scorer(measure), targets, predictions)(np.ones((1, 40)))
    assert found[0] == pytest.approx(Scorer(measure).score(targets, predictions))


def test_r2_of_one_value_is_none() -> None:
    targets, predictions = predicted("regression")
    weights = np.zeros((1, 40))
    weights[0, 3] = 5
    assert np.isnan(weighted_score(Scorer("r2"), targets, predictions)(weights)).all()


def test_a_measure_of_the_users_own_is_called(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def gap_error(targets, chances):\n    return abs(targets - chances).mean()\n"
    )
    scorer = Scorer("gap_error", f"{tmp_path / 'mine.py'}:gap_error")
    targets, predictions = predicted("binary")
    weights = np.random.default_rng(2).integers(0, 3, (5, 40))
    found = weighted_score(scorer, targets, predictions)(weights.astype(float))
    gaps = np.abs(targets - predictions[:, 0])
    np.testing.assert_allclose(found, weights @ gaps / weights.sum(axis=1))
    assert not is_fast(scorer)
    assert is_fast(Scorer("roc_auc"))

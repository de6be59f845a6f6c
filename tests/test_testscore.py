"""The score on the test set: its interval is that of a plain bootstrap, however it is reckoned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from gridfold import measures
from gridfold.testscore import test_scores as scores_of_test_set


def problem(kind: str, samples: int = 60) -> tuple[Any, Any]:
    rng = np.random.default_rng(7)
    if kind in ("regression", "multi_output"):
        targets = rng.normal(size=(samples, 1 if kind == "regression" else 3))
        return targets, (targets + rng.normal(size=targets.shape)).astype(np.float32)
    if kind == "binary":
        targets = rng.integers(0, 2, samples)
        # Few different values, so that there are ties.
        return targets, np.round(np.clip(targets * 0.3 + rng.random(samples), 0, 1), 1)[:, None]
    # Some draws miss the last class.
    targets = np.r_[rng.integers(0, 3, samples - 2), 3, 3]
    chances = rng.dirichlet(np.ones(4), samples)
    chances[np.arange(samples), targets] += 0.4
    return targets, chances / chances.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("kind", "measure"),
    [
        *[(kind, m) for kind in ("regression", "multi_output") for m in ("mse", "mae", "rmse")],
        *[(kind, m) for kind in ("binary", "multiclass") for m in ("accuracy", "roc_auc", "f1")],
    ],
)
def test_the_interval_is_that_of_a_bootstrap_that_scores_each_draw(kind: str, measure: str) -> None:
    targets, predictions = problem(kind)

    def score(draw: Any) -> float:
        return measures.score_one(measure, targets[draw], predictions[draw])

    expected = stats.bootstrap(
        (np.arange(len(targets)),),
        score,
        n_resamples=1000,
        confidence_level=0.9,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = scores_of_test_set(kind, targets, predictions, measure, 0.9)
    assert found is not None
    assert (found["low"], found["high"]) == pytest.approx(tuple(expected), rel=1e-12)
    assert found["low"] <= found["score"] <= found["high"]
    assert found["scores"][measure] == found["score"]


def test_without_test_samples_there_is_no_score() -> None:
    targets, predictions = problem("binary")
    assert scores_of_test_set("binary", targets[:0], predictions[:0], "accuracy", 0.95) is None

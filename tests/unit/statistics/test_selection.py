"""The luck of the selection: estimated from predictions, against studies whose truth is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from gridfold.problems import PROBLEM_KINDS
from gridfold.statistics.selection import SelectionEstimate, estimate_selection
from gridfold.training.measures import Scorer

Floats = npt.NDArray[np.float64]
MEASURES = [(p, m) for p in ("binary", "regression") for m in PROBLEM_KINDS[p].measures]


def estimate(
    folder: Path,
    targets: Floats,
    predictions: list[Floats],
    measure: str,
    *,
    folds: int = 5,
    groups: Floats | None = None,
    candidates: list[str] | None = None,
    shift: float = 0.0,
    function: str | None = None,
) -> SelectionEstimate:
    """Return the estimate of a study whose configurations predict `predictions`, best first."""
    parts = np.array_split(np.arange(len(targets)), folds)
    tables = [
        pd.DataFrame(
            {
                "config_id": str(position),
                "split": f"r0f{fold}",
                "sample": part,
                "prediction": list(np.asarray(each[part], np.float32)),
            }
        )
        for position, each in enumerate(predictions)
        for fold, part in enumerate(parts)
    ]
    file = folder / "predictions.parquet"
    pd.concat(tables).to_parquet(file)
    first, scorer = np.asarray(predictions[0], np.float32), Scorer(measure, function)
    expected = {
        f"r0f{fold}": scorer.score(targets[part], first[part]) + shift
        for fold, part in enumerate(parts)
    }
    return estimate_selection(
        scorer,
        float(np.mean(list(expected.values()))),
        targets,
        np.arange(len(targets)) if groups is None else groups,
        [file],
        candidates or [str(i) for i in range(len(predictions))],
        expected,
        0.95,
    )


def guesses(random: np.random.Generator, count: int, samples: int, skill: float = 0.5) -> Any:
    """Return binary targets and the predictions of equally able configurations, best first."""
    targets = random.integers(0, 2, samples)
    right = random.random((count, samples)) < skill
    right = right[np.argsort(-right.mean(axis=1), kind="stable")]
    return targets, [np.where(r, targets, 1 - targets)[:, None].astype(float) for r in right]


def test_the_best_of_many_guessers_is_found_to_guess(tmp_path: Path) -> None:
    random, apparent, corrected = np.random.default_rng(0), [], []
    for _ in range(30):
        found = estimate(tmp_path, *guesses(random, 20, 100), "accuracy")
        apparent.append(found.corrected + found.optimism)
        corrected.append(found.corrected)
    # Twenty guessers on 100 samples: the best is right in 0.5 + 1.87 x 0.05 of the cases.
    assert np.mean(apparent) == pytest.approx(0.59, abs=0.015)
    assert np.mean(corrected) == pytest.approx(0.5, abs=0.015)


def test_a_clear_winner_needs_no_correction(tmp_path: Path) -> None:
    targets, poor = guesses(np.random.default_rng(1), 5, 200)
    found = estimate(tmp_path, targets, [targets[:, None] * 1.0, *poor], "accuracy")
    assert (found.corrected, found.optimism) == (1, 0)
    assert found.chosen is not None
    assert found.chosen["0"] == 1


def test_the_interval_holds_the_true_skill(tmp_path: Path) -> None:
    random, hits = np.random.default_rng(2), 0
    for _ in range(40):
        found = estimate(tmp_path, *guesses(random, 10, 100, skill=0.7), "accuracy")
        hits += found.low <= 0.7 <= found.high
    # Tsamardinos et al. (2018) find these intervals conservative.
    assert hits >= 37


@pytest.mark.parametrize(("problem", "measure"), MEASURES)
def test_every_measure_can_be_corrected(problem: str, measure: str, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    if problem == "binary":
        targets: Floats = random.integers(0, 2, 80)
        predictions = [
            np.clip(targets + random.normal(0, 0.6, 80), 0.01, 0.99)[:, None] for _ in range(3)
        ]
    else:
        targets = random.normal(size=(80, 2))
        predictions = [targets + random.normal(0, 0.6, (80, 2)) for _ in range(3)]
    best = {m: (min if m in ("mse", "rmse", "mae", "log_loss") else max) for _, m in MEASURES}
    score = {i: Scorer(measure).score(targets, p) for i, p in enumerate(predictions)}
    winner = best[measure](score, key=lambda i: score[i])
    ordered = [predictions[winner], *(p for i, p in enumerate(predictions) if i != winner)]
    found = estimate(tmp_path, targets, ordered, measure)
    assert found.obstacle == ""
    # Optimism makes a loss too small and a score too large.
    sign = 1 if best[measure] is min else -1
    assert sign * (found.corrected - score[winner]) > -0.02
    assert found.low < found.corrected < found.high


def test_grouped_samples_are_drawn_by_groups(tmp_path: Path) -> None:
    # Ten groups whose samples are all alike: ten samples, not a hundred.
    targets, predictions = guesses(np.random.default_rng(4), 6, 10, skill=0.7)
    many = np.repeat(targets, 10), [np.repeat(p, 10, axis=0) for p in predictions]
    groups = np.repeat(np.arange(10), 10)
    grouped = estimate(tmp_path, *many, "accuracy", groups=groups)
    alone = estimate(tmp_path, targets, predictions, "accuracy", folds=5)
    assert grouped.samples == 10
    assert grouped.optimism == pytest.approx(alone.optimism)
    assert grouped.high - grouped.low > 0.2


def test_one_configuration_was_not_selected(tmp_path: Path) -> None:
    found = estimate(tmp_path, *guesses(np.random.default_rng(5), 1, 50), "accuracy")
    assert math.isnan(found.corrected)
    assert "nothing was selected" in found.obstacle


def test_predictions_on_another_scale_are_noticed(tmp_path: Path) -> None:
    found = estimate(tmp_path, *guesses(np.random.default_rng(6), 3, 50), "accuracy", shift=0.1)
    assert math.isnan(found.corrected)
    assert "another scale" in found.obstacle


def test_the_same_predictions_give_the_same_estimate(tmp_path: Path) -> None:
    study = guesses(np.random.default_rng(7), 5, 60)
    assert estimate(tmp_path, *study, "mse") == estimate(tmp_path, *study, "mse")


def test_a_measure_of_the_users_own_is_called_for_each_draw(tmp_path: Path) -> None:
    # One draw in a few has no sample above the limit, and there is no score then.
    (tmp_path / "mine.py").write_text(
        "def top_score(targets, chances):\n"
        "    return (targets[chances > 0.97] == 1).mean() if (chances > 0.97).any() else 1 / 0\n"
    )
    reference = f"{tmp_path / 'mine.py'}:top_score"
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, 60)
    predictions = []
    for noise in (0.5, 0.6, 0.7):
        chances = np.clip(targets * (1 - noise) + noise * random.random(60), 0, 0.95)
        chances[::6] = 0.98
        predictions.append(chances[:, None])
    found = estimate(tmp_path, targets, predictions, "top_score", function=reference)
    assert found.obstacle == ""
    assert 0 < found.resamples <= 200
    assert found.low <= found.corrected <= found.high

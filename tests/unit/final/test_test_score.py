"""The score on the test set: its interval is that of a plain bootstrap, however it is reckoned."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gridfold.final.test_score import test_scores as scored_with
from gridfold.problems import Measure
from gridfold.training import measures

scores_of_test_set = partial(
    scored_with, own={}, further=(), threshold=0.5, groups=None, times=None
)


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
        ("multi_output", "rmse"),
        *[("binary", m) for m in ("roc_auc", "f1", "average_precision")],
        *[("multiclass", m) for m in ("roc_auc_ovr", "f1_macro", "brier_score")],
        *[("regression", m) for m in ("mape", "r2", "median_absolute_error")],
    ],
)
def test_the_interval_is_that_of_a_bootstrap_that_scores_each_draw(kind: str, measure: str) -> None:
    targets, predictions = problem(kind)

    def score(draw: Any) -> float:
        return measures.Scorer(measure).score(targets[draw], predictions[draw])

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
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-12)
    assert (found.method, found.undefined_draws, found.obstacle) == ("bootstrap", 0, "")
    assert found.low <= found.score <= found.high
    assert found.scores[measure] == found.score


def test_without_test_samples_there_is_no_score() -> None:
    targets, predictions = problem("binary")
    assert scores_of_test_set("binary", targets[:0], predictions[:0], "accuracy", 0.95) is None


def test_all_right_is_not_certain() -> None:
    targets = np.arange(36) % 3
    found = scores_of_test_set("multiclass", targets, np.eye(3)[targets], "accuracy", 0.95)
    assert found is not None
    # Wilson's lower end by hand: n / (n + z^2).
    assert (found.score, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(36 / (36 + stats.norm.ppf(0.975) ** 2))
    assert found.method == "wilson"


def test_shares_of_a_class_have_the_interval_of_wilson_for_its_samples() -> None:
    targets = np.r_[np.zeros(30, int), np.ones(10, int)]
    predictions = np.r_[np.full(27, 0.2), np.full(3, 0.8), np.full(6, 0.7), np.full(4, 0.1)]
    for measure, right, samples in (("sensitivity", 6, 10), ("specificity", 27, 30)):
        found = scores_of_test_set("binary", targets, predictions[:, None], measure, 0.9)
        assert found is not None
        expected = stats.binomtest(right, samples).proportion_ci(0.9, method="wilson")
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
        assert found.low < found.score == right / samples < found.high
        assert found.method == "wilson"


@pytest.mark.parametrize(("right", "samples"), [(0, 5), (3, 10), (171, 180), (1, 1), (0, 1)])
def test_accuracy_has_the_interval_of_wilson(right: int, samples: int) -> None:
    targets = np.zeros(samples, int)
    predictions = np.where(np.arange(samples) < right, 0.1, 0.9)[:, None]
    found = scores_of_test_set("binary", targets, predictions, "accuracy", 0.9)
    assert found is not None
    z, p = stats.norm.ppf(0.95), right / samples
    middle = (p + z * z / (2 * samples)) / (1 + z * z / samples)
    half = z / (1 + z * z / samples) * np.sqrt(p * (1 - p) / samples + (z / samples / 2) ** 2)
    assert found.low == pytest.approx(max(0, middle - half), abs=1e-12)
    assert found.high == pytest.approx(min(1, middle + half), abs=1e-12)
    assert found.low < found.high


def test_wilson_covers_what_it_promises_where_the_bootstrap_does_not() -> None:
    random, hits, plain = np.random.default_rng(0), 0, 0
    targets = np.zeros(40, int)
    for _ in range(300):
        wrong = random.random(40) < 0.04
        found = scores_of_test_set(
            "binary", targets, wrong[:, None] * 0.98 + 0.01, "accuracy", 0.95
        )
        assert found is not None
        hits += found.low <= 0.96 <= found.high
        draws = random.binomial(40, 1 - wrong.mean(), 1000) / 40
        plain += np.quantile(draws, 0.025) <= 0.96 <= np.quantile(draws, 0.975)
    assert hits / 300 > 0.92
    assert plain / 300 < 0.85


@pytest.mark.parametrize("measure", ["roc_auc", "balanced_accuracy", "f1"])
def test_no_interval_has_no_width(measure: str) -> None:
    targets = np.r_[np.zeros(30, int), np.ones(6, int)]
    found = scores_of_test_set("binary", targets, targets[:, None] * 0.8 + 0.1, measure, 0.95)
    assert found is not None
    # No more is known than of the six of the rarer class.
    assert found.low == pytest.approx(6 / (6 + stats.norm.ppf(0.975) ** 2))
    assert (found.score, found.high, found.method) == (1.0, 1.0, "wilson")


def test_draws_without_a_class_are_left_out_and_counted() -> None:
    random = np.random.default_rng(1)
    targets = np.r_[np.zeros(38, int), np.ones(2, int)]
    found = scores_of_test_set("binary", targets, random.random((40, 1)), "roc_auc", 0.95)
    assert found is not None
    # A draw misses both positives with a probability of (38 / 40) ** 40.
    assert found.undefined_draws == pytest.approx(1000 * (38 / 40) ** 40, abs=45)
    assert 0 <= found.low < found.high <= 1


@pytest.mark.parametrize(
    ("kind", "targets", "measure", "said"),
    [
        ("regression", [[1.0]], "mse", "one test sample says nothing"),
        ("regression", [[1.0]], "r2", "r2 is not defined on these test samples"),
        ("binary", [1, 1, 1], "roc_auc", "roc_auc is not defined on these test samples"),
        ("regression", [[1.0], [1.0]], "mae", "all test samples have the same loss"),
        ("regression", [[1.0], [2.0]], "mae", "two test samples say too little"),
        ("regression", [[1.0], [2.0]], "rmse", "two test samples say too little"),
        ("regression", [[1.0], [1.0]], "rmse", "all test samples have the same loss"),
        ("regression", [[1.0], [1.0]], "mape", "all bootstrap samples have the same score"),
    ],
)
def test_where_there_is_no_interval_the_reason_is_given(
    kind: str, targets: list[Any], measure: str, said: str
) -> None:
    predictions = np.full((len(targets), 1), 0.5)
    found = scores_of_test_set(kind, np.array(targets), predictions, measure, 0.95)
    assert found is not None
    assert np.isnan([found.low, found.high]).all()
    assert found.obstacle.startswith(said)


def test_every_measure_that_a_study_names_has_an_interval(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def gap_error(t, p):\n    return abs(t - p).mean()\n")
    targets, predictions = problem("binary")
    found = scored_with(
        "binary",
        targets,
        predictions,
        "roc_auc",
        0.9,
        own={"gap_error": f"{tmp_path / 'mine.py'}:gap_error"},
        further=["sensitivity", "roc_auc", "gap_error"],
        threshold=0.5,
        groups=np.arange(60),
        times=None,
    )
    assert found is not None
    assert list(found.further) == ["sensitivity", "gap_error"]
    assert found.further["sensitivity"].method == "wilson"
    gap = found.further["gap_error"]
    assert gap.score == pytest.approx(np.abs(targets - predictions[:, 0]).mean())
    assert gap.low < gap.score < gap.high
    assert (gap.method, gap.undefined_draws, gap.obstacle) == ("bootstrap", 0, "")
    assert found.function is None


@pytest.mark.parametrize("measure", ["mse", "rmse", "mae"])
def test_losses_have_an_interval_that_is_longer_towards_more_loss(measure: str) -> None:
    random = np.random.default_rng(2)
    errors = random.standard_t(3, 80)[:, None].astype(np.float32)
    found = scores_of_test_set("regression", np.zeros((80, 1)), errors, measure, 0.95)
    assert found is not None
    assert found.method == "bootstrap-t"
    assert 0 < found.low < found.score < found.high
    assert found.high - found.score > found.score - found.low
    # In other units the same interval.
    scaled = scores_of_test_set("regression", np.zeros((80, 1)), 1000 * errors, measure, 0.95)
    factor = 1e6 if measure == "mse" else 1e3
    assert scaled is not None
    assert (scaled.low, scaled.high) == pytest.approx((factor * found.low, factor * found.high))


def test_heavy_tailed_losses_are_covered_more_often_than_by_percentiles() -> None:
    random, hits, plain = np.random.default_rng(3), 0, 0
    for _ in range(150):
        errors = random.standard_t(4, (40, 1))
        found = scores_of_test_set("regression", np.zeros((40, 1)), errors, "mse", 0.95)
        assert found is not None
        hits += found.low <= 2 <= found.high
        draws = np.square(errors[:, 0])[random.integers(0, 40, (500, 40))].mean(axis=1)
        plain += np.quantile(draws, 0.025) <= 2 <= np.quantile(draws, 0.975)
    assert plain / 150 < 0.84
    assert hits / 150 > plain / 150 + 0.04


def grouped_answers(random: np.random.Generator, groups: int, size: int) -> tuple[Any, Any]:
    """Return answers of which those of a group are right together, 0.75 of them on average."""
    skill = random.beta(1.5, 0.5, groups)
    right = random.random((groups, size)) < skill[:, None]
    return np.repeat(np.arange(groups), size), np.where(right, 0.9, 0.1).reshape(-1, 1)


def test_samples_of_groups_are_worth_as_many_as_groups_tell() -> None:
    random, hits, plain = np.random.default_rng(4), 0, 0
    for _ in range(200):
        groups, chances = grouped_answers(random, 12, 20)
        targets = np.ones(240, int)
        given = "binary", targets, chances, "accuracy", 0.95
        found = scores_of_test_set(*given, groups=groups)
        alone = scores_of_test_set(*given)
        assert found is not None
        assert alone is not None
        assert (found.method, found.units, alone.method, alone.units) == ("groups", 12, "wilson", 0)
        hits += found.low <= 0.75 <= found.high
        plain += alone.low <= 0.75 <= alone.high
    assert plain / 200 < 0.65
    assert hits / 200 > 0.9


@pytest.mark.parametrize("measure", ["accuracy", "roc_auc", "f1", "log_loss", "cohen_kappa"])
def test_every_measure_has_an_interval_by_groups(measure: str) -> None:
    targets, predictions = problem("binary")
    found = scores_of_test_set(
        "binary", targets, predictions, measure, 0.9, groups=np.arange(60) // 5
    )
    assert found is not None
    assert (found.method, found.units) == ("groups", 12)
    low, high = Measure.of(measure).range
    assert low <= found.low < found.score < found.high <= high


def test_one_group_says_nothing() -> None:
    targets, predictions = problem("binary")
    found = scores_of_test_set(
        "binary", targets, predictions, "accuracy", 0.9, groups=np.zeros(60, int)
    )
    assert found is not None
    assert np.isnan(found.low)
    assert found.obstacle == "the test samples are of fewer than two groups"


def test_samples_of_groups_that_are_all_right_are_not_certain() -> None:
    found = scores_of_test_set(
        "binary", np.ones(60, int), np.full((60, 1), 0.9), "accuracy", 0.95,
        groups=np.arange(60) // 5,
    )  # fmt: skip
    assert found is not None
    quantile = stats.t.ppf(0.975, 11)
    # As many samples as groups, and no more.
    assert found.low == pytest.approx(12 / (12 + quantile**2))
    assert found.high == 1


def wandering(random: np.random.Generator, points: int, memory: float) -> Any:
    """Return errors of which each remembers the one before."""
    noise = random.normal(size=points + 50)
    for place in range(1, len(noise)):
        noise[place] += memory * noise[place - 1]
    return noise[50:, None] * np.sqrt(1 - memory**2)


def test_samples_in_the_order_of_time_are_worth_as_many_as_blocks_tell() -> None:
    random, hits, plain, blocks = np.random.default_rng(5), 0, 0, []
    for _ in range(150):
        errors = 1 + 0.5 * wandering(random, 150, 0.8)
        given = "regression", np.zeros((150, 1)), errors, "mae", 0.95
        found = scores_of_test_set(*given, times=np.arange(150))
        alone = scores_of_test_set(*given)
        assert found is not None
        assert alone is not None
        assert found.method == "blocks"
        blocks.append(found.units)
        # The mean of |1 + N(0, 0.5^2)|.
        truth = stats.foldnorm.mean(2, scale=0.5)
        hits += found.low <= truth <= found.high
        plain += alone.low <= truth <= alone.high
    assert plain / 150 < 0.7
    assert hits / 150 > 0.85
    assert 2 <= min(blocks) <= max(blocks) <= 10

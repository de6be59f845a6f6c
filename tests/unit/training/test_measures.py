"""Measures: the numbers that rank configurations, checked by hand and against definitions."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets, linear_model, metrics

from gridfold.problems import MEASURES, PROBLEM_KINDS, Measure
from gridfold.training.measures import Scorer, classes_of, score

# Two of three right; sorted by probability the pairs (0, 2), (1, 2) are right, one of two.
BINARY_TARGETS = np.array([1, 0, 1, 0])
BINARY = np.array([[0.9], [0.2], [0.4], [0.6]])


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1)


@pytest.mark.parametrize("problem", PROBLEM_KINDS)
def test_every_measure_of_a_problem_is_scored(problem: str) -> None:
    targets = np.array([1, 2, 1, 2]) % 2
    prediction = column(0.7, 0.1, 0.4, 0.2)
    if problem == "multiclass":
        prediction = np.hstack([1 - prediction, prediction, np.zeros((4, 4))])
    if problem in ("regression", "multi_output"):
        targets = targets.reshape(-1, 1) + 1
    scores = score(problem, targets, prediction)
    assert tuple(scores) == PROBLEM_KINDS[problem].all_measures
    for name, value in scores.items():
        low, high = Measure.of(name).range
        assert low <= value <= high, name


# -- numbers --------------------------------------------------------------------------------------


def test_regression_by_hand() -> None:
    scores = score("regression", column(1, 2, 3, 6), column(2, 2, 3, 4))
    # Errors 1, 0, 0, -2; the targets' squares around their mean 3 sum to 14.
    assert scores == pytest.approx(
        {
            "mse": 5 / 4,
            "rmse": math.sqrt(5 / 4),
            "mae": 3 / 4,
            "r2": 1 - 5 / 14,
            # 1/1, 0, 0 and 2/6.
            "mape": (1 + 1 / 3) / 4,
            "median_absolute_error": 1 / 2,
            # The mean error -1/4 is no part of the variance of the errors, 5/4 - 1/16.
            "explained_variance": 1 - (5 / 4 - 1 / 16) / (14 / 4),
        }
    )


def test_several_outputs_count_alike() -> None:
    targets = np.array([[0.0, 0.0], [1.0, 0.5]])
    prediction = np.array([[0.0, 0.3], [1.0, 0.5]])
    scores = score("multi_output", targets, prediction)
    assert scores["mse"] == pytest.approx((0 + 0.09 / 2) / 2)
    assert scores["rmse"] == pytest.approx((0 + math.sqrt(0.09 / 2)) / 2), "mean over outputs"
    assert scores["mae"] == pytest.approx((0 + 0.15) / 2)
    assert scores["r2"] == pytest.approx((1 + (1 - 0.09 / 0.125)) / 2)


def test_a_perfect_regression_has_r2_of_1_and_the_mean_has_0() -> None:
    targets = datasets.load_diabetes().target.reshape(-1, 1)
    assert Scorer("r2").score(targets, targets) == 1
    mean = np.full_like(targets, targets.mean())
    assert Scorer("r2").score(targets, mean) == pytest.approx(0, abs=1e-12)


# -- two classes ----------------------------------------------------------------------------------


def test_binary_by_hand() -> None:
    scores = score("binary", BINARY_TARGETS, BINARY)
    assert scores["accuracy"] == 0.5
    assert scores["balanced_accuracy"] == 0.5
    # One true positive, one false positive, one false negative.
    assert scores["f1"] == pytest.approx(2 / (2 + 1 + 1))
    # Of the four pairs of a positive with a negative, only 0.4 against 0.6 is in the wrong order.
    assert scores["roc_auc"] == 0.75
    chances = (0.9, 0.8, 0.4, 0.4)
    assert scores["log_loss"] == pytest.approx(-sum(map(math.log, chances)) / 4)


def test_half_is_the_second_class() -> None:
    assert classes_of(column(0.49, 0.5, 0.51), 0.5).tolist() == [0, 1, 1]


# -- at another threshold -------------------------------------------------------------------------

THRESHOLDS = (0.001, 0.3, 0.5, 0.7, 0.999)
SKLEARN: dict[str, Any] = {
    "accuracy": metrics.accuracy_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
    "f1": partial(metrics.f1_score, zero_division=0),
    "sensitivity": metrics.recall_score,
    "specificity": partial(metrics.recall_score, pos_label=0),
    "matthews_correlation": metrics.matthews_corrcoef,
    "cohen_kappa": metrics.cohen_kappa_score,
}


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_measures_of_classes_are_those_of_labels_at_the_threshold(threshold: float) -> None:
    random = np.random.default_rng(0)
    targets, chances = random.integers(0, 2, 200), random.random((200, 1)).astype(np.float32)
    labels = [int(chance >= threshold) for chance in chances[:, 0]]
    found = score("binary", targets, chances, threshold=threshold)
    for name, expected in SKLEARN.items():
        assert found[name] == pytest.approx(expected(targets, labels)), name
        assert Scorer(name, threshold=threshold).score(targets, chances) == found[name]
    hits = Scorer("accuracy", threshold=threshold).losses(targets, chances)
    assert hits.tolist() == [float(label == t) for label, t in zip(labels, targets, strict=True)]


def test_the_others_do_not_depend_on_it() -> None:
    random = np.random.default_rng(1)
    targets, chances = random.integers(0, 2, 50), random.random((50, 1))
    one, other = (score("binary", targets, chances, threshold=t) for t in (0.2, 0.8))
    same = {name for name in one if one[name] == other[name]}
    assert same == {name for name in one if not MEASURES[name].of_classes}
    assert set(one) - same == set(SKLEARN)


def test_a_mean_over_classes_knows_no_threshold() -> None:
    random = np.random.default_rng(2)
    targets, chances = random.integers(0, 3, 50), random.dirichlet(np.ones(3), 50)
    one, other = (score("multiclass", targets, chances, threshold=t) for t in (0.2, 0.8))
    np.testing.assert_equal(one, other)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_what_is_equal_to_the_threshold_is_positive(kind: Any) -> None:
    # 0.7 in 32 bit is a little less, 0.3 a little more.
    for threshold in THRESHOLDS:
        equal = np.array([[np.float32(threshold)]], kind)
        below = np.array([[np.nextafter(np.float32(threshold), np.float32(0))]], kind)
        assert [int(classes_of(p, threshold)[0]) for p in (below, equal)] == [0, 1], threshold


def test_a_measure_of_the_users_own_gets_probabilities_whatever_the_threshold(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.py").write_text("def mean_score(t, p):\n    return p.mean()\n")
    own = {"mean_score": f"{tmp_path / 'mine.py'}:mean_score"}
    found = score("binary", np.array([0, 1]), column(0.2, 0.4), own, 0.3)
    assert found["mean_score"] == pytest.approx(0.3)


def test_binary_agrees_with_a_fitted_model() -> None:
    data = datasets.load_breast_cancer()
    model = linear_model.RidgeClassifier().fit(data.data[::2], data.target[::2])
    margin = model.decision_function(data.data[1::2])
    chances, targets = 1 / (1 + np.exp(-margin)), data.target[1::2]
    scores = score("binary", targets, chances.reshape(-1, 1))
    predicted = model.predict(data.data[1::2])
    assert scores["accuracy"] == metrics.accuracy_score(targets, predicted)
    assert scores["balanced_accuracy"] == pytest.approx(
        metrics.balanced_accuracy_score(targets, predicted)
    )
    assert scores["roc_auc"] == pytest.approx(metrics.roc_auc_score(targets, margin))


# -- several classes ------------------------------------------------------------------------------


def test_multiclass_by_hand() -> None:
    targets = np.array([0, 0, 0, 1, 2])
    prediction = np.eye(3)[[0, 0, 1, 1, 1]]
    scores = score("multiclass", targets, prediction)
    assert scores["accuracy"] == 3 / 5
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    f1 = (2 * 2 / (2 * 2 + 1), 2 * 1 / (2 * 1 + 2), 0)
    assert scores["f1_macro"] == pytest.approx(sum(f1) / 3)


def test_the_area_of_several_classes_is_one_against_the_rest() -> None:
    data = datasets.load_wine()
    model = linear_model.LogisticRegression(C=1e-4, max_iter=5000).fit(data.data, data.target)
    chances = model.predict_proba(data.data)
    expected = metrics.roc_auc_score(data.target, chances, multi_class="ovr", average="macro")
    assert Scorer("roc_auc_ovr").score(data.target, chances) == pytest.approx(expected)
    assert 0.5 < expected < 1
    # As in studies that were finished when it had no name of its own.
    assert Scorer("roc_auc").score(data.target, chances) == pytest.approx(expected)


def test_a_class_that_a_split_lacks_is_left_out_of_means_over_classes() -> None:
    targets = np.array([0, 0, 1, 1])
    prediction = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.8, 0.0], [0.1, 0.2, 0.7]])
    scores = score("multiclass", targets, prediction)
    assert scores["balanced_accuracy"] == 0.5
    # Class 0 is separated without error; of class 1, only 0.6 against 0.2 is in the wrong order.
    assert scores["roc_auc_ovr"] == pytest.approx((1 + 3 / 4) / 2)
    # Precision at the positives of class 0: 1, 1; of class 1: 1, 2/3.
    assert scores["average_precision_ovr"] == pytest.approx((1 + (1 + 2 / 3) / 2) / 2)
    chances = (0.8, 0.3, 0.8, 0.2)
    assert scores["log_loss"] == pytest.approx(-sum(map(math.log, chances)) / 4)


def test_certainty_that_is_wrong_costs_much_but_not_infinitely_much() -> None:
    loss = Scorer("log_loss").score(
        np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    )
    assert 10 < loss < math.inf


def test_probabilities_that_sum_to_1_only_nearly_are_scored() -> None:
    # As a softmax in 16 bit gives them.
    exact = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    nearly = (exact * [[1.002], [0.997]]).astype(np.float16)
    targets = np.array([0, 2])
    assert Scorer("log_loss").score(targets, nearly) == pytest.approx(
        Scorer("log_loss").score(targets, exact), rel=1e-2
    )


@pytest.mark.parametrize("seed", range(3))
def test_further_measures_agree_with_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    targets = random.integers(0, 7, 200)
    chances = random.dirichlet(np.ones(7), 200)
    chances[np.arange(200), targets] += 0.2
    # Many are equal.
    chances = np.round(chances, 1) + 0.01
    chances /= chances.sum(axis=1, keepdims=True)
    predicted, labels = chances.argmax(axis=1), np.arange(7)
    scores = score("multiclass", targets, chances)
    assert {name: scores[name] for name in PROBLEM_KINDS["multiclass"].further} == pytest.approx(
        {
            "average_precision_ovr": metrics.average_precision_score(
                np.eye(7)[targets], chances, average="macro"
            ),
            "top_3_accuracy": metrics.top_k_accuracy_score(targets, chances, k=3, labels=labels),
            "top_5_accuracy": metrics.top_k_accuracy_score(targets, chances, k=5, labels=labels),
            "matthews_correlation": metrics.matthews_corrcoef(targets, predicted),
            "cohen_kappa": metrics.cohen_kappa_score(targets, predicted),
            "brier_score": metrics.brier_score_loss(targets, chances, labels=labels),
        }
    )
    assert scores["brier_score"] == pytest.approx(
        np.square(chances - np.eye(7)[targets]).sum(axis=1).mean()
    )
    sick, chance = targets > 3, random.random(200)
    scores = score("binary", sick.astype(int), chance.reshape(-1, 1))
    truth = metrics.confusion_matrix(sick, chance >= 0.5)
    assert {name: scores[name] for name in PROBLEM_KINDS["binary"].further} == pytest.approx(
        {
            "average_precision": metrics.average_precision_score(sick, chance),
            "sensitivity": truth[1, 1] / truth[1].sum(),
            "specificity": truth[0, 0] / truth[0].sum(),
            "matthews_correlation": metrics.matthews_corrcoef(sick, chance >= 0.5),
            "cohen_kappa": metrics.cohen_kappa_score(sick, chance >= 0.5),
            "brier_score": metrics.brier_score_loss(sick, chance),
        }
    )


def test_further_measures_of_two_classes_by_hand() -> None:
    # Six of ten are positive; three of them are found, and one negative sample is taken for one.
    targets = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0])
    scores = score("binary", targets, column(0.9, 0.8, 0.7, 0.3, 0.2, 0.1, 0.6, 0.4, 0.25, 0.05))
    assert scores["sensitivity"] == 3 / 6
    assert scores["specificity"] == 3 / 4
    assert scores["matthews_correlation"] == pytest.approx(
        (3 * 3 - 1 * 3) / math.sqrt(4 * 6 * 4 * 6)
    )
    chance = 0.4 * 0.6 + 0.6 * 0.4
    assert scores["cohen_kappa"] == pytest.approx((0.6 - chance) / (1 - chance))
    # Precision where each positive sample stands in the ranking.
    precisions = [1, 1, 1, 4 / 6, 5 / 8, 6 / 9]
    assert scores["average_precision"] == pytest.approx(sum(precisions) / 6)
    squares = [0.01, 0.04, 0.09, 0.49, 0.64, 0.81, 0.36, 0.16, 0.0625, 0.0025]
    assert scores["brier_score"] == pytest.approx(sum(squares) / 10)


@pytest.mark.parametrize("measure", [name for name in MEASURES if Scorer(name).is_mean])
def test_a_measure_of_samples_is_their_mean(measure: str) -> None:
    random = np.random.default_rng(0)
    for kind in (kind for kind, of in PROBLEM_KINDS.items() if measure in of.all_measures):
        targets = random.integers(0, 2 if kind == "binary" else 8, 60)
        predictions = np.round(random.dirichlet(np.ones(8), 60), 1) + 0.01
        if kind == "binary":
            predictions = predictions[:, :1]
        elif kind != "multiclass":
            targets = random.random((60, 8))
        expected = Scorer(measure).score(targets, predictions)
        assert Scorer(measure).losses(targets, predictions).mean() == pytest.approx(expected), kind


# -- what is not defined --------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:R.2 score:sklearn.exceptions.UndefinedMetricWarning")
def test_r2_of_one_sample_is_nan_and_the_rest_is_scored() -> None:
    scores = score("regression", column(1), column(3))
    assert math.isnan(scores["r2"])
    assert scores["mse"] == 4


@pytest.mark.parametrize("problem", ["binary", "multiclass"])
def test_what_needs_two_classes_is_nan_on_one_and_the_rest_is_scored(problem: str) -> None:
    prediction = column(0.2, 0.3)
    if problem == "multiclass":
        prediction = np.hstack([1 - prediction, prediction, np.zeros((2, 4))])
    scores = score(problem, np.array([0, 0]), prediction)
    undefined = {name for name, value in scores.items() if math.isnan(value)}
    assert undefined == {name for name in scores if Measure.of(name).needs_two_classes}
    assert {"matthews_correlation", "cohen_kappa"} < undefined
    assert scores["accuracy"] == 1


def test_a_relative_error_of_nothing_is_not_defined() -> None:
    targets = column(0, 2)
    assert metrics.mean_absolute_percentage_error(targets, column(1, 2)) > 1e15
    assert math.isnan(Scorer("mape").score(targets, column(1, 2)))
    assert Scorer("mape").score(column(-1, 2), column(1, 2)) == 1


def test_explained_variance_of_one_sample_is_not_defined() -> None:
    assert metrics.explained_variance_score([1], [3]) == 1
    assert math.isnan(Scorer("explained_variance").score(column(1), column(3)))


@pytest.mark.parametrize(("k", "classes"), [(3, 2), (3, 3), (5, 3), (5, 5)])
def test_the_best_of_as_few_classes_tell_nothing(k: int, classes: int) -> None:
    prediction = np.full((4, classes), 1 / classes)
    assert math.isnan(Scorer(f"top_{k}_accuracy").score(np.array([0, 1, 0, 1]), prediction))


def test_predictions_that_are_not_numbers_have_no_error() -> None:
    scores = score("regression", column(1, 2), column(1, math.nan))
    assert all(math.isnan(value) for value in scores.values())

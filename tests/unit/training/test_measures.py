"""Measures: the numbers that rank configurations, checked by hand and against definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import datasets, linear_model, metrics

from gridfold.problems import PROBLEM_KINDS, Measure
from gridfold.training.measures import classes_of, score, score_one

# Two of three right; sorted by probability the pairs (0, 2), (1, 2) are right, one of two.
BINARY_TARGETS = np.array([1, 0, 1, 0])
BINARY = np.array([[0.9], [0.2], [0.4], [0.6]])


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1)


@pytest.mark.parametrize("problem", PROBLEM_KINDS)
def test_every_measure_of_a_problem_is_scored(problem: str) -> None:
    targets = np.array([0, 1, 0, 1])
    prediction = column(0.1, 0.7, 0.4, 0.8)
    if problem == "multiclass":
        prediction = np.hstack([1 - prediction, prediction])
    if problem in ("regression", "multi_output"):
        targets = targets.reshape(-1, 1)
    scores = score(problem, targets, prediction)
    assert tuple(scores) == PROBLEM_KINDS[problem].measures
    for name, value in scores.items():
        low, high = Measure.of(name).range
        assert low <= value <= high, name


# -- numbers --------------------------------------------------------------------------------------


def test_regression_by_hand() -> None:
    scores = score("regression", column(1, 2, 3, 6), column(2, 2, 3, 4))
    # Errors 1, 0, 0, -2; the targets' squares around their mean 3 sum to 14.
    assert scores == pytest.approx(
        {"mse": 5 / 4, "rmse": math.sqrt(5 / 4), "mae": 3 / 4, "r2": 1 - 5 / 14}
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
    assert score_one("r2", targets, targets) == 1
    mean = np.full_like(targets, targets.mean())
    assert score_one("r2", targets, mean) == pytest.approx(0, abs=1e-12)


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
    assert classes_of(column(0.49, 0.5, 0.51)).tolist() == [0, 1, 1]


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
    assert scores["f1"] == pytest.approx(sum(f1) / 3)


def test_the_area_of_several_classes_is_one_against_the_rest() -> None:
    data = datasets.load_wine()
    model = linear_model.LogisticRegression(C=1e-4, max_iter=5000).fit(data.data, data.target)
    chances = model.predict_proba(data.data)
    expected = metrics.roc_auc_score(data.target, chances, multi_class="ovr", average="macro")
    assert score_one("roc_auc", data.target, chances) == pytest.approx(expected)
    assert 0.5 < expected < 1


def test_a_class_that_a_split_lacks_is_left_out_of_means_over_classes() -> None:
    targets = np.array([0, 0, 1, 1])
    prediction = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.8, 0.0], [0.1, 0.2, 0.7]])
    scores = score("multiclass", targets, prediction)
    assert scores["balanced_accuracy"] == 0.5
    # Class 0 is separated without error; of class 1, only 0.6 against 0.2 is in the wrong order.
    assert scores["roc_auc"] == pytest.approx((1 + 3 / 4) / 2)
    chances = (0.8, 0.3, 0.8, 0.2)
    assert scores["log_loss"] == pytest.approx(-sum(map(math.log, chances)) / 4)


def test_certainty_that_is_wrong_costs_much_but_not_infinitely_much() -> None:
    loss = score_one("log_loss", np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]], np.float32))
    assert 10 < loss < math.inf


def test_probabilities_that_sum_to_1_only_nearly_are_scored() -> None:
    # As a softmax in 16 bit gives them.
    exact = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    nearly = (exact * [[1.002], [0.997]]).astype(np.float16)
    targets = np.array([0, 2])
    assert score_one("log_loss", targets, nearly) == pytest.approx(
        score_one("log_loss", targets, exact), rel=1e-2
    )


# -- what is not defined --------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:R.2 score:sklearn.exceptions.UndefinedMetricWarning")
def test_r2_of_one_sample_is_nan_and_the_rest_is_scored() -> None:
    scores = score("regression", column(1), column(3))
    assert math.isnan(scores["r2"])
    assert scores["mse"] == 4


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("problem", ["binary", "multiclass"])
def test_the_area_of_a_single_class_is_nan_and_the_rest_is_scored(problem: str) -> None:
    prediction = column(0.2, 0.3)
    if problem == "multiclass":
        prediction = np.hstack([1 - prediction, prediction])
    scores = score(problem, np.array([0, 0]), prediction)
    assert math.isnan(scores["roc_auc"])
    assert scores["accuracy"] == 1


def test_predictions_that_are_not_numbers_have_no_error() -> None:
    scores = score("regression", column(1, 2), column(1, math.nan))
    assert all(math.isnan(value) for value in scores.values())

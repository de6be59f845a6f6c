"""The table of classes, cell by cell, and the intervals of areas under ROC curves."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats
from sklearn import datasets, metrics, naive_bayes

from gridfold.statistics.classes import CLASS_COLUMNS, class_table, rank_area
from gridfold.tables.predictions import OUT_OF_FOLD, TEST, PredictedSamples


def part(truth: list[int], chances: list[list[float]], name: str = OUT_OF_FOLD) -> PredictedSamples:
    """Return predictions of so many samples; of a binary problem one column."""
    prediction = np.asarray(chances, np.float32)
    return PredictedSamples(name, np.arange(len(truth)), np.asarray(truth), prediction, 1, 0.5)


def test_intervals_of_areas_hold_the_true_area_as_often_as_they_say() -> None:
    # Binormal model: the true area is known (Hanley & McNeil, 1982).
    random = np.random.default_rng(0)
    own = np.arange(120) < 40
    true = 0.8556732  # Phi(1.5 / sqrt(2))
    held = 0
    for _ in range(600):
        score = random.normal(size=120) + 1.5 * own
        _, low, high = rank_area(own, score, 0.9)
        held += low <= true <= high
    assert 0.87 <= held / 600 <= 0.93


def test_areas_count_ties_by_half_and_perfect_ones_have_no_interval() -> None:
    own = np.array([True, True, False, False])
    assert rank_area(own, np.array([1.0, 0.5, 0.5, 0.0]), 0.95)[0] == 0.875
    area, low, high = rank_area(own, np.array([1.0, 0.9, 0.5, 0.0]), 0.95)
    assert area == 1
    assert np.isnan([low, high]).all()


def test_an_interval_is_that_of_pairs_counted_one_by_one() -> None:
    random = np.random.default_rng(4)
    own = np.arange(37) < 14
    score = np.round(random.normal(size=37) + own, 1)
    pairs = np.array([[float(p > n) + 0.5 * (p == n) for n in score[~own]] for p in score[own]])
    area, low, high = rank_area(own, score, 0.9)
    assert area == pytest.approx(pairs.mean())
    assert area == pytest.approx(metrics.roc_auc_score(own, score))
    error = math.sqrt(
        np.var(pairs.mean(axis=1), ddof=1) / 14 + np.var(pairs.mean(axis=0), ddof=1) / 23
    )
    logit, reach = math.log(area / (1 - area)), stats.norm.ppf(0.95) * error / (area * (1 - area))
    for end, side in ((low, -1), (high, 1)):
        assert math.log(end / (1 - end)) == pytest.approx(logit + side * reach)


@pytest.mark.parametrize("own", [1, 4])
def test_of_a_single_sample_there_is_an_area_but_no_interval(own: int) -> None:
    area, low, high = rank_area(np.arange(5) < own, np.array([0.4, 0.1, 0.6, 0.2, 0.3]), 0.95)
    assert 0 < area < 1
    assert np.isnan([low, high]).all()


def test_two_samples_of_each_kind_have_an_interval() -> None:
    own = np.array([True, True, False, False])
    area, low, high = rank_area(own, np.array([0.9, 0.3, 0.5, 0.1]), 0.95)
    assert 0 < low < area == 0.75 < high < 1


def test_always_wrong_is_an_area_of_zero_without_an_interval() -> None:
    area, low, high = rank_area(np.arange(6) < 3, np.arange(6.0), 0.95)
    assert area == 0
    assert np.isnan([low, high]).all()


def test_every_cell_is_that_of_scikit_learn() -> None:
    features, truth = datasets.load_iris(return_X_y=True)
    model = naive_bayes.GaussianNB().fit(features[:, :2], truth)
    chances = model.predict_proba(features[:, :2]).astype(np.float32)
    names = ["setosa", "versicolor", "virginica"]
    found = class_table([part(truth.tolist(), chances.tolist())], names, 0.9)
    assert list(found.columns) == [column.name for column in CLASS_COLUMNS]
    assert found["class"].tolist() == names
    assert set(found["part"]) == {OUT_OF_FOLD}
    assert found["samples"].tolist() == [50, 50, 50]
    assert found["others"].tolist() == [100, 100, 100]
    chosen = chances.argmax(axis=1)
    for code, row in enumerate(found.to_dict("records")):
        own, score = truth == code, chances[:, code].astype(float)
        assert row["roc_auc"] == pytest.approx(metrics.roc_auc_score(own, score))
        assert (row["roc_auc"], row["roc_auc_low"], row["roc_auc_high"]) == pytest.approx(
            rank_area(own, score, 0.9), nan_ok=True
        )
        average = metrics.average_precision_score(own, score)
        assert row["average_precision"] == pytest.approx(average)
        for name, of in (
            ("precision", metrics.precision_score),
            ("recall", metrics.recall_score),
            ("f1", metrics.f1_score),
        ):
            assert row[name] == pytest.approx(of(own, chosen == code)), name


def test_a_binary_problem_has_rows_of_both_classes() -> None:
    found = class_table([part([0, 1, 1, 0], [[0.2], [0.7], [0.4], [0.6]])], ["no", "yes"], 0.95)
    assert found["class"].tolist() == ["no", "yes"]
    # Which one is asked about changes nothing in how well they are told apart.
    assert found["roc_auc"].tolist() == pytest.approx([0.75, 0.75])
    assert found["precision"].tolist() == pytest.approx([0.5, 0.5])


def test_cells_are_empty_where_a_part_has_no_sample_of_a_class() -> None:
    chances = [[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1]]
    found = class_table([part([0, 1, 1], chances)], ["a", "b", "c"], 0.95).set_index("class")
    none = found.loc["c"]
    assert (none["samples"], none["others"]) == (0, 3)
    for name in ("roc_auc", "roc_auc_low", "roc_auc_high", "average_precision"):
        assert math.isnan(none[name]), name
    # Never predicted, never there: neither right nor wrong.
    for name in ("precision", "recall", "f1"):
        assert math.isnan(none[name]), name
    assert found.loc["a", "recall"] == 1


def test_cells_are_empty_where_all_samples_are_of_one_class() -> None:
    found = class_table([part([1, 1], [[0.9], [0.4]])], ["no", "yes"], 0.95).set_index("class")
    assert found["roc_auc"].isna().all()
    assert found["average_precision"].isna().all()
    assert found.loc["yes", "recall"] == 0.5


def test_each_part_has_its_own_rows_in_order() -> None:
    first = part([0, 1], [[0.1], [0.9]])
    second = part([1, 0], [[0.1], [0.9]], TEST)
    found = class_table([first, second], ["a", "b"], 0.95)
    expected = list(product((OUT_OF_FOLD, TEST), ("a", "b")))
    assert list(zip(found["part"], found["class"], strict=True)) == expected
    assert found["roc_auc"].tolist() == [1, 1, 0, 0]

"""Baselines beside the selected configuration: the numbers of the paired test, and all gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridfold.baselines.comparison import BASELINE_COLUMNS, compare_baselines
from gridfold.requests import ComparedBaselinesRequest
from gridfold.statistics.pairwise import column_names

REQUEST = ComparedBaselinesRequest("accuracy", 0.95, "multiclass")
SELECTED = np.array([0.90, 0.92, 0.88, 0.93, 0.91])


def fits(baseline: str, scores: Any, test: float | None = None, **cells: Any) -> pd.DataFrame:
    names = [f"r0f{i}" for i in range(len(scores))]
    table = pd.DataFrame(
        {
            "baseline": baseline,
            "split": names,
            "status": "finished",
            "reason": "",
            "n_train": 400,
            "n_fitted": 400,
            "n_validation": 100,
            "seconds": 0.5,
            "accuracy": np.asarray(scores, float),
        }
    )
    if test is not None:
        last = table.iloc[[-1]].assign(split="test", accuracy=test)
        table = pd.concat([table, last], ignore_index=True)
    return table.assign(**cells)


def trials(scores: Any = SELECTED) -> pd.DataFrame:
    own = fits("", scores).assign(config_id="best")
    other = fits("", np.zeros(len(scores))).assign(config_id="other")
    return pd.concat([own, other], ignore_index=True)


def compared(*tables: pd.DataFrame, scores: Any = SELECTED) -> pd.DataFrame:
    joined = pd.concat(tables, ignore_index=True)
    return compare_baselines(REQUEST, joined, trials(scores), "best")


def test_differences_are_those_on_common_splits() -> None:
    worse = SELECTED - [0.02, 0.01, 0.03, 0.02, 0.01]
    table = compared(fits("linear", worse, test=0.8), fits("constant", SELECTED - 0.5))
    assert list(table["baseline"]) == ["linear", "constant"]
    assert list(table.columns[: len(column_names(BASELINE_COLUMNS))]) == column_names(
        BASELINE_COLUMNS
    )
    row = table.iloc[0]
    assert row["difference"] == pytest.approx(-0.018)
    assert row["difference_low"] < row["difference"] < row["difference_high"] < 0
    assert row["p_value"] < 0.05
    assert row["p_holm"] >= row["p_value"]
    assert row["superiority"] == 1
    assert row["accuracy_mean"] == pytest.approx(worse.mean())
    assert row["test_score"] == pytest.approx(0.8)
    assert np.isnan(table.iloc[1]["test_score"])
    assert row["name"] == "logistic regression"
    assert row["seconds"] == pytest.approx(3.0)


def test_a_baseline_may_be_better() -> None:
    row = compared(fits("linear", SELECTED + 0.01)).iloc[0]
    assert row["difference"] == pytest.approx(0.01)
    assert row["superiority"] == 0


def test_equal_scores_are_no_difference() -> None:
    row = compared(fits("linear", SELECTED)).iloc[0]
    assert row["difference"] == 0
    assert row["difference_low"] < 0 < row["difference_high"]
    assert row["p_value"] == 1
    assert row["superiority"] == 0.5


def test_one_split_has_a_difference_and_no_test() -> None:
    row = compared(fits("linear", SELECTED[:1] - 0.1), scores=SELECTED[:1]).iloc[0]
    assert row["difference"] == pytest.approx(-0.1)
    assert np.isnan(row[["difference_low", "difference_high", "p_value"]].astype(float)).all()


def test_a_baseline_that_failed_everywhere_stands_last_without_numbers() -> None:
    lost = fits("gradient_boosting", [np.nan] * 5, status="failed", reason="one class")
    table = compared(lost, fits("constant", SELECTED - 0.5))
    assert list(table["baseline"]) == ["constant", "gradient_boosting"]
    row = table.iloc[1]
    assert (row["n_splits"], row["n_failed"], row["reason"]) == (0, 5, "one class")
    assert np.isnan(row["difference"])


def test_splits_on_which_the_measure_is_not_defined_are_left_out() -> None:
    some = SELECTED - [0.1, 0.1, np.nan, 0.1, 0.1]
    selected = np.r_[np.nan, SELECTED[1:]]
    row = compared(fits("linear", some), scores=selected).iloc[0]
    assert row["n_splits"] == 3
    assert row["difference"] == pytest.approx(-0.1)


def test_without_a_baseline_the_table_has_its_columns() -> None:
    empty = fits("linear", SELECTED).iloc[:0]
    table = compared(empty)
    assert not len(table)
    assert set(column_names(BASELINE_COLUMNS)) <= set(table.columns)


def test_a_lower_score_may_be_the_better_one() -> None:
    request = ComparedBaselinesRequest("mse", 0.95, "regression")
    names = {"accuracy": "mse"}
    joined = pd.concat([fits("linear", [3.0, 4.0]), fits("constant", [1.0, 2.0])])
    selected = trials([2.0, 3.5]).rename(columns=names)
    table = compare_baselines(request, joined.rename(columns=names), selected, "best")
    assert list(table["baseline"]) == ["constant", "linear"]
    assert list(table["name"]) == ["the mean", "ridge regression"]
    assert list(table["superiority"]) == [0, 1]

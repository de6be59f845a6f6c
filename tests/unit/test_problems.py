"""Kinds of problems and their measures."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from gridfold.problems import MEASURES, PROBLEM_KINDS, Measure, asks_for_data

LOWER = {"mse", "rmse", "mae", "mape", "median_absolute_error", "log_loss", "brier_score"}
PAIRS = {"roc_auc", "roc_auc_ovr", "average_precision", "average_precision_ovr"}
RATES = {"sensitivity", "specificity", "matthews_correlation", "cohen_kappa"}
SHARES = {"accuracy", "balanced_accuracy", "f1", "f1_macro", "top_3_accuracy", "top_5_accuracy"}


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_says_which_end_is_the_good_one(name: str) -> None:
    measure, lower = Measure.of(name), name in LOWER
    assert measure.lower_is_better == lower
    assert (measure.sign, measure.direction) == ((-1, "min") if lower else (1, "max"))
    assert measure.is_better(0.1, 0.2) == lower
    assert measure.is_better(0.2, 0.1) == (not lower)
    assert not measure.is_better(0.1, 0.1)
    assert not measure.is_better(math.nan, 0.1)
    assert not measure.is_better(0.1, math.nan)


@pytest.mark.parametrize("name", MEASURES)
def test_the_best_of_scores_is_at_the_good_end(name: str) -> None:
    measure = Measure.of(name)
    scores = pd.Series([0.3, np.nan, 0.1, 0.2], index=list("abcd"))
    best, place = (0.1, "c") if name in LOWER else (0.3, "a")
    assert measure.best_of(scores) == best
    assert measure.place_of_best(scores) == place
    assert measure.best_of(scores.groupby([0, 0, 0, 1])).tolist() == [best, 0.2]
    assert (measure.sign * scores).max() == measure.sign * best


def test_what_measures_count() -> None:
    counts = {name: measure.counts for name, measure in MEASURES.items() if measure.counts}
    assert counts == dict.fromkeys(SHARES | RATES, "samples") | dict.fromkeys(PAIRS, "pairs")
    assert {m.name for m in MEASURES.values() if m.needs_two_classes} == PAIRS | RATES
    assert set(filter(asks_for_data, [*MEASURES, "val_loss", "net_cost"])) == {
        "mape",
        "top_3_accuracy",
        "top_5_accuracy",
    }


def test_what_is_followed_while_training_is_a_measure_too() -> None:
    assert {kind.metric for kind in PROBLEM_KINDS.values()} <= set(MEASURES)

"""The nested estimate: by hand, at its limits, and on simulated studies whose truth is known."""

from __future__ import annotations

import importlib.util
import math
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from workbench import ROOT

from gridfold.requests import NestedRequest
from gridfold.statistics.intervals import mean_interval
from gridfold.statistics.nested import nested_estimate
from gridfold.store.nested import NestedEstimate

TARGETS = np.arange(100) % 2


def estimate(
    *scores: float | None, chosen: str = "", measure: str = "accuracy", **columns: Any
) -> NestedEstimate:
    """Return the estimate of outer folds; `chosen` has a letter for what each has selected."""
    rows = len(scores)
    table = pd.DataFrame(
        {
            "outer_fold": [f"o0f{i}" for i in range(rows)],
            "config_id": list(chosen or "a" * rows),
            "as_study": [letter == "a" for letter in chosen or "a" * rows],
            "search_mean": 0.9,
            "status": ["failed" if score is None else "finished" for score in scores],
            "n_train": 80,
            "n_validation": 20,
            "core_hours": 0.5,
            "gpu_hours": np.nan,
            measure: [math.nan if score is None else score for score in scores],
        }
        | columns
    )
    return nested_estimate(NestedRequest(measure, 0.95, ()), table, TARGETS)


def test_it_is_the_mean_of_the_outer_scores() -> None:
    found = estimate(0.7, 0.8, 0.9, 0.6, 0.75)
    assert found.score == pytest.approx(0.75)
    assert found.sd == pytest.approx(np.std([0.7, 0.8, 0.9, 0.6, 0.75], ddof=1))
    assert (found.folds, found.missing) == (5, 0)
    assert found.searched == pytest.approx(0.9)
    assert found.core_hours == pytest.approx(2.5)
    assert found.gpu_hours is None


def test_its_interval_is_corrected_for_folds_that_share_training_samples() -> None:
    scores = [20.0, 22.0, 21.0, 24.0, 19.0]
    found = estimate(*scores, measure="mae")
    plain, corrected = (mean_interval(scores, ratio, 0.95) for ratio in (0.0, 0.25))
    assert found.low is not None
    assert found.high is not None
    # In the logarithm, since an error is never below 0: by as many times as the mean.
    assert found.high / corrected.mean == pytest.approx(corrected.mean / found.low)
    assert found.high - found.low > plain.high - plain.low
    assert math.log(found.high / corrected.mean) == pytest.approx(
        (corrected.high - corrected.mean) / corrected.mean, rel=1e-6
    )


def test_an_interval_stays_in_the_range_and_never_has_width_zero() -> None:
    found = estimate(1.0, 1.0, 1.0)
    assert found.score == found.high == 1
    assert found.low is not None
    assert 0 < found.low < 1


def test_folds_without_a_score_are_left_out_and_counted() -> None:
    found = estimate(0.8, None, 0.6, math.nan, chosen="abba")
    assert found.score == pytest.approx(0.7)
    assert (found.folds, found.missing) == (2, 2)


@pytest.mark.parametrize("scores", [(None, None), (math.nan, math.nan)])
def test_without_any_score_there_is_no_estimate(scores: tuple[float | None, ...]) -> None:
    found = estimate(*scores)
    assert (found.score, found.sd, found.low, found.high) == (None, None, None, None)
    assert (found.folds, found.missing) == (0, 2)


def test_a_measure_that_no_trial_has_gives_no_estimate() -> None:
    table = pd.DataFrame(
        {
            "outer_fold": ["o0f0"],
            "config_id": [""],
            "as_study": [False],
            "search_mean": [None],
            "status": ["failed"],
            "n_train": [None],
            "n_validation": [None],
            "core_hours": [math.nan],
            "gpu_hours": [math.nan],
        }
    )
    found = nested_estimate(NestedRequest("accuracy", 0.95, ()), table, TARGETS)
    assert (found.score, found.distinct, found.agreement, found.core_hours) == (None, 0, None, None)


def test_one_fold_with_a_score_has_no_interval() -> None:
    found = estimate(0.8, None)
    assert (found.score, found.low, found.high, found.sd) == (0.8, None, None, None)


@pytest.mark.parametrize(
    ("chosen", "distinct", "as_study", "agreement"),
    [("aaaa", 1, 4, 1.0), ("abcd", 4, 1, 0.0), ("aabb", 2, 2, 2 / 6), ("bbbc", 2, 0, 3 / 6)],
)
def test_how_stable_the_choice_is(
    chosen: str, distinct: int, as_study: int, agreement: float
) -> None:
    found = estimate(0.7, 0.8, 0.7, 0.8, chosen=chosen)
    assert (found.distinct, found.as_study) == (distinct, as_study)
    assert found.agreement == pytest.approx(agreement)


# -- simulated studies: trees that are really trained ----------------------------------------------


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The simulation whose larger runs docs/statistics.md tells of."""
    file = ROOT / "benchmarks" / "statistics_nested.py"
    spec = importlib.util.spec_from_file_location("statistics_nested", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look for the names in their annotations.
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_on_random_labels_it_is_near_chance_where_the_best_of_many_is_not(
    simulation: ModuleType,
) -> None:
    design = simulation.Design("", "accuracy", 60, 0.0, 14, {"folds": 3, "repeats": 1})
    found = simulation.simulated(design, 8)
    # The standard error of eight studies of 60 samples each.
    error = 0.5 / math.sqrt(60 * 8)
    assert found["selected"].mean() > 0.5 + 3 * error
    assert abs(found["nested"].mean() - 0.5) < 3 * error
    assert found["selected"].mean() - found["nested"].mean() > 3 * error
    assert simulation.coverage(found) >= 7 / 8


def test_where_there_is_something_to_learn_it_finds_it(simulation: ModuleType) -> None:
    design = simulation.Design("", "accuracy", 100, 1.6, 4, {"folds": 3, "repeats": 1})
    found = simulation.simulated(design, 4)
    error = 0.5 / math.sqrt(100 * 4)
    assert found["truth"].mean() > 0.65
    assert abs((found["nested"] - found["truth"]).mean()) < 3 * error


def test_with_repeats_its_samples_count_once() -> None:
    """The interval at the end of the range rests on how many samples there are."""
    once = estimate(1.0, 1.0, 1.0)
    twice = estimate(*[1.0] * 6, outer_fold=[f"o{r}f{f}" for r in range(2) for f in range(3)])
    more = estimate(*[1.0] * 6, outer_fold=[f"o0f{f}" for f in range(6)])
    assert None not in (once.low, twice.low, more.low)
    worth = {}
    for name, found, splits in (("once", once, 3), ("twice", twice, 6), ("more", more, 6)):
        assert found.low is not None
        square = float(stats.t(splits - 1).ppf(0.975)) ** 2
        worth[name] = found.low * square / (1 - found.low)
    # Sixty of a hundred samples were validated, in two repeats each of them twice.
    assert worth == pytest.approx({"once": 60, "twice": 60, "more": 120})


def test_what_it_cost_is_known_where_one_fold_knows() -> None:
    found = estimate(0.7, 0.8, core_hours=[math.nan, 0.5], gpu_hours=[0.25, math.nan])
    assert (found.core_hours, found.gpu_hours) == (0.5, 0.25)


def test_what_a_score_is_worth_follows_the_rarest_class() -> None:
    found = estimate(1.0, 1.0, 1.0, measure="roc_auc")
    square = float(stats.t(2).ppf(0.975)) ** 2
    assert found.low is not None
    # Half of the sixty samples are of each class.
    assert found.low * square / (1 - found.low) == pytest.approx(30)
    assert (found.measure, found.confidence) == ("roc_auc", 0.95)

"""Intervals within the range of a measure."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from gridfold.statistics.bounded import interval_within


def test_for_independent_samples_it_is_the_interval_of_wilson() -> None:
    error = math.sqrt(0.9 * 0.1 / 40)
    quantile = float(stats.norm.ppf(0.975))
    found = interval_within("accuracy", 0.9, error, quantile, at_the_end=40)
    expected = stats.binomtest(36, 40).proportion_ci(0.95, method="wilson")
    assert found == pytest.approx((expected.low, expected.high))


def test_at_the_end_of_the_range_it_has_a_width() -> None:
    low, high = interval_within("accuracy", 1.0, 0.0, 2.0, at_the_end=36)
    assert (low, high) == (pytest.approx(36 / (36 + 4)), 1.0)
    low, high = interval_within("roc_auc", 0.0, 0.0, 2.0, at_the_end=36)
    assert (low, high) == (0.0, pytest.approx(4 / (36 + 4)))


def test_no_error_makes_more_samples_than_there_are() -> None:
    sure = interval_within("accuracy", 0.9, 1e-9, 2.0, at_the_end=40, most=40)
    assert sure == pytest.approx(
        interval_within("accuracy", 0.9, math.sqrt(0.09 / 40), 2.0, at_the_end=40)
    )


@pytest.mark.parametrize(
    "measure", ["accuracy", "matthews_correlation", "brier_score", "r2", "mse"]
)
@pytest.mark.parametrize("error", [0.001, 0.1, 1.0, 100.0])
def test_it_stays_inside_the_range_and_holds_the_score(measure: str, error: float) -> None:
    ranges = {"accuracy": (0, 1), "matthews_correlation": (-1, 1), "brier_score": (0, 2)}
    least, most = ranges.get(measure, (-math.inf, 1) if measure == "r2" else (0, math.inf))
    for score in (0.02, 0.5, 0.98):
        low, high = interval_within(measure, score, error, 2.5, at_the_end=10)
        assert least <= low < score < high <= most


def test_errors_and_r2_are_symmetric_in_their_logarithm() -> None:
    low, high = interval_within("mse", 4.0, 1.0, 2.0, at_the_end=10)
    assert low * high == pytest.approx(16)
    assert high == pytest.approx(4 * math.exp(0.5))
    low, high = interval_within("r2", 0.75, 0.05, 2.0, at_the_end=10)
    assert (1 - low) * (1 - high) == pytest.approx(0.25**2)


def test_without_ends_it_is_symmetric() -> None:
    assert interval_within("own_score", 3.0, 1.0, 2.0, at_the_end=10) == (1.0, 5.0)


@pytest.mark.parametrize("measure", ["matthews_correlation", "brier_score"])
def test_of_a_wider_range_it_is_the_interval_of_the_share_stretched(measure: str) -> None:
    least, most = (-1, 1) if measure == "matthews_correlation" else (0, 2)
    share, samples, quantile = 0.8, 25, float(stats.norm.ppf(0.95))
    error = (most - least) * math.sqrt(share * (1 - share) / samples)
    found = interval_within(measure, least + 2 * share, error, quantile, at_the_end=1e6)
    wilson = stats.binomtest(20, 25).proportion_ci(0.9, method="wilson")
    assert found == pytest.approx((least + 2 * wilson.low, least + 2 * wilson.high))


def test_without_an_error_a_score_inside_is_worth_what_one_at_the_end_is() -> None:
    found = interval_within("accuracy", 0.8, 0.0, float(stats.norm.ppf(0.975)), at_the_end=25)
    wilson = stats.binomtest(20, 25).proportion_ci(0.95, method="wilson")
    assert found == pytest.approx((wilson.low, wilson.high))


def test_rounding_beyond_the_range_is_no_score_beyond_it() -> None:
    assert interval_within("accuracy", 1 + 1e-15, 0.0, 2.0, at_the_end=36) == pytest.approx(
        (0.9, 1.0)
    )
    assert interval_within("accuracy", -1e-15, 0.0, 2.0, at_the_end=36) == pytest.approx((0, 0.1))


def test_errors_and_r2_at_their_end_are_symmetric_and_stay_inside() -> None:
    assert interval_within("mse", 0.0, 1.0, 2.0, at_the_end=10) == (0.0, 2.0)
    assert interval_within("r2", 1.0, 0.1, 2.0, at_the_end=10) == (0.8, 1.0)


def test_errors_that_dwarf_the_score_overflow_nothing() -> None:
    low, high = interval_within("mse", 1e-9, 1e9, 2.0, at_the_end=10)
    assert 0 <= low < 1e-300
    assert 1e200 < high < math.inf
    low, high = interval_within("r2", 1 - 1e-9, 1e9, 2.0, at_the_end=10)
    assert -math.inf < low < -1e200
    assert high <= 1

"""Statistics: against worked examples, a published one, and simulated cross-validation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from gridfold.statistics.intervals import (
    corrected_standard_error,
    holm,
    mean_interval,
    paired_p_value,
    rounding_variance,
)

# Validation over training samples of five folds.
FIVE_FOLDS = 1 / 4


def t_cdf_4(t: float) -> float:
    """Return the distribution function of Student's t with 4 degrees of freedom, closed form."""
    u = t / math.sqrt(1 + t * t / 4)
    return 0.5 + 3 / 8 * u * (1 - u * u / 12)


# -- corrected resampled t-test -------------------------------------------------------------------


def test_the_standard_error_by_hand() -> None:
    # Variance 2.5, times 1/5 + 1/4.
    error = corrected_standard_error(np.array([1.0, 2, 3, 4, 5]), FIVE_FOLDS)
    assert error == pytest.approx(math.sqrt(2.5 * 0.45))


def test_without_shared_training_samples_it_is_the_plain_standard_error() -> None:
    scores = np.random.default_rng(0).normal(size=12)
    assert corrected_standard_error(scores, 0) == pytest.approx(stats.sem(scores))


def test_the_paired_test_by_hand() -> None:
    best = np.array([0.90, 0.92, 0.94, 0.91, 0.93])
    other = best - np.array([0.02, 0.01, 0.03, 0.00, 0.04])
    # Mean 0.02, variance 0.00025, times 1/5 + 1/4.
    t = 0.02 / math.sqrt(0.00025 * 0.45)
    assert t == pytest.approx(1.8856, abs=1e-4)
    assert paired_p_value(best, other, FIVE_FOLDS) == pytest.approx(2 * (1 - t_cdf_4(t)))
    assert paired_p_value(best, other, FIVE_FOLDS) == pytest.approx(0.1324, abs=1e-4)


def test_the_paired_test_gives_what_scikit_learn_publishes() -> None:
    # scikit-learn's example "Statistical comparison of models using grid search": 10 x 10 folds,
    # plain t 2.611 (one-sided p 0.005), corrected t 0.750 (one-sided p 0.227).
    noise = np.random.default_rng(0).normal(size=100)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    difference = noise + 2.611 / math.sqrt(100)
    assert paired_p_value(difference, np.zeros(100), 0) / 2 == pytest.approx(0.005, abs=5e-4)
    assert paired_p_value(difference, np.zeros(100), 1 / 9) / 2 == pytest.approx(0.227, abs=5e-4)


def test_the_uncorrected_test_is_the_paired_t_test() -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 8))
    assert paired_p_value(a, b, 0) == pytest.approx(stats.ttest_rel(a, b).pvalue)


def test_the_order_of_the_pair_does_not_matter() -> None:
    a, b = np.random.default_rng(2).normal(size=(2, 6))
    assert paired_p_value(a, b, FIVE_FOLDS) == paired_p_value(b, a, FIVE_FOLDS)


def test_pairs_count_not_their_splits_scatter() -> None:
    # Splits differ by far more than the configurations do, which pairing takes out.
    hard_and_easy = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
    better = hard_and_easy + np.array([0.011, 0.010, 0.009, 0.010, 0.011])
    assert paired_p_value(better, hard_and_easy, FIVE_FOLDS) < 0.001


def test_equal_scores_are_not_different() -> None:
    assert paired_p_value([0.9, 0.8, 0.7], [0.9, 0.8, 0.7], FIVE_FOLDS) == 1


def test_a_constant_advantage_is_as_significant_as_can_be() -> None:
    assert 0 < paired_p_value([3, 4, 5], [2, 3, 4], FIVE_FOLDS) < 1e-12


@pytest.mark.parametrize(
    ("a", "b"), [([], []), ([0.9], [0.8]), ([0.9, math.nan, 0.7], [math.nan, 0.8, 0.6])]
)
def test_less_than_two_pairs_can_not_be_compared(a: list[float], b: list[float]) -> None:
    assert math.isnan(paired_p_value(a, b, FIVE_FOLDS))


def test_pairs_with_a_missing_score_are_left_out() -> None:
    a, b = [0.9, 0.8, math.nan, 0.85], [0.85, 0.79, 0.6, 0.83]
    complete = paired_p_value([0.9, 0.8, 0.85], [0.85, 0.79, 0.83], FIVE_FOLDS)
    assert paired_p_value(a, b, FIVE_FOLDS) == complete


# -- scores that can only have some values ---------------------------------------------------------


def test_rounding_gives_scores_the_variance_that_it_is_credited_with() -> None:
    random = np.random.default_rng(0)
    shares = np.round(random.uniform(0.6, 0.9, 20_000) * 50) / 50
    errors = shares - random.permutation(shares)
    exact = random.uniform(0.6, 0.9, 20_000)
    rounded = np.round(exact * 50) / 50
    assert rounding_variance("accuracy", rounded, np.full(20_000, 50)) == pytest.approx(
        np.var(rounded - exact), rel=0.05
    )
    assert np.var(errors) > rounding_variance("accuracy", rounded, np.full(20_000, 50))


def test_differences_that_agree_up_to_rounding_are_not_certain() -> None:
    # Of 40 samples each, one more right on each split; the last bits of the differences differ.
    best, other = np.array([37, 35, 33]) / 40, np.array([36, 34, 32]) / 40
    assert paired_p_value(best, other, 1 / 2) < 1e-10
    least = 2 * rounding_variance("accuracy", np.r_[best, other], np.full(6, 40))
    p = paired_p_value(best, other, 1 / 2, least)
    # By hand: SD 1/40/sqrt(6), so t = sqrt(6) / sqrt(1/3 + 1/2) with two degrees of freedom.
    assert p == pytest.approx(2 * stats.t.sf(math.sqrt(6) / math.sqrt(5 / 6), 2))
    assert p > 0.05


def test_equal_scores_on_all_splits_leave_the_uncertainty_of_their_resolution() -> None:
    least = rounding_variance("accuracy", [1.0, 1.0, 1.0], [12, 12, 12])
    interval = mean_interval([1.0] * 3, 1 / 2, 0.95, least)
    assert interval.low == pytest.approx(1 - 4.303 * math.sqrt(5 / 6 / 12) / 12, rel=1e-3)
    assert interval.sd == 0


@pytest.mark.parametrize("measure", ["accuracy", "balanced_accuracy", "f1", "roc_auc", "mse", "r2"])
def test_the_resolution_never_hides_a_spread_that_is_there(measure: str) -> None:
    scores = np.array([0.8, 0.7, 0.9, 0.85, 0.75])
    least = rounding_variance(measure, scores, np.full(5, 100))
    assert 0 < least < np.var(scores, ddof=1)
    assert mean_interval(scores, FIVE_FOLDS, 0.95, least) == mean_interval(scores, FIVE_FOLDS, 0.95)


def test_without_scores_there_is_no_resolution() -> None:
    assert rounding_variance("accuracy", [], []) == 0
    assert rounding_variance("roc_auc", [math.nan], [10]) == 0


# -- intervals ------------------------------------------------------------------------------------


def test_the_interval_by_hand() -> None:
    interval = mean_interval([1, 2, 3, 4, 5], FIVE_FOLDS, 0.95)
    assert (interval.mean, interval.n) == (3, 5)
    assert interval.sd == pytest.approx(math.sqrt(2.5))
    # 2.776 is the 97.5% point of Student's t with 4 degrees of freedom.
    half = 2.776 * math.sqrt(2.5 * 0.45)
    assert interval.high - interval.mean == pytest.approx(half, rel=1e-3)
    assert interval.mean - interval.low == pytest.approx(half, rel=1e-3)


def test_more_confidence_needs_a_wider_interval() -> None:
    scores = np.random.default_rng(3).normal(size=10)
    widths = [
        (interval := mean_interval(scores, FIVE_FOLDS, level)).high - interval.low
        for level in (0.8, 0.9, 0.95, 0.99)
    ]
    assert widths == sorted(widths)
    assert len(set(widths)) == 4


def test_the_interval_excludes_0_exactly_where_the_test_finds_a_difference() -> None:
    generator = np.random.default_rng(4)
    outcomes = set()
    for shift in np.linspace(0, 3, 60):
        difference = generator.normal(shift, 1, size=6)
        interval = mean_interval(difference, FIVE_FOLDS, 0.95)
        significant = paired_p_value(difference, np.zeros(6), FIVE_FOLDS) < 0.05
        assert significant == (interval.low > 0 or interval.high < 0)
        outcomes.add(significant)
    assert outcomes == {True, False}


def test_one_split_has_a_mean_but_no_interval() -> None:
    interval = mean_interval([0.9], FIVE_FOLDS, 0.95)
    assert (interval.mean, interval.n) == (0.9, 1)
    assert all(map(math.isnan, (interval.sd, interval.low, interval.high)))


def test_no_score_has_nothing() -> None:
    interval = mean_interval([math.nan, math.nan], FIVE_FOLDS, 0.95)
    assert interval.n == 0
    assert all(map(math.isnan, (interval.mean, interval.sd, interval.low, interval.high)))


def test_missing_scores_are_left_out() -> None:
    with_gap, without = (
        mean_interval(scores, FIVE_FOLDS, 0.95)
        for scores in ([0.9, math.nan, 0.8, 0.7], [0.9, 0.8, 0.7])
    )
    assert with_gap == without


def test_equal_scores_have_an_interval_of_no_width() -> None:
    interval = mean_interval([0.5] * 5, FIVE_FOLDS, 0.95)
    assert (interval.low, interval.mean, interval.high, interval.sd) == (0.5, 0.5, 0.5, 0)


# -- simulated cross-validation -------------------------------------------------------------------

REPEATED = 15
TRUTH = 0.8


@pytest.fixture(scope="module")
def studies() -> npt.NDArray[np.float64]:
    """Return scores of 2,000 studies with 3 x 5 folds whose scores are correlated.

    Nadeau & Bengio's assumption: the correlation is the validation share, 1/5.
    """
    generator, correlation = np.random.default_rng(5), 1 / 5
    common = generator.normal(size=(2000, 1)) * math.sqrt(correlation)
    own = generator.normal(size=(2000, REPEATED)) * math.sqrt(1 - correlation)
    return TRUTH + 0.05 * (common + own)


def coverage(studies: npt.NDArray[np.float64], ratio: float) -> float:
    intervals = [mean_interval(scores, ratio, 0.95) for scores in studies]
    return float(np.mean([i.low <= TRUTH <= i.high for i in intervals]))


def test_the_corrected_interval_covers_what_it_promises_and_the_plain_one_does_not(
    studies: npt.NDArray[np.float64],
) -> None:
    assert coverage(studies, FIVE_FOLDS) == pytest.approx(0.95, abs=0.015)
    assert coverage(studies, 0) < 0.75


def test_the_corrected_test_is_wrong_in_one_of_twenty_and_the_plain_one_much_more_often(
    studies: npt.NDArray[np.float64],
) -> None:
    truth = np.full(REPEATED, TRUTH)
    wrong, plain_wrong = (
        np.mean([paired_p_value(scores, truth, ratio) < 0.05 for scores in studies])
        for ratio in (FIVE_FOLDS, 0)
    )
    assert wrong == pytest.approx(0.05, abs=0.015)
    assert plain_wrong > 0.25


# -- several comparisons --------------------------------------------------------------------------


def test_holm_by_hand() -> None:
    # Sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1 raised to the one before it.
    adjusted = holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02])


def test_holm_never_exceeds_1_and_never_reorders() -> None:
    p = np.random.default_rng(6).uniform(size=30)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert adjusted.max() <= 1
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


def test_holm_does_not_count_what_was_not_compared() -> None:
    adjusted = holm([math.nan, 0.02, math.nan, 0.01])
    assert np.isnan(adjusted[[0, 2]]).all()
    np.testing.assert_allclose(adjusted[[1, 3]], [0.02, 0.02])


@pytest.mark.parametrize("p", [[], [math.nan], [math.nan, math.nan]])
def test_holm_of_nothing_is_nothing(p: list[float]) -> None:
    assert len(holm(p)) == len(p)
    assert np.isnan(holm(p)).all()


def test_a_single_comparison_needs_no_adjustment() -> None:
    assert holm([0.03]).tolist() == [0.03]


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        # Steps of 1/20 and 1/10; of 4/20^2 and 4/10^2; of 32-bit numbers around 2 and 4.
        ("accuracy", (1 / 20**2 + 1 / 10**2) / 2 / 12),
        ("roc_auc", ((4 / 20**2) ** 2 + (4 / 10**2) ** 2) / 2 / 12),
        ("mse", ((2**-23 * 2) ** 2 + (2**-23 * 4) ** 2) / 2 / 12),
    ],
)
def test_the_resolution_of_a_measure_is_that_of_its_samples(measure: str, expected: float) -> None:
    found = rounding_variance(measure, [2.0, 4.0, math.nan, 3.0], [20, 10, 10, 0])
    assert found == pytest.approx(expected)
    assert rounding_variance(measure, [math.nan], [10]) == 0
    assert rounding_variance("accuracy", [1.0], [1]) == pytest.approx(1 / 12)

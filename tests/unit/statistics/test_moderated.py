"""Moderated variances: Smyth's moments, the cautions, and the set that holds the best."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special, stats
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from gridfold.statistics.intervals import paired_p_value
from gridfold.statistics.moderated import NO_PRIOR, PairedTest, fit_prior

Floats = npt.NDArray[np.float64]
FIVE_FOLDS = 1 / 4


def noise(splits: int, configurations: int, seed: int, sd: float | Floats = 1.0) -> Floats:
    return np.random.default_rng(seed).normal(size=(splits, configurations)) * sd


# -- the prior ------------------------------------------------------------------------------------


def test_the_prior_has_smyths_moments() -> None:
    scores = noise(6, 12, seed=0, sd=np.exp(np.random.default_rng(1).normal(0, 0.8, 12)))
    prior = fit_prior(scores, 0.0)
    pairs = [scores[:, i] - scores[:, j] for i in range(12) for j in range(i)]
    logs = np.log([np.var(d, ddof=1) for d in pairs])
    # Of the log of a variance with d degrees of freedom around one with d0: Smyth (2004), 6.2.
    worth = prior.freedom / (1 - 2 / 12)
    spread = special.polygamma(1, 5 / 2) + special.polygamma(1, worth / 2)
    assert np.var(logs, ddof=1) * 13 / 12 == pytest.approx(spread)
    center = math.log(prior.variance) + special.digamma(5 / 2) - math.log(5 / 2)
    center += math.log(worth / 2) - special.digamma(worth / 2)
    assert np.mean(logs) == pytest.approx(center)


def test_equal_variances_are_worth_as_much_as_all_residuals_and_no_more() -> None:
    scores = noise(10, 40, seed=2)
    prior = fit_prior(scores, 0.0)
    assert prior.variance == pytest.approx(2, rel=0.15)
    # 9 degrees of freedom for a pair, 9 x 39 for all residuals, and 4 x 9^2 at most.
    assert prior.freedom == pytest.approx(min(9 * 38, 4 * 9**2) * (1 - 2 / 40))


def test_the_fewer_splits_the_less_is_learnt() -> None:
    worth = [fit_prior(noise(splits, 100, seed=3), 0.0).freedom for splits in (2, 3, 5)]
    assert worth == pytest.approx([4 * 0.98, 16 * 0.98, 64 * 0.98])


@pytest.mark.parametrize(
    "scores",
    [
        np.empty((5, 0)),
        noise(5, 1, seed=4),
        noise(5, 2, seed=4),
        noise(1, 9, seed=4),
        np.full((5, 9), 0.5),
        np.full((5, 9), math.nan),
        np.repeat(noise(5, 2, seed=5), 9, axis=1),
    ],
    ids=["none", "one", "two", "one split", "equal", "nothing", "two that are repeated"],
)
def test_what_says_nothing_of_other_variances_leaves_each_its_own(scores: Floats) -> None:
    assert fit_prior(scores, 0.0) == NO_PRIOR
    test = PairedTest.of(scores, FIVE_FOLDS)
    for other in range(1, scores.shape[1]):
        found = test.differences(scores, scores[:, 0]).p_values[other]
        alone = paired_p_value(scores[:, 0], scores[:, other], FIVE_FOLDS)
        assert found == pytest.approx(alone, nan_ok=True)


def test_configurations_with_equal_scores_count_once() -> None:
    scores = noise(5, 6, seed=6)
    assert fit_prior(np.repeat(scores, 7, axis=1), 0.0) == fit_prior(scores, 0.0)


def test_variances_are_drawn_to_the_prior_but_for_those_far_above_it() -> None:
    scores = noise(5, 10, seed=7, sd=np.r_[5.0, np.full(9, 1.0)])
    test = PairedTest.of(scores, FIVE_FOLDS, 0.3)
    found = test.differences(scores, scores[:, 1])
    own = np.maximum(np.var(scores - scores[:, [1]], axis=0, ddof=1), 0.3)
    chance = stats.f.sf(own / test.prior.variance, 4, test.prior.freedom)
    assert chance[0] < 0.1 < chance[2:].min(), "the noisy one is unusual, the others are not"
    assert found.variance[0] == pytest.approx(own[0])
    weights = np.array([test.prior.freedom, 4]) / (test.prior.freedom + 4)
    drawn = weights @ [np.full(10, test.prior.variance), own]
    np.testing.assert_allclose(found.variance[1:], drawn[1:])


def test_the_number_of_configurations_is_bounded_and_bad_ones_do_not_matter() -> None:
    scores = np.hstack([noise(5, 300, seed=8), noise(5, 700, seed=9, sd=1e6)])
    assert fit_prior(scores, 0.0) == fit_prior(scores[:, :300], 0.0)


# -- the test -------------------------------------------------------------------------------------


def test_p_values_are_those_of_students_t_with_the_moderated_variance() -> None:
    scores = noise(5, 8, seed=10)
    test = PairedTest.of(scores, FIVE_FOLDS)
    found = test.differences(scores, scores[:, 0])
    mean = (scores - scores[:, [0]]).mean(axis=0)
    t = mean / np.sqrt((1 / 5 + 1 / 4) * np.where(found.variance > 0, found.variance, 1))
    expected = 2 * stats.t.sf(np.abs(t), 4 + test.prior.freedom)
    np.testing.assert_allclose(found.p_values, expected)
    np.testing.assert_allclose(test.of_any_pair(found.p_values), np.minimum(1, 28 * expected))
    # The interval excludes 0 exactly where the p-value is below.
    for level in (0.5, 0.05, 0.001):
        outside = np.abs(found.mean) > found.half_widths(1 - level)
        assert (outside == (found.p_values < level)).all()
        assert (outside == (np.abs(found.mean) > found.detectable(level))).all()


def test_splits_without_a_score_are_left_out_pair_by_pair() -> None:
    scores = noise(6, 4, seed=11)
    scores[0, 1], scores[1, 2], scores[2:, 3] = math.nan, math.inf, math.nan
    test = PairedTest.of(scores, FIVE_FOLDS)
    found = test.differences(scores, scores[:, 0])
    assert found.splits.tolist() == [6, 5, 5, 2]
    assert found.freedom - test.prior.freedom == pytest.approx([5, 4, 4, 1])
    assert np.isfinite(found.p_values).all()


def test_a_difference_known_to_no_resolution_is_no_difference() -> None:
    zeros = np.zeros((3, 2))
    found = PairedTest.of(zeros, 0.5).differences(zeros, zeros[:, 0])
    assert found.p_values.tolist() == [1, 1]
    assert np.isnan(found.effects).all()


@pytest.mark.parametrize("more", [1, -2, 3])
def test_differences_that_agree_on_all_splits_are_not_certain(more: int) -> None:
    right = np.array([36, 34, 32])
    scores = np.stack([right, right + more, right + 2 * more], axis=1) / 40
    found = PairedTest.of(scores, 0.5, 2 / 12 / 40**2).differences(scores, scores[:, 0])
    assert (found.p_values[1:] > 1e-3).all()
    assert (found.p_values[1:] < 0.2).all()


# -- which may be the best ------------------------------------------------------------------------


def test_what_another_one_clearly_beats_is_not_the_best() -> None:
    scores = noise(10, 6, seed=12, sd=0.01) + np.array([0, 0, 0, -0.5, -0.5, -1])
    found = PairedTest.of(scores, 1 / 9).may_be_best(scores, 0.95)
    assert found.tolist() == [True, True, True, False, False, False]


def test_it_is_left_out_at_the_one_sided_level_for_as_many_as_there_are_others() -> None:
    scores = noise(5, 4, seed=13)
    scores[:, 0] += 2
    scores = scores[:, np.argsort(-scores.mean(axis=0))]
    test = PairedTest.of(scores, FIVE_FOLDS)
    p = test.differences(scores, scores[:, 0]).p_values[3] / 2
    for confidence, expected in ((1 - 3 * p * 1.01, False), (1 - 3 * p * 0.99, True)):
        assert test.may_be_best(scores, confidence)[3] == expected


@pytest.mark.parametrize("scores", [np.ones((1, 3)), np.ones((4, 1)), np.ones((5, 3))])
def test_where_nothing_can_be_told_all_may_be(scores: Floats) -> None:
    assert PairedTest.of(scores, FIVE_FOLDS).may_be_best(scores, 0.95).all()
    assert len(PairedTest.of(scores[:, :0], FIVE_FOLDS).may_be_best(scores[:, :0], 0.95)) == 0


def test_what_diverges_is_not_the_best() -> None:
    scores = noise(5, 4, seed=16)
    scores[:, 2], scores[1, 3] = -math.inf, -math.inf
    found = PairedTest.of(scores, FIVE_FOLDS).may_be_best(scores, 0.95)
    assert found.tolist() == [True, True, False, False]


@pytest.mark.parametrize(("folds", "gap"), [(5, 0.0), (5, 1.0), (10, 1.0)])
def test_the_set_holds_the_best_as_often_as_it_promises(folds: int, gap: float) -> None:
    random, rho = np.random.default_rng(14), 1 / folds
    held, sizes = [], []
    for _ in range(400):
        common = random.normal(size=8) * math.sqrt(rho)
        scores = common + random.normal(size=(folds, 8)) * math.sqrt(1 - rho)
        # The last one is the best in truth.
        scores[:, 7] += gap
        order = np.argsort(-scores.mean(axis=0))
        found = PairedTest.of(scores[:, order], 1 / (folds - 1)).may_be_best(scores[:, order], 0.95)
        held.append(found[order.tolist().index(7)])
        sizes.append(found.sum())
    # At least 0.95, less three standard errors of 400 studies.
    assert np.mean(held) >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 400)
    assert np.mean(sizes) < 8


# -- really trained, exactly equivalent learners --------------------------------------------------
# Longer ones: benchmarks/statistics_tables.py.


def seeds(folds: int, samples: int, random: np.random.Generator) -> Floats:
    """Return accuracies of trees that differ in their seeds alone, on a part of a real data set."""
    x, y = load_breast_cancer(return_X_y=True)
    part = random.choice(len(x), samples, replace=False)
    scores = np.empty((folds, 6))
    for fold, (train, validate) in enumerate(KFold(folds).split(part)):
        for place in range(6):
            seed = int(random.integers(2**31))
            tree = DecisionTreeClassifier(splitter="random", max_depth=3, random_state=seed)
            tree.fit(x[part[train]], y[part[train]])
            scores[fold, place] = tree.score(x[part[validate]], y[part[validate]])
    return scores


def own_features(folds: int, samples: int, random: np.random.Generator) -> Floats:
    """Return accuracies of naive Bayes, each on one of six exchangeable columns."""
    y = random.permutation(np.arange(samples) % 2)
    x = (2 * y - 1) * 0.8 + random.normal(size=(6, samples))
    scores = np.empty((folds, 6))
    for fold, (train, validate) in enumerate(KFold(folds).split(y)):
        for place, column in enumerate(x[:, :, None]):
            found = GaussianNB().fit(column[train], y[train])
            scores[fold, place] = found.score(column[validate], y[validate])
    return scores


@pytest.mark.parametrize("learn", [seeds, own_features])
@pytest.mark.parametrize(("folds", "samples"), [(2, 40), (3, 60), (5, 100)])
def test_equally_good_trained_learners_rarely_seem_to_differ(
    learn: Callable[[int, int, np.random.Generator], Floats], folds: int, samples: int
) -> None:
    random, studies, wrong, lost = np.random.default_rng(15), 20, 0, 0
    for _ in range(studies):
        scores = learn(folds, samples, random)
        best = int(scores.mean(axis=0).argmax())
        least = 2 / 12 / (samples // folds) ** 2
        test = PairedTest.of(scores, 1 / (folds - 1), least)
        p = test.of_any_pair(test.differences(scores, scores[:, best]).p_values)
        wrong += bool((p <= 0.05).any())
        # Each of them is the best one: any will do.
        lost += not test.may_be_best(scores, 0.95)[0]
    # What a test of level 0.05 exceeds in one of a thousand simulations.
    most = stats.binom.ppf(0.999, studies, 0.05)
    assert wrong <= most
    assert lost <= most

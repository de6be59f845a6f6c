"""Noise of scores: against an analysis of variance, and where configurations were left behind."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from gridfold.statistics.additive import noise


def test_noise_is_the_residual_of_a_two_way_analysis_of_variance() -> None:
    scores = np.random.default_rng(0).normal(size=(7, 4)) + np.arange(4)
    rest = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0) + scores.mean()
    found = noise(scores)
    assert found.degrees == 6 * 3
    assert found.variance == pytest.approx((rest**2).sum() / 18)


def test_noise_of_configurations_that_were_left_behind_counts() -> None:
    random = np.random.default_rng(1)
    variances = []
    for _ in range(300):
        scores = random.normal(scale=0.02, size=(12, 5)) + random.normal(size=(12, 1))
        scores += random.normal(size=5)
        scores[6:, 1:] = np.nan
        scores[3:6, 3:] = np.nan
        found = noise(scores)
        variances.append(found.variance)
    assert found.degrees == 5 + 5 + 2 + 2
    assert np.mean(variances) == pytest.approx(0.02**2, rel=0.05)


def test_noise_of_two_configurations_is_half_the_variance_of_their_differences() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.95], [0.5, 0.6, 0.4, 0.45]])
    found = noise(scores)
    assert found.degrees == 3
    assert found.variance == pytest.approx(np.var(scores[0] - scores[1], ddof=1) / 2)


def test_the_second_split_counts_like_a_paired_test() -> None:
    scores = np.array([[0.1, 0.4], [0.3, 0.2], [0.6, 0.6]])
    # Of two splits the residual is half the variance of the differences between them.
    assert noise(scores).variance == pytest.approx(np.var([0.3, -0.1, 0.0], ddof=1) / 2)
    assert noise(scores).degrees == 2


def test_a_split_that_one_configuration_has_alone_tells_nothing_of_noise() -> None:
    scores = np.array([[0.1, 0.4, 0.9], [0.3, 0.2, np.nan], [0.6, 0.6, np.nan]])
    assert noise(scores) == noise(scores[:, :2])


def test_two_that_went_on_are_enough_to_tell() -> None:
    scores = np.array([[0.1, 0.4], [0.3, 0.2], [0.6, np.nan]])
    assert noise(scores) == noise(scores[:2])
    assert noise(scores).degrees == 1


@pytest.mark.parametrize("shape", [(1, 5), (4, 1), (1, 1)])
def test_without_two_configurations_on_two_splits_nothing_is_known(shape: tuple[int, int]) -> None:
    found = noise(np.zeros(shape), 0.25)
    assert math.isnan(found.variance)
    assert found.degrees == 0


def test_noise_is_never_below_the_resolution_of_the_scores() -> None:
    equal = np.full((3, 4), 0.5)
    assert noise(equal).variance == 0
    assert noise(equal, 0.01).variance == 0.01
    scores = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert noise(scores, 0.01).variance == pytest.approx(0.64)


def test_its_degrees_of_freedom_are_those_of_a_chi_square() -> None:
    random = np.random.default_rng(3)
    scores = random.normal(size=(2000, 4, 3))
    found = [noise(each) for each in scores]
    assert {each.degrees for each in found} == {6}
    result = stats.kstest([6 * each.variance for each in found], stats.chi2(6).cdf)
    assert result.pvalue > 0.001

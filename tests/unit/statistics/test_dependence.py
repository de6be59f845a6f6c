"""Samples that depend on each other: what is independent, and what that makes of an error."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from gridfold.statistics.bounded import interval_within
from gridfold.statistics.dependence import (
    Units,
    block_length,
    sample_errors,
    time_blocks,
    unit_error,
    unit_interval,
    units_of,
)
from gridfold.statistics.weighted import weighted_score
from gridfold.training.measures import Scorer

NUMBERS = np.random.default_rng(0).normal(size=(60, 1))


def series(memory: float, points: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    noise = random.normal(size=points + 100)
    for place in range(1, len(noise)):
        noise[place] += memory * noise[place - 1]
    return noise[100:]


def test_each_sample_is_its_own_unit_without_groups_and_times() -> None:
    given = Scorer("mse"), np.zeros((60, 1)), NUMBERS
    assert units_of(np.arange(60), None, *given) is None
    found = units_of(np.arange(60) // 4 + 100, None, *given)
    assert found is not None
    assert (found.kind, found.count) == ("groups", 15)


def test_the_error_of_a_mean_by_single_samples_is_the_usual_one() -> None:
    losses = NUMBERS[:, 0] ** 2
    score = weighted_score(Scorer("mse"), np.zeros((60, 1)), NUMBERS)
    error, used = unit_error(score, Units("groups", np.arange(60)))
    assert used == 60
    assert error == pytest.approx(losses.std(ddof=1) / np.sqrt(60))


def test_equal_samples_are_worth_one() -> None:
    groups = np.repeat(np.arange(15), 4)
    many = NUMBERS[:15].repeat(4, axis=0)
    one = weighted_score(Scorer("mse"), np.zeros((15, 1)), NUMBERS[:15])
    all_of_them = weighted_score(Scorer("mse"), np.zeros((60, 1)), many)
    assert unit_error(all_of_them, Units("groups", groups))[0] == pytest.approx(
        unit_error(one, Units("groups", np.arange(15)))[0]
    )


def test_the_length_of_blocks_follows_the_memory_of_a_series() -> None:
    lengths = [
        np.mean([block_length(series(memory, 300, seed)) for seed in range(20)])
        for memory in (0.0, 0.5, 0.9)
    ]
    assert lengths[0] < 5 < lengths[1] < 15 < lengths[2]
    # What the formula gives for an autoregression: (2 g^2 / D)^(1/3) n^(1/3), with
    # g = 2 m / (1 - m)^2 and D = 4/3 ((1 + m) / (1 - m))^2, all times the variance.
    memory, n = 0.5, 100_000
    g, d = 2 * memory / (1 - memory) ** 2, 4 / 3 * ((1 + memory) / (1 - memory)) ** 2
    expected = (2 * g**2 / d * n) ** (1 / 3)
    assert block_length(series(memory, n)) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("points", [1, 2, 3, 5, 40])
def test_any_series_has_blocks(points: int) -> None:
    for errors in (np.zeros(points), np.arange(points, dtype=float)):
        blocks = time_blocks(np.arange(points), errors)
        assert blocks.tolist() == sorted(blocks)
        assert set(blocks) == set(range(blocks.max() + 1))
        assert blocks.max() + 1 <= 10


def test_samples_of_one_time_are_in_one_block() -> None:
    times = np.repeat(np.arange(30), 3)[::-1]
    blocks = time_blocks(times, np.random.default_rng(1).random(90))
    assert all(len(set(blocks[times == time])) == 1 for time in range(30))
    assert blocks[0] == blocks.max()


def test_samples_compared_by_time_are_in_blocks_of_their_errors() -> None:
    errors = series(0.8, 60)[:, np.newaxis]
    times = np.arange(60) // 2
    found = units_of(np.arange(60), times, Scorer("mse"), np.zeros((60, 1)), errors)
    assert found is not None
    assert found.kind == "blocks"
    assert found.codes.tolist() == time_blocks(times, errors[:, 0] ** 2).tolist()
    assert found.count == found.codes.max() + 1


def test_a_single_group_is_a_unit() -> None:
    found = units_of(np.zeros(60), None, Scorer("mse"), np.zeros((60, 1)), NUMBERS)
    assert found is not None
    assert (found.kind, found.count) == ("groups", 1)
    assert found.codes.tolist() == [0] * 60


def test_errors_of_samples_are_what_a_measure_averages_or_the_nearest_to_it() -> None:
    targets, predictions = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 4.0], [0.0, 4.0]])
    assert sample_errors(Scorer("mae"), targets, predictions).tolist() == [1.0, 1.5]
    # No mean over samples: by squares.
    assert sample_errors(Scorer("r2"), targets, predictions).tolist() == [2.0, 4.5]
    classes, chances = np.array([0, 1, 1]), np.array([[0.2], [0.7], [0.4]])
    # Of a share of right answers, what each adds to it.
    assert sample_errors(Scorer("accuracy"), classes, chances).tolist() == [1.0, 1.0, 0.0]
    np.testing.assert_allclose(sample_errors(Scorer("roc_auc"), classes, chances), [0.2, 0.3, 0.6])


def test_single_precision_errors_are_squared_in_double() -> None:
    predictions = np.full((1, 1), 1e-30, np.float32)
    assert sample_errors(Scorer("r2"), np.zeros((1, 1)), predictions)[0] == pytest.approx(1e-60)


@pytest.mark.parametrize("points", [3, 4, 100])
def test_a_series_without_memory_or_change_has_blocks_of_one_point(points: int) -> None:
    assert block_length(np.ones(points)) == 1.0
    assert block_length(series(-0.9, points)) <= points / 3 + 1


def test_no_block_is_longer_than_three_roots_of_a_series() -> None:
    # Slower than any of its lags.
    slow = np.cos(np.linspace(0, np.pi, 50_000))
    assert block_length(slow) == pytest.approx(3 * math.sqrt(50_000))


def reference_length(values: np.ndarray) -> float:
    """Return the length for the circular bootstrap, written as Patton, Politis & White print it."""
    n = len(values)
    k_n = max(5, int(math.sqrt(math.log10(n))))
    m_max = min(math.ceil(math.sqrt(n)) + k_n, n - 1)
    mean = sum(values) / n
    r = [sum((values[t] - mean) * (values[t + k] - mean) for t in range(n - k)) / n
         for k in range(m_max + 1)]  # fmt: skip
    bound = 2 * math.sqrt(math.log10(n) / n)
    insignificant = [abs(r[k] / r[0]) < bound for k in range(1, m_max + 1)]
    m_hat = None
    for m in range(m_max - k_n + 1):
        if all(insignificant[m : m + k_n]):
            m_hat = m
            break
    if m_hat is None:
        m_hat = max((k + 1 for k, none in enumerate(insignificant) if not none), default=0)
    big_m = min(2 * max(m_hat, 1), m_max)

    def flat_top(t: float) -> float:
        return 1.0 if abs(t) <= 0.5 else 2 * (1 - abs(t)) if abs(t) <= 1 else 0.0

    g = sum(flat_top(k / big_m) * abs(k) * r[abs(k)] for k in range(-big_m, big_m + 1))
    s = sum(flat_top(k / big_m) * r[abs(k)] for k in range(-big_m, big_m + 1))
    if s <= 0:
        return 1.0
    length = (2 * g**2 / (4 / 3 * s**2)) ** (1 / 3) * n ** (1 / 3)
    return float(min(max(length, 1.0), 3 * math.sqrt(n), n / 3))


@pytest.mark.parametrize("memory", [-0.7, 0.0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("points", [4, 5, 7, 12, 40, 150])
def test_lengths_are_those_of_the_formula_written_out(memory: float, points: int) -> None:
    for seed in range(4):
        values = series(memory, points, seed)
        assert block_length(values) == pytest.approx(reference_length(values)), seed


def test_blocks_are_twice_as_long_as_is_best_and_of_equal_length() -> None:
    values = series(0.6, 90, 3)
    blocks = time_blocks(np.arange(90), values)
    count = int(np.clip(90 / (2 * block_length(values)), 2, 10))
    assert 2 < count < 10
    sizes = np.bincount(blocks)
    assert len(sizes) == count
    assert sizes.max() - sizes.min() <= 1
    # Ten at most, however short is best; two at least, however long.
    assert time_blocks(np.arange(90), series(0.0, 90)).max() == 9
    assert time_blocks(np.arange(30), np.cumsum(np.ones(30))).max() == 1


def test_the_errors_of_one_time_are_averaged() -> None:
    values = series(0.6, 90, 3)
    times = np.repeat(np.arange(90), 2)
    spread = np.stack([values + 1, values - 1], axis=1).ravel()
    assert time_blocks(times, spread)[::2].tolist() == time_blocks(np.arange(90), values).tolist()
    # However many samples a time has.
    often = np.random.default_rng(5).integers(1, 9, 90)
    blocks = time_blocks(np.arange(90).repeat(often), values.repeat(often))
    first = np.cumsum(often) - often
    assert blocks[first].tolist() == time_blocks(np.arange(90), values).tolist()


def test_two_units_have_an_interval() -> None:
    score = weighted_score(Scorer("mse"), np.zeros((60, 1)), NUMBERS)
    units = Units("groups", np.arange(60) // 30)
    found = unit_interval(Scorer("mse"), float((NUMBERS**2).mean()), score, units, 0.95)
    assert found is not None
    assert found[0] < found[1]


def test_the_error_by_units_is_the_jackknife_written_out() -> None:
    groups = np.array([0, 0, 0, 1, 1, 2, 3, 3])
    truth, predictions = np.zeros((8, 1)), NUMBERS[:8]
    scorer = Scorer("r2")
    truth = truth + np.arange(8)[:, np.newaxis]
    left = [scorer.score(truth[groups != g], predictions[groups != g]) for g in range(4)]
    error, used = unit_error(weighted_score(scorer, truth, predictions), Units("groups", groups))
    assert used == 4
    assert error == pytest.approx(math.sqrt(3 / 4 * sum((v - np.mean(left)) ** 2 for v in left)))


def test_units_without_which_there_is_no_score_are_left_out() -> None:
    # Without the only group that has positives there is no area.
    targets = np.array([1, 1, 0, 0, 0, 0, 1, 0])
    groups = np.array([0, 0, 0, 1, 1, 2, 0, 2])
    score = weighted_score(Scorer("roc_auc"), targets, np.linspace(0.1, 0.9, 8)[:, np.newaxis])
    error, used = unit_error(score, Units("groups", groups))
    assert used == 2
    assert math.isfinite(error)
    two = Units("groups", (groups > 0).astype(int))
    error, used = unit_error(score, two)
    assert used == 1
    assert math.isnan(error)
    assert unit_interval(Scorer("roc_auc"), 0.5, score, two, 0.95) is None


def test_the_interval_is_students_for_the_number_of_units_within_the_range() -> None:
    groups = np.repeat(np.arange(6), 10)
    for scorer in (Scorer("mse"), Scorer("r2")):
        truth = np.random.default_rng(4).normal(size=(60, 1)) + NUMBERS
        score, units = weighted_score(scorer, truth, NUMBERS), Units("groups", groups)
        value = scorer.score(truth, NUMBERS)
        error, used = unit_error(score, units)
        assert used == 6
        expected = interval_within(
            scorer.measure,
            value,
            error,
            float(stats.t(5).ppf(0.95)),
            at_the_end=6,
            most=60 if scorer.measure == "mse" else math.inf,
        )
        found = unit_interval(scorer, value, score, units, 0.9)
        assert found == pytest.approx(expected)
        assert found is not None
        assert found[0] < value < found[1]


def test_a_perfect_share_of_dependent_samples_still_has_an_interval() -> None:
    targets = np.arange(60) % 2
    predictions = targets[:, np.newaxis].astype(float)
    groups = np.repeat(np.arange(6), 10)
    score = weighted_score(Scorer("accuracy"), targets, predictions)
    found = unit_interval(Scorer("accuracy"), 1.0, score, Units("groups", groups), 0.95)
    assert found is not None
    low, high = found
    assert high == 1
    # What six units allow, not what sixty samples would.
    assert 0.3 < low < 0.65


def test_of_a_share_no_units_are_worth_more_samples_than_there_are() -> None:
    # Groups of a hundred that agree to one sample: by their spread, they are worth thousands.
    right = np.concatenate([np.arange(100) < many for many in (75, 75, 76, 75)])
    predictions = np.where(right, 0.2, 0.9)[:, np.newaxis]
    score = weighted_score(Scorer("accuracy"), np.zeros(400, int), predictions)
    units, share = Units("groups", np.arange(400) // 100), 301 / 400
    found = unit_interval(Scorer("accuracy"), share, score, units, 0.9)
    error, quantile = math.sqrt(share * (1 - share) / 400), float(stats.t(3).ppf(0.95))
    assert found == pytest.approx(
        interval_within("accuracy", share, error, quantile, at_the_end=math.inf)
    )

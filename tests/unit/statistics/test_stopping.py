"""A search that stops: on tables of real trainings, and at the edges of what scores can be."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from workbench import ROOT

from gridfold.plan.stopping import StopDecision, batches, last_decision, looks
from gridfold.requests import StoppingRule
from gridfold.statistics.intervals import corrected_standard_error
from gridfold.statistics.stopping import decide
from gridfold.study.sections.stages import Stop

sys.path.insert(0, str(ROOT / "benchmarks"))
import stopping as tables

# Other modules there would hide those of Python, also from processes that are started later.
sys.path.remove(str(ROOT / "benchmarks"))

DEFAULT = Stop()
RULE = StoppingRule(DEFAULT.after, DEFAULT.gain, DEFAULT.risk, 200)


def decided(scores: Any, measure: str = "fake_score", rule: StoppingRule = RULE) -> StopDecision:
    return decide(rule, measure, scores, 1 / 4, 1000)


def drawn(count: int, seed: int = 0, splits: int = 5, noise: float = 0.01) -> np.ndarray:
    """Return scores whose means are spread by 1, with little noise over the splits."""
    random = np.random.default_rng(seed)
    return random.normal(size=(count, 1)) + random.normal(scale=noise, size=(count, splits))


# -- what it is for ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "measure"),
    [("random", "accuracy"), ("Sobol", "accuracy"), ("random", "table_error")],
)
def test_nine_of_ten_searches_that_stop_miss_at_most_half_the_noise(
    strategy: str, measure: str
) -> None:
    draw = tables.STRATEGIES[strategy]
    found = tables.simulated(draw, measure, RULE, tables.DATA, 15)
    early = [search for search in found if search.tried < search.total]
    # Of 120 searches of 200 configurations, so many stop; all saved a fifth of the trainings.
    assert len(early) >= 0.4 * len(found)
    assert sum(search.missed <= 0.5 for search in early) >= 0.9 * len(early)
    saved = 1 - sum(search.tried for search in found) / sum(search.total for search in found)
    assert saved > 0.15


def test_what_one_more_is_expected_to_gain_is_what_it_gains() -> None:
    # Exponential tails are those that the estimate assumes.
    random = np.random.default_rng(1)
    promised, gained = [], []
    for _ in range(2000):
        means = random.exponential(size=60)
        promised.append(decided(means[:50, None] + np.array([0, 0.01])).gain or 0.0)
        # Each of ten others as the next one.
        gained.append(np.maximum(0.0, means[50:] - means[:50].max()).mean())
    assert np.mean(promised) == pytest.approx(np.mean(gained), rel=0.2)
    assert np.mean(promised) == pytest.approx(1 / 51, rel=0.1)


def test_the_chance_is_how_often_the_rest_is_better() -> None:
    random = np.random.default_rng(2)
    rule = replace(RULE, total=100, gain=0.5)
    promised, better = [], []
    for _ in range(2000):
        means = random.exponential(size=100)
        decision = decided(means[:50, None] + np.array([0.0, 2.0]), rule=rule)
        promised.append(decision.chance or 0.0)
        better.append(means[50:].max() > means[:50].max() + 0.5 * (decision.noise or 0.0))
    assert np.mean(promised) == pytest.approx(np.mean(better), abs=0.04)


def test_the_noise_is_the_corrected_standard_error_of_a_good_configuration() -> None:
    # All have the same spread, so that it does not matter which are good.
    spread = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])
    scores = np.random.default_rng(3).normal(size=(30, 1)) + spread
    assert decided(scores).noise == pytest.approx(corrected_standard_error(spread, 1 / 4))


def test_bad_configurations_do_not_count_for_the_noise() -> None:
    scores = drawn(40)
    wild = scores - 100 + np.array([-50, 0, 0, 0, 50])
    noise = decided(np.concatenate([scores, wild])).noise
    assert noise == pytest.approx(decided(scores).noise, rel=0.5)


def test_of_a_loss_less_is_better() -> None:
    scores = drawn(40)
    higher, lower = decided(scores), decided(-scores, "fake_loss")
    assert lower == replace(higher, measure="fake_loss", best=-(higher.best or 0.0))
    assert lower.best == pytest.approx(-scores.mean(axis=1).max())


def test_the_more_is_known_the_less_the_rest_promises() -> None:
    scores = drawn(160, noise=2.0)
    chances = [decided(scores[:count]).chance or 0.0 for count in (20, 80, 160)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.1
    wider = [decided(scores[:80], rule=replace(RULE, total=n)).chance or 0.0 for n in (100, 1000)]
    assert wider[0] < wider[1]


# -- what scores can be ----------------------------------------------------------------------------


def test_a_measure_at_its_limit_has_nothing_left_to_gain() -> None:
    scores = drawn(20, noise=0.0) * 0.0 + np.linspace(0.5, 1.0, 20)[:, None]
    decision = decided(scores, "accuracy")
    assert decision.stops
    assert (decision.gain, decision.rest_gain, decision.chance) == (0.0, 0.0, 0.0)
    assert decided(1 - scores, "log_loss").stops
    # Without a limit the same scores promise more.
    assert not decided(scores).stops


def test_no_gain_reaches_beyond_the_limit_of_the_measure() -> None:
    scores = np.linspace(0.2, 0.999, 20)[:, None] + np.array([-0.0005, 0.0005])
    decision = decided(scores, "accuracy")
    assert decision.rest_gain == pytest.approx(0.001)


@pytest.mark.parametrize("measure", ["accuracy", "log_loss", "mse", "fake_score"])
def test_scores_that_are_all_the_same_stop_nothing_early(measure: str) -> None:
    decision = decided(np.full((20, 5), 0.5), measure)
    assert not decision.stops
    assert decision.noise is not None
    assert decision.noise > 0
    assert decision.gain == pytest.approx(0, abs=1e-3)


def test_scores_that_are_all_zero_without_a_limit_stop_nothing() -> None:
    decision = decided(np.zeros((40, 2)))
    assert (decision.stops, decision.noise, decision.chance) == (False, 0.0, 1.0)


def test_ties_at_the_top_are_told_from_noise() -> None:
    # Ten classes of scores, of which the best is reached by six of twenty, with noise over splits.
    spread = np.array([-0.04, 0.0, 0.04])
    scores = np.r_[np.full(6, 0.95), np.linspace(0.3, 0.9, 14)][:, None] + spread
    assert decided(scores, "accuracy").stops


def test_failed_and_undefined_trials_are_tried_and_tell_nothing() -> None:
    scores = drawn(40)
    holes = scores.copy()
    holes[5] = np.nan
    holes[7, 2] = np.nan
    holes[9, 1] = -1e200
    decision = decided(holes)
    assert (decision.tried, decision.scored) == (40, 37)
    rest = decided(np.delete(scores, [5, 7, 9], axis=0), rule=replace(RULE, total=197))
    assert decision.chance == rest.chance
    assert decision.noise == rest.noise


def test_too_few_scores_say_nothing() -> None:
    scores = np.full((20, 5), np.nan)
    scores[:9] = drawn(9)
    decision = decided(scores)
    assert (decision.stops, decision.noise, decision.chance) == (False, None, None)
    assert decision.sentence.endswith("only 9 of them have a score on every split")
    assert decided(np.full((20, 5), np.nan)).scored == 0


def test_a_tuner_that_still_improves_is_not_taken_for_a_random_search() -> None:
    # Sorted: each new configuration is the best so far.
    climbing = np.sort(drawn(40, noise=3.0), axis=0)
    random = decide(RULE, "fake_score", climbing, 1 / 4, 1000)
    learning = decide(RULE, "fake_score", climbing, 1 / 4, 1000, adapts=True)
    assert learning.gain is not None
    assert random.gain is not None
    assert learning.gain > 10 * random.gain
    assert not learning.stops


# -- when it looks ---------------------------------------------------------------------------------


def test_it_looks_more_seldom_the_longer_it_goes_on() -> None:
    assert looks(20, 200) == [20, 30, 40, 60, 80, 120, 160]
    assert batches(20, 200) == [20, 10, 10, 20, 20, 40, 40, 40]
    assert len(looks(20, 10_000)) < 20


@pytest.mark.parametrize("total", [25, 26, 61, 161, 199, 200, 1000])
def test_batches_hold_everything_and_a_larger_search_has_the_same(total: int) -> None:
    assert sum(batches(20, total)) == total
    assert looks(20, 4 * total)[: len(looks(20, total))] == looks(20, total)


def test_there_is_no_look_at_the_end() -> None:
    assert looks(20, 24) == []
    assert looks(20, 25) == [20]
    assert batches(20, 20) == [20]


def test_the_decision_that_stopped_a_search_is_the_last_one() -> None:
    on, off = decided(drawn(40)), replace(decided(drawn(40)), stops=True)
    later = replace(on, tried=99)
    assert last_decision([None, on, later]) == later
    assert last_decision([on, off, later]) == off
    assert last_decision([None]) is None


def test_the_sentence_has_the_numbers() -> None:
    decision = StopDecision(
        True, 40, 39, 200, "accuracy", 0.5, 0.1, 0.97, 0.00612, 0.000412, 0.0021, 0.0423
    )
    assert decision.sentence == (
        "stopped after 40 of 200 configurations: another one is expected to gain 0.0004 in "
        "accuracy, the cross-validation's noise is 0.0061; the other 160 gain more than 50% of it "
        "with a chance of 4% (limit 10%)"
    )


# -- the numbers, written out ----------------------------------------------------------------------


@pytest.mark.parametrize(("measure", "sign"), [("fake_score", 1), ("mse", -1)])
def test_the_promise_of_one_more_is_the_excess_of_the_best_over_the_next(
    measure: str, sign: int
) -> None:
    scores = 10 + drawn(40, seed=4, noise=0.0)
    found = decided(scores, measure)
    means = np.sort(sign * scores.mean(axis=1))[::-1]
    # The best tenth would be four; five are the fewest.
    excess = means[:5].mean() - means[5]
    assert found.best == pytest.approx(sign * means[0])
    # One of forty-one is expected to be the best, and the rest to follow one after the other.
    assert found.gain == pytest.approx(excess / 41)
    each = -np.expm1(np.arange(1, 161) * np.log1p(-1 / 41)) / np.arange(1, 161)
    assert found.rest_gain == pytest.approx(excess * each.sum())
    assert found.noise is not None
    gain = found.noise * RULE.gain
    expected = 1 - (1 - np.exp(-gain / excess) / 41) ** 160
    assert found.chance == pytest.approx(expected)


def test_ties_at_the_top_are_as_far_apart_as_the_resolution_of_their_mean() -> None:
    scores = np.concatenate([np.full((30, 4), 0.9), np.full((30, 4), 0.5)])
    found = decide(replace(RULE, total=61), "accuracy", scores, 1 / 4, 50)
    # Shares of fifty samples in steps of 1/50, averaged over four splits.
    scale = np.sqrt(1 / 50**2 / 12 / 4)
    assert found.gain == pytest.approx(scale / 61)

"""What an asynchronous Hyperband trains next, whatever ends in whatever order."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfold.space.hyperband import schedule
from gridfold.space.promotions import Promotions
from gridfold.store.decision_log import Decision


def begun_with(epochs: int, factor: int, brackets: int | None = None) -> dict[int, list[str]]:
    return {
        rung.bracket: [f"{rung.bracket}-{number}" for number in range(rung.configurations)]
        for rung in schedule(epochs, factor, brackets)
        if rung.rung == 0
    }


def promotions(
    epochs: int = 9, factor: int = 3, brackets: int | None = 1, sign: int = 1
) -> Promotions:
    rungs = schedule(epochs, factor, brackets)
    return Promotions(rungs, begun_with(epochs, factor, brackets), factor, sign)


def begin(state: Promotions, *scores: float | None) -> None:
    """Let the next configurations begin and end with these scores."""
    for score in scores:
        decision = state.next()
        assert decision is not None
        state.take(decision)
        state.end(decision, score)


def test_nothing_goes_on_before_a_rung_has_finished_as_many_as_the_factor() -> None:
    state = promotions()
    begin(state, 0.1, 0.2)
    assert state.next() == Decision(2, 0, "2-2")


def test_the_best_third_of_what_has_ended_goes_on_before_anything_new_begins() -> None:
    state = promotions()
    begin(state, 0.1, 0.3, 0.2)
    assert state.next() == Decision(2, 1, "2-1")


def test_small_scores_are_good_where_the_measure_says_so() -> None:
    state = promotions(sign=-1)
    begin(state, 0.1, 0.3, 0.2)
    assert state.next() == Decision(2, 1, "2-0")


def test_among_equal_ones_the_one_drawn_first_goes_on() -> None:
    state = promotions()
    begin(state, 0.3, 0.3, 0.3)
    assert state.next() == Decision(2, 1, "2-0")


def test_what_has_gone_on_stays_there_though_better_ones_come() -> None:
    state = promotions()
    begin(state, 0.1, 0.3, 0.2)
    begin(state, 0.3)  # of rung 1
    begin(state, 0.9)
    # Of four, one may go on; it is the new one, and the early one has had its turn.
    assert state.next() == Decision(2, 1, "2-3")
    assert state.taken(2, 1) == ["2-1"]


def test_what_diverged_counts_as_ended_and_does_not_go_on() -> None:
    state = promotions()
    begin(state, None, None, 0.1)
    assert state.next() == Decision(2, 1, "2-2")


def test_a_rung_with_few_scores_still_passes_on_what_the_schedule_says() -> None:
    state = promotions()
    begin(state, *[None] * 8, 0.5)
    # Rung 1 has one configuration where the schedule has three, and a third of one is none.
    begin(state, 0.5)
    assert state.next() == Decision(2, 2, "2-8")


def test_every_bracket_begins_its_share() -> None:
    state = promotions(brackets=None)
    first = []
    for _ in range(3):
        decision = state.next()
        assert decision is not None
        state.take(decision)
        first.append(decision.bracket)
    assert first == [2, 1, 0]


def test_what_the_brackets_do_not_have_is_left_out() -> None:
    state = promotions()
    assert not state.take(Decision(2, 0, "unknown"))
    assert not state.take(Decision(7, 0, "2-0"))
    assert not state.take(Decision(2, 5, "2-0"))
    assert state.take(Decision(2, 0, "2-0"))
    assert not state.take(Decision(2, 0, "2-0")), "a line that is there twice counts once"


def test_an_end_counts_once() -> None:
    state = promotions()
    begin(state, 0.1)
    with pytest.raises(AssertionError):
        state.end(Decision(2, 0, "2-0"), 0.2)


@dataclass
class Simulation:
    """Workers that take, train and end in an order drawn by chance."""

    epochs: int
    factor: int
    brackets: int | None
    seed: int
    failing: float
    log: list[tuple[Decision, float | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.luck = random.Random(self.seed)
        self.rungs = schedule(self.epochs, self.factor, self.brackets)
        self.begun = begun_with(self.epochs, self.factor, self.brackets)
        self.ended: dict[tuple[int, int], dict[str, float | None]] = {
            (r.bracket, r.rung): {} for r in self.rungs
        }
        self.taken: set[Decision] = set()

    def fresh(self) -> Promotions:
        return Promotions(self.rungs, self.begun, self.factor, 1)

    def score(self) -> float | None:
        # Few values, so that there are equal ones.
        return None if self.luck.random() < self.failing else self.luck.randrange(20) / 20

    def judge(self, decision: Decision) -> None:
        """Assert that a decision is allowed now."""
        assert decision not in self.taken, "no configuration is in a rung twice"
        bracket, rung, config_id = decision.bracket, decision.rung, decision.config_id
        if rung == 0:
            assert config_id in self.begun[bracket]
            return
        before = self.ended[bracket, rung - 1]
        assert before.get(config_id) is not None, "it has a score in the rung below"
        better = sum(s is not None and s > (before[config_id] or 0) for s in before.values())
        most = len(before) // self.factor
        if better >= most:
            # Allowed where no more can come to the rung below: the schedule's number goes on.
            below = [d for d in self.taken if (d.bracket, d.rung) == (bracket, rung - 1)]
            scheduled = next(r for r in self.rungs if (r.bracket, r.rung) == (bracket, rung))
            assert len(below) == len(before), "something is under way in the rung below"
            assert better < scheduled.configurations
            assert len(self.ended[bracket, 0]) == len(self.begun[bracket])

    def run(self, workers: int) -> Promotions:
        state, running = self.fresh(), list[Decision]()
        while True:
            while len(running) < workers and (decision := state.next()) is not None:
                self.judge(decision)
                assert state.take(decision)
                self.taken.add(decision)
                running.append(decision)
            if not running:
                return state
            ended = running.pop(self.luck.randrange(len(running)))
            score = self.score()
            state.end(ended, score)
            self.ended[ended.bracket, ended.rung][ended.config_id] = score
            self.log.append((ended, score))


SIMULATIONS = st.builds(
    Simulation,
    epochs=st.integers(1, 30),
    factor=st.integers(2, 4),
    brackets=st.none() | st.integers(1, 3),
    seed=st.integers(0, 10**6),
    failing=st.sampled_from([0.0, 0.0, 0.2, 0.9]),
)


@given(SIMULATIONS, st.integers(1, 20))
def test_only_the_best_of_what_has_ended_goes_on_and_nothing_is_left_out(
    simulation: Simulation, workers: int
) -> None:
    state = simulation.run(workers)
    for bracket, ids in simulation.begun.items():
        assert sorted(state.taken(bracket, 0)) == sorted(ids)
    for rung in simulation.rungs:
        ended = simulation.ended[rung.bracket, rung.rung]
        scored = [i for i, score in ended.items() if score is not None]
        following = [r for r in simulation.rungs if r.bracket == rung.bracket]
        if rung.is_last:
            continue
        after = next(r for r in following if r.rung == rung.rung + 1)
        # At least what the synchronous schedule would train.
        wanted = min(after.configurations, len(scored))
        assert len(state.taken(rung.bracket, after.rung)) >= wanted


@given(SIMULATIONS, st.integers(1, 5), st.randoms(use_true_random=False))
def test_a_state_made_of_what_is_known_goes_on_as_the_first_one(
    simulation: Simulation, workers: int, luck: random.Random
) -> None:
    state = simulation.run(workers)
    again = simulation.fresh()
    decisions = [d for key in state.keys for d in _decisions(state, *key)]
    luck.shuffle(decisions)
    for decision in decisions:
        again.take(decision)
    ends = list(simulation.log)
    luck.shuffle(ends)
    for decision, score in ends:
        again.end(decision, score)
    assert again.next() is None
    assert all(set(again.taken(*key)) == set(state.taken(*key)) for key in state.keys)


def _decisions(state: Promotions, bracket: int, rung: int) -> list[Decision]:
    return [Decision(bracket, rung, config_id) for config_id in state.taken(bracket, rung)]


def test_one_worker_decides_the_same_each_time() -> None:
    runs = []
    for _ in range(2):
        simulation = Simulation(27, 3, None, seed=5, failing=0.1)
        simulation.run(workers=1)
        runs.append(simulation.log)
    assert runs[0] == runs[1]

"""A search with Keras Tuner that stops by itself, and what remains of it when it need not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from searches import prepared, searched, trials_of, tuned

from gridfold.plan.stopping import StopDecision
from gridfold.search.tuner.local_oracle import open_oracle
from gridfold.search.tuner.outcome import explored
from gridfold.search.tuner.protocol import (
    COMPLETED,
    FAILED,
    IDLE,
    RUNNING,
    STOPPED,
    Proposal,
    TrialOutcome,
)
from gridfold.search.tuner.search import TuningStudy
from gridfold.search.tuner.stopping import BegunTrial, TunerStop, begun_trials

MOST = 14


def study_of(tuner: str = "random", **search: Any) -> dict[str, Any]:
    study = tuned({"tuner": tuner, "max_trials": MOST}, training={"epochs": 1})
    study["search"].update(search)
    return study


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TuningStudy]:
    """Return a search that has stopped at its first look, with two workers, and its folder."""
    folder = tmp_path_factory.mktemp("stopped")
    study = prepared(folder, study_of(stop={"after": 10, "risk": 0.99}))
    searched(study, workers=2)
    return folder, study


def test_a_search_stops_when_the_first_trials_say_so(stopped: tuple[Path, TuningStudy]) -> None:
    _, study = stopped
    # The other worker may have begun one more.
    assert 10 <= len(trials_of(study)) <= 11
    assert {trial.status for trial in trials_of(study)} == {COMPLETED}
    file = explored(study)
    assert file.decision is not None
    assert file.decision.stops
    assert (file.decision.tried, file.decision.total) == (10, MOST)
    first = trials_of(study)[:10]
    assert file.decision.best == pytest.approx(max(t.score or 0.0 for t in first))


def test_a_search_that_has_stopped_asks_for_nothing_when_it_is_run_again(
    stopped: tuple[Path, TuningStudy],
) -> None:
    _, study = stopped
    before = trials_of(study)
    assert open_oracle(study).ask("one-0") == STOPPED
    assert trials_of(study) == before


def test_without_stop_the_same_search_goes_on(stopped: tuple[Path, TuningStudy]) -> None:
    folder, study = stopped
    before = trials_of(study)
    whole = prepared(folder, study_of())
    assert whole.fingerprint() == study.fingerprint()
    searched(whole)
    after = trials_of(whole)
    assert len(after) == MOST
    assert after[: len(before)] == before
    assert explored(whole).decision is None


class _Told(TunerStop):
    """Looks at scores that a test has made up."""

    def __init__(self, study: TuningStudy, scores: dict[str, float]) -> None:
        assert study.stopping is not None
        super().__init__(study, study.stopping)
        self.told = scores

    def _scores(self, trial: BegunTrial) -> list[float]:
        score = self.told.get(trial.trial_id, np.nan)
        return [score - 0.1, score + 0.1]


def test_nothing_is_decided_while_one_of_the_first_trials_runs(tmp_path: Path) -> None:
    study = prepared(tmp_path, study_of(stop={"after": 10, "risk": 0.99}))
    oracle = open_oracle(study)
    stop = oracle._stop = _Told(study, {})

    def decided() -> StopDecision | None:
        return stop.decision(begun_trials(oracle.keras_oracle))

    def tell(trial_id: str, score: float) -> None:
        stop.told[trial_id] = score
        oracle.tell(trial_id, TrialOutcome(COMPLETED, {"accuracy": score}, 1))

    first, *rest = [oracle.ask(f"w-{number}") for number in range(11)]
    assert isinstance(first, Proposal)
    for number, answer in enumerate(rest):
        assert isinstance(answer, Proposal)
        tell(answer.trial_id, 0.5 + 0.01 * number)
    assert decided() is None
    assert isinstance(oracle.ask("another"), Proposal)
    tell(first.trial_id, 0.4)
    decision = decided()
    assert decision is not None
    assert decision.stops
    # The eleventh has ended and is not looked at.
    assert decision.best == pytest.approx(0.5 + 0.01 * 8)
    assert oracle.ask("w-0") == STOPPED
    # The last one that was begun is lost with its worker: it is given to another.
    assert not oracle.is_finished()
    oracle.give_back("another")
    again = oracle.ask("w-1")
    assert isinstance(again, Proposal)
    tell(again.trial_id, 0.5)
    assert oracle.ask("w-1") == STOPPED
    assert oracle.is_finished()
    assert oracle.ask("w-2") not in (IDLE, RUNNING)


def test_failed_trials_are_tried_and_tell_nothing(tmp_path: Path) -> None:
    study = prepared(tmp_path, study_of(stop={"after": 10, "risk": 0.99}))
    stop = _Told(study, {str(number): 0.5 + 0.01 * number for number in range(9)})
    begun = [BegunTrial(str(n), FAILED if n == 9 else COMPLETED, {}) for n in range(10)]
    decision = stop.decision(begun)
    assert decision is not None
    assert (decision.stops, decision.tried, decision.scored) == (False, 10, 9)
    # What failed says nothing, even if something of it is in the run store.
    assert np.isnan(TunerStop(study, stop._rule)._scores(begun[9])).all()

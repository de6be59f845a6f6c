"""Who goes on: by the mean over the splits, without those that failed, ties in order."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gridfold.plan.stage_file import StageFile, slot_request
from gridfold.requests import (
    ChoiceRequest,
    ChosenConfiguration,
    Conditions,
    StoppingRule,
    TrainRequest,
)
from gridfold.search import decisions
from gridfold.search.ranking import ranked


def file(*names: str, splits: tuple[str, ...] = ("r0f0", "r0f1"), stage: str = "b2r0") -> StageFile:
    configurations = (ChosenConfiguration(n, n, {}, {"training": {}}, 1) for n in names)
    return StageFile(stage, splits, tuple(configurations))


def trials(**scores: list[float | None]) -> pd.DataFrame:
    rows = [
        {
            "config_id": name,
            "split": f"r0f{fold}",
            "status": "failed" if score is None else "finished",
            "accuracy": float("nan") if score is None else score,
            "log_loss": float("nan") if score is None else 1 - score,
        }
        for name, values in scores.items()
        for fold, score in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["config_id", "split", "status", "accuracy", "log_loss"])


def request(most: int, **more: Any) -> ChoiceRequest:
    given = ChoiceRequest("b2r1", ("r0f0", "r0f1"), "accuracy", most, all_epochs=9, epochs=3)
    return replace(given, **more)


def choose(wanted: ChoiceRequest, files: list[StageFile], table: pd.DataFrame) -> StageFile:
    """Choose from what the jobs of the stages have written."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "b2r0-001.trials.parquet"
        table.to_parquet(written)
        return decisions.choose(wanted, files, [written])


def chosen(stage: StageFile) -> list[str]:
    return [c.id for c in stage.configurations]


SLOTS = TrainRequest(Conditions("", {}, 1, 1, 1, 1), "stop")


def test_the_best_go_on_in_their_order() -> None:
    table = trials(a=[0.1, 0.3], b=[0.9, 0.5], c=[0.5, 0.6], d=[0.0, 0.0])
    found = choose(request(2), [file("a", "b", "c", "d")], table)
    assert chosen(found) == ["b", "c"]
    assert [c.score for c in found.configurations] == pytest.approx([0.7, 0.55])
    assert {c.epochs for c in found.configurations} == {3}


def test_of_a_loss_less_is_better() -> None:
    table = trials(a=[0.1, 0.3], b=[0.9, 0.5])
    assert chosen(choose(request(1, measure="log_loss"), [file("a", "b")], table)) == ["b"]


def test_among_equals_the_earlier_one_goes_on() -> None:
    table = trials(c=[0.5, 0.5], a=[0.5, 0.5], b=[0.5, 0.5])
    assert chosen(choose(request(2), [file("b", "c", "a")], table)) == ["b", "c"]


def test_a_configuration_that_lost_a_trial_does_not_go_on() -> None:
    table = trials(a=[0.99, None], b=[0.2, 0.1], c=[0.1, 0.1])
    assert chosen(choose(request(2), [file("a", "b", "c")], table)) == ["b", "c"]


def test_fewer_go_on_when_the_others_have_failed() -> None:
    table = trials(a=[None, None], b=[0.2, 0.1], c=[0.4, None])
    assert chosen(choose(request(3), [file("a", "b", "c")], table)) == ["b"]


def test_a_rung_in_which_all_fail_hands_on_nothing() -> None:
    table = trials(a=[None, None]).drop(columns=["accuracy", "log_loss"])
    content = choose(request(3), [file("a")], table)
    assert content.configurations == ()
    assert slot_request(replace(SLOTS, trials_per_job=2), content, "b2r1-001").trials == ()


def test_several_sources_are_ranked_together_and_nothing_twice() -> None:
    one, other = file("a", "b", stage="refine1"), file("a", "c", stage="refine2")
    table = trials(a=[0.5, 0.5], b=[0.4, 0.4], c=[0.9, 0.9])
    assert [c.id for c in ranked([one, other], table, "accuracy")] == ["c", "a", "b"]


def test_without_epochs_of_the_stage_each_trains_in_full() -> None:
    one, other = file("a", "b").configurations
    longer = replace(other, settings={"training": {"epochs": 5}})
    source = replace(file("a", "b"), configurations=(one, longer))
    table = trials(a=[0.5, 0.5], b=[0.4, 0.4])
    found = choose(request(2, epochs=None), [source], table)
    assert [c.epochs for c in found.configurations] == [9, 5]


def test_slots_take_the_trials_in_their_order() -> None:
    content = file("a", "b", "c")
    slots = [
        slot_request(replace(SLOTS, trials_per_job=4), content, f"b2r1-00{n}") for n in (1, 2, 3)
    ]
    assert slots[0].trials == ("a/r0f0", "a/r0f1", "b/r0f0", "b/r0f1")
    assert slots[1].trials == ("c/r0f0", "c/r0f1")
    assert slots[2].trials == ()
    assert set(slots[0].configurations) == {"a", "b"}


# -- a search that may stop ------------------------------------------------------------------------


def batch(*names: str, stage: str = "explore") -> StageFile:
    return file(*names, stage=stage)


def more(drawn: StageFile, risk: float = 0.2, total: int = 40, **changes: Any) -> ChoiceRequest:
    """Return what a batch is asked that has been drawn."""
    rule = StoppingRule(10, 0.5, risk, total)
    return request(
        len(drawn.configurations),
        stage=drawn.stage,
        drawn=drawn.configurations,
        stopping=rule,
        **changes,
    )


NAMES = [f"c{number:02d}" for number in range(12)]


def scored(spread: float, names: list[str] = NAMES) -> pd.DataFrame:
    """Return trials whose means are 0.01 apart, with this difference between the two splits."""
    found = trials(**{n: [0.5 + 0.01 * i, 0.5 + 0.01 * i + spread] for i, n in enumerate(names)})
    return found.assign(n_train=100, n_validation=100)


def test_a_batch_is_trained_where_the_rest_promises_more_than_the_noise() -> None:
    drawn = batch("x", "y", stage="more1")
    found = choose(more(drawn), [batch(*NAMES)], scored(0.001))
    assert chosen(found) == ["x", "y"]
    assert found.decision is not None
    assert not found.decision.stops
    assert (found.decision.tried, found.decision.scored, found.decision.total) == (12, 12, 40)


def test_a_batch_is_left_out_where_the_noise_hides_what_is_left() -> None:
    drawn = batch("x", "y", stage="more1")
    found = choose(more(drawn), [batch(*NAMES)], scored(0.4))
    assert found.configurations == ()
    assert found.decision is not None
    assert found.decision.stops
    assert found.decision.best == pytest.approx(0.5 + 0.11 + 0.2)
    assert slot_request(replace(SLOTS, trials_per_job=2), found, "more1-001").trials == ()


def test_a_search_that_has_stopped_stays_so() -> None:
    first = choose(more(batch("x", stage="more1")), [batch(*NAMES)], scored(0.4))
    then = more(batch("y", stage="more2"), risk=0.0001)
    second = choose(then, [batch(*NAMES), first], scored(0.001))
    assert second.configurations == ()
    assert second.decision == first.decision


def test_all_batches_so_far_count_in_their_order() -> None:
    files = [batch(*NAMES[:6]), batch(*NAMES[6:], stage="more1")]
    drawn = batch("x", stage="more2")
    parted = choose(more(drawn), files, scored(0.001))
    assert parted.decision == choose(more(drawn), [batch(*NAMES)], scored(0.001)).decision


def test_failed_and_undefined_trials_stop_nothing_and_are_counted() -> None:
    table = scored(0.001)
    table.loc[0, "status"] = "failed"
    table.loc[3, "accuracy"] = float("nan")
    found = choose(more(batch("x", stage="more1")), [batch(*NAMES)], table)
    assert found.decision is not None
    assert (found.decision.tried, found.decision.scored) == (12, 10)
    assert found.decision.chance is not None


def test_a_batch_in_which_all_failed_goes_on() -> None:
    table = trials(**{name: [None, None] for name in NAMES})
    bare = table.drop(columns=["accuracy", "log_loss"]).assign(n_train=None, n_validation=None)
    for content in (bare, table.assign(n_train=100, n_validation=100)):
        found = choose(more(batch("x", stage="more1")), [batch(*NAMES)], content)
        assert chosen(found) == ["x"]
        assert found.decision is not None
        assert (found.decision.scored, found.decision.chance) == (0, None)


def test_of_a_loss_the_lowest_is_the_best() -> None:
    drawn = more(batch("x", stage="more1"), measure="log_loss")
    decision = choose(drawn, [batch(*NAMES)], scored(0.001)).decision
    assert decision is not None
    assert decision.best == pytest.approx(1 - 0.5 - 0.11 - 0.0005)
    assert (decision.measure, decision.stops) == ("log_loss", False)

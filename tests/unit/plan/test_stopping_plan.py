"""A search that may stop: the same configurations, in batches that are known beforehand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from studies import tiny_study, write_study

from gridfold.plan.facts import plan_facts, status_facts
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.stage_file import StageFile, slot_request
from gridfold.plan.stage_names import phase_of, stage_of, title_of
from gridfold.plan.status import stage_states, state, status_map, stop_notice
from gridfold.plan.stopping import StopDecision
from gridfold.plan.words import description
from gridfold.requests import ChoiceRequest

SPACE = {
    "mlp.units": {"int": {"min": 2, "max": 64}},
    "training.learning_rate": {"float": {"min": 0.001, "max": 0.1, "log": True}},
}
STOPPED = StopDecision(True, 20, 20, 50, "accuracy", 0.5, 0.1, 0.9, 0.01, 0.001, 0.002, 0.05)


def plan(
    folder: Path,
    strategy: dict[str, Any] | None = None,
    execution: dict[str, Any] | None = None,
    **search: Any,
) -> Plan:
    wanted = {"space": SPACE, "strategy": strategy or {"type": "random", "n": 50}, **search}
    study = tiny_study(search=wanted, execution=execution)
    return Plan.load([write_study(folder / "s.yaml", study)], results=folder / "results")


def ids(made: Plan) -> list[str]:
    return [c.id for c in made.configurations]


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_the_configurations_are_those_of_a_search_that_does_not_stop(
    tmp_path: Path, kind: str
) -> None:
    strategy = {"type": kind, "n": 64, "seed": 3}
    plain, stopping = plan(tmp_path, strategy), plan(tmp_path, strategy, stop="auto")
    assert ids(plain) == ids(stopping)
    files = [stopping.drawn(stage) for stage in stopping.stages]
    assert [c.id for file in files if file for c in file.configurations] == ids(plain)
    assert [c.epochs for c in plain.configurations] == [c.epochs for c in stopping.configurations]


def test_without_stop_nothing_is_another_request(tmp_path: Path) -> None:
    made = plan(tmp_path, {"type": "random", "n": 3})
    asked = JobRequests(made)
    for request in (asked.choice("explore"), asked.tune(), asked.train("s0001")):
        assert '"stopping"' not in request.text()
    assert [stage.name for stage in made.stages] == ["explore"]
    assert made.stopping_files == []


def test_each_batch_waits_for_all_before_it(tmp_path: Path) -> None:
    made = plan(tmp_path, stop="auto", refine={"top": 1}, confirm={"top": 2})
    names = [stage.name for stage in made.stages]
    assert names == ["explore", "more1", "more2", "more3", "refine1", "confirm"]
    assert [stage.max_configurations for stage in made.stages[:4]] == [20, 10, 10, 10]
    for number in range(1, 5):
        assert made.stages[number].sources == tuple(names[:number])
    assert made.stopping_files == [made.paths.stage(name) for name in names[:4]]
    assert [JobRequests(made).choice(name).stopping is None for name in names] == [
        True, False, False, False, True, True
    ]  # fmt: skip
    assert title_of("more2") == "Explore, batch 3"
    assert stage_of("more2-004") == "more2"


def test_a_larger_search_has_the_same_batches_and_more(tmp_path: Path) -> None:
    small = plan(tmp_path, stop="auto")
    large = plan(tmp_path, {"type": "random", "n": 200}, stop="auto")
    for stage in small.stages[:-1]:
        assert large.drawn(large.stage(stage.name)) == small.drawn(stage)
    assert len(large.stages) > len(small.stages)


@pytest.mark.parametrize("size", ["auto", "split", "configuration", 1, 3, 1000])
def test_jobs_of_every_size_train_each_trial_once(tmp_path: Path, size: str | int) -> None:
    made = plan(tmp_path, execution={"trials_per_job": size}, stop={"after": 10})
    trained: list[str] = []
    for stage in made.stages:
        file = made.drawn(stage)
        assert file is not None
        assert len(file.configurations) == stage.max_configurations
        for slot in stage.slots:
            trained += slot_request(JobRequests(made).train(slot), file, slot).trials
    assert trained == list(map(str, made.trials))
    assert made.all_shards == [slot for stage in made.stages for slot in stage.slots]


def test_stop_alone_trains_in_full_and_explore_cheaply(tmp_path: Path) -> None:
    made = plan(tmp_path, stop="auto")
    assert made.answering_stages == list(made.stages)
    cheap = plan(tmp_path, stop="auto", explore={"epochs": 1}, confirm={})
    assert {stage.epochs for stage in cheap.stages[:-1]} == {1}
    assert [stage.name for stage in cheap.answering_stages] == ["confirm"]


def test_a_batch_s_request_is_the_same_again_when_its_job_has_read_it(tmp_path: Path) -> None:
    asked = JobRequests(plan(tmp_path, stop={"risk": 0.2})).choice("more1")
    assert ChoiceRequest.parse(asked.text()) == asked
    assert asked.stopping is not None
    assert (asked.stopping.risk, asked.stopping.total) == (0.2, 50)


def test_a_tuner_is_told_when_to_stop(tmp_path: Path) -> None:
    strategy = {"type": "keras_tuner", "tuner": "bayesian", "max_trials": 30}
    made = plan(tmp_path, strategy, stop="auto")
    rule = JobRequests(made).tune().stopping
    assert rule is not None
    assert (rule.after, rule.total) == (20, 30)
    assert [stage.name for stage in made.stages] == ["explore"]
    assert made.stopping_files == made.stage_files


def test_the_plan_shows_the_batches(tmp_path: Path) -> None:
    text = description(plan(tmp_path, stop="auto"), 2)
    assert re.search(r"^ +Explore +20 ", text, re.M)
    assert re.search(r"^ +Explore, batch 4 +up to 10 ", text, re.M)


def test_the_status_says_why_a_search_has_stopped(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    made, before = plan(tmp_path, stop="auto"), plan(tmp_path / "before", stop="auto")
    first, *others = made.stages
    assert stop_notice(made) == ""
    for stage in others:
        StageFile(stage.name, stage.splits, (), decision=STOPPED).write(
            made.paths.stage(stage.name)
        )
    states = stage_states(made)
    assert [s.total for s in states] == [first.trials, 0, 0, 0]
    left, all_of_it = plan_facts(made)["seconds"], plan_facts(before)["seconds"]
    assert left == pytest.approx(all_of_it * first.trials / sum(s.trials for s in made.stages))
    assert status_map(states)[1:] == [f"{s.title:16}  not needed" for s in others]
    assert f"search {STOPPED.sentence}" in state(made)
    explored, *left_out = status_facts(made)["stages"]
    assert "decision" not in explored
    assert [stage["decision"]["chance"] for stage in left_out] == [0.05] * 3
    # What lies there of a search that could stop is no reason now.
    assert stop_notice(plan(tmp_path)) == ""


def test_the_status_says_why_a_search_goes_on(tmp_path: Path) -> None:
    made = plan(tmp_path, stop="auto")
    drawn = made.drawn(made.stages[1])
    assert drawn is not None
    going_on = replace(drawn, decision=replace(STOPPED, stops=False))
    going_on.write(made.paths.stage("more1"))
    assert stop_notice(made).startswith("search not stopped after 20 of 50 configurations: ")
    assert status_map(stage_states(made))[1].endswith("0/20")
    assert status_map(stage_states(made))[2].endswith("waits for Explore and Explore, batch 2")


def test_the_batches_of_a_search_are_one_phase_of_it() -> None:
    names = ["explore", "more1", "more12", "refine1", "race2", "b1r0", "confirm"]
    assert [phase_of(name) for name in names] == ["explore"] * 3 + names[3:]

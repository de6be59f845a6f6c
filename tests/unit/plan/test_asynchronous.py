"""The jobs of an asynchronous Hyperband, and what is said of them before they begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from studies import tiny_study, write_study

from gridfold.errors import StudyError
from gridfold.plan.facts import plan_facts
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.resources import JobSizes
from gridfold.plan.status import stage_states, status_map
from gridfold.plan.words import description


def plan(folder: Path, execution: dict[str, Any] | None = None, **strategy: Any) -> Plan:
    study = tiny_study(
        training={"epochs": 9},
        search={
            "strategy": {"type": "hyperband", **strategy},
            "space": {"mlp.units": {"int": {"min": 2, "max": 512}}},
        },
        execution=execution or {},
    )
    return Plan.load([write_study(folder / "study.yaml", study)], results=folder / "results")


def test_without_the_key_jobs_and_requests_are_as_before(tmp_path: Path) -> None:
    found = plan(tmp_path)
    assert not found.is_asynchronous
    assert found.rungs_jobs.names == ()
    assert found.training_jobs == found.all_shards
    assert '"jobs"' not in JobRequests(found).collect().text()


def test_brackets_begin_with_the_same_configurations_as_without(tmp_path: Path) -> None:
    with_barriers, without = plan(tmp_path), plan(tmp_path, asynchronous=True)
    assert with_barriers.configurations == without.configurations
    before = [(s.name, s.max_configurations, s.epochs) for s in with_barriers.stages]
    assert [(s.name, s.max_configurations, s.epochs) for s in without.stages] == before


def test_short_trainings_have_one_job(tmp_path: Path) -> None:
    assert plan(tmp_path, asynchronous=True).rungs_jobs.names == ("rungs-001",)


def test_trials_per_job_says_how_many_jobs_there_are(tmp_path: Path) -> None:
    found = plan(tmp_path, {"trials_per_job": 10}, asynchronous=True)
    trials = sum(stage.trials for stage in found.rungs)
    assert trials == 2 * (9 + 3 + 1 + 3 + 1 + 3)
    assert len(found.rungs_jobs.names) == 4
    assert found.rungs_jobs.trials == 10


def test_more_jobs_than_could_be_busy_are_not_made(tmp_path: Path) -> None:
    found = plan(tmp_path, {"trials_per_job": "split"}, asynchronous=True)
    assert len(found.rungs_jobs.names) == 2 * (9 + 3 + 3)


def test_the_number_of_jobs_can_be_given(tmp_path: Path) -> None:
    found = plan(tmp_path, asynchronous=True, jobs=3)
    assert found.rungs_jobs.names == ("rungs-001", "rungs-002", "rungs-003")
    assert found.training_jobs == [*found.rungs_jobs.names]
    assert JobRequests(found).rungs().trials_per_job == 14


def test_jobs_without_asynchrony_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"search\.strategy\.jobs: 3 without `asynchronous: true`"):
        plan(tmp_path, jobs=3)


def test_plan_and_status_say_that_no_rung_waits(tmp_path: Path) -> None:
    found = plan(tmp_path, asynchronous=True, jobs=2)
    text = description(found, None)
    assert "asynchronous    2 jobs for all rungs, which wait for none" in text
    assert "Bracket 2, rung 1         about 3" in text
    assert "Bracket 2, rung 0               9" in text
    assert [stage["asynchronous"] for stage in plan_facts(found)["stages"]] == [True] * 6
    lines = status_map(stage_states(found))
    assert lines[-1] == "asynchronous: no rung waits for the one before"
    assert "takes what is promoted" in lines[1]


def test_a_job_has_time_for_its_share_and_more_in_another_attempt(tmp_path: Path) -> None:
    one = JobSizes(plan(tmp_path, asynchronous=True, jobs=1))
    assert one.rungs_minutes(threads=1, attempt=2) == 2 * one.rungs_minutes(threads=1, attempt=1)
    assert one.rungs_memory(threads=4, attempt=1) > one.rungs_memory(threads=1, attempt=1)

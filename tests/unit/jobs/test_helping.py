"""Which trials of other jobs a training job takes, and when it takes none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from studies import tiny_study, write_study

from gridfold.jobs.helping import TimeLeft, _from_the_back
from gridfold.jobs.pool import Event
from gridfold.plan.helping import write_help_order
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.resources import JobSizes
from gridfold.store.help_order import HelpOrder, WaitingTrials


def event(kind: str) -> Event:
    work: Any = SimpleNamespace(task=SimpleNamespace(folder=Path("a")))
    return Event(kind, work)


def test_trials_fit_by_the_longest_that_is_known() -> None:
    now = [0.0]
    left = TimeLeft(10, clock=lambda: now[0])
    assert not left.is_enough(), "nothing is known of any trial"
    left.hear(event("started"))
    now[0] = 100.0
    left.hear(event("epoch"))
    left.hear(event("finished"))
    # Ten minutes less the three that are kept, and a trial of 100 s with a fifth more.
    now[0] = 420.0 - 121.0
    assert left.is_enough()
    now[0] = 420.0 - 119.0
    assert not left.is_enough()
    assert TimeLeft(0).is_enough(), "a job without a limit"


def test_each_job_begins_with_the_last_trials_of_the_one_behind_it() -> None:
    jobs = {
        "s0001": WaitingTrials(("a/r0f0", "a/r0f1"), 500),
        "s0002": WaitingTrials(("b/r0f0", "b/r0f1"), 400),
        "s0003": WaitingTrials(("c/r0f0",), 900),
    }
    order = HelpOrder(conditions=None, jobs=jobs)  # type: ignore[arg-type]

    def taken(name: str) -> list[str]:
        return [str(trial) for trial in _from_the_back(name, order)[::-1]]

    assert taken("s0001") == ["b/r0f1", "b/r0f0"], "the third needs more memory"
    assert taken("s0002") == []
    assert taken("s0003") == ["a/r0f1", "a/r0f0", "b/r0f1", "b/r0f0"]


@pytest.mark.parametrize(
    ("has_queue", "sections", "is_there"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"execution": {"trials_per_job": 1, "help_others": False}}, False),
        (True, {"execution": {"trials_per_job": 1000}}, False),
        (True, {"search": {"budget": {"core_hours": 1}}}, False),
    ],
    ids=["cluster", "one machine", "switched off", "one job", "budget"],
)
def test_jobs_help_each_other_where_some_may_wait(
    has_queue: bool, sections: dict[str, Any], is_there: bool, tmp_path: Path
) -> None:
    space = {"space": {"mlp.units": [4, 8]}}
    search = space | sections.get("search", {})
    execution = sections.get("execution", {"trials_per_job": 1})
    file = write_study(tmp_path / "study.yaml", tiny_study(search=search, execution=execution))
    plan = Plan.load([file], results=tmp_path / "results")
    plan.paths.help_order.parent.mkdir(parents=True)
    plan.paths.help_order.write_text("from another run")
    requests = JobRequests(plan)
    write_help_order(plan, requests, JobSizes(plan), has_queue=has_queue)
    found = HelpOrder.read(plan.paths.help_order)
    assert (found is not None) == is_there
    if found is None:
        assert not plan.paths.help_order.exists()
        return
    assert list(found.jobs) == list(plan.shards)
    assert found.conditions == requests.conditions
    trials = [trial for job in found.jobs.values() for trial in job.trials]
    assert sorted(trials) == sorted(map(str, plan.trials))
    assert set(found.configurations) == {c.id for c in plan.configurations}

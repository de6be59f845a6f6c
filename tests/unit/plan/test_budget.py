"""What of a search fits a budget, and in which order stages give way."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from studies import tiny_study, write_study

from gridfold.errors import StudyError
from gridfold.plan.budget import BudgetOrder, Limit
from gridfold.plan.budget_words import budget_lines, fitting_lines
from gridfold.plan.left_out import left_out_trials, reopened, write_left_out
from gridfold.plan.measured import Correction
from gridfold.plan.plan import Plan
from gridfold.plan.shards import TrialKey
from gridfold.plan.words import description
from gridfold.store.spending import Meter, MeterFile, Spending

NOW = datetime(2026, 12, 1, 12, 0).timestamp()
NOTHING = Spending(NOW, 0, 0, 0, 0, 0, None, {}, frozenset(), has_live_jobs=False)


def planned(folder: Path, budget: dict[str, Any], **search: Any) -> Plan:
    space = {"mlp.units": [4, 8, 16, 32], "training.learning_rate": [0.001, 0.01]}
    study = tiny_study(search={"space": space, "budget": budget, **search})
    file = write_study(folder / "study.yaml", study)
    return Plan.load([file], results=folder / "results")


def fits(plan: Plan, correction: float = 1.0) -> dict[str, int]:
    order = BudgetOrder.of(plan, NOW, Correction(correction))
    return order.fitting({}, {}, NOTHING)


def whole(plan: Plan, *names: str) -> float:
    """Return the core-hours of all configurations of some stages."""
    order = BudgetOrder.of(plan, NOW, Correction())
    return sum(s.most * order.cost_of(s, NOTHING) for s in order.stages if s.name in names)


def test_what_is_large_enough_changes_nothing(tmp_path: Path) -> None:
    assert fits(planned(tmp_path, {"core_hours": 100})) == {"explore": 8}


def test_of_a_grid_as_many_configurations_fit_as_are_paid_for(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"core_hours": 1.0})
    half = whole(plan, "explore") / 2
    plan = planned(tmp_path, {"core_hours": 1.001 * half})
    assert fits(plan) == {"explore": 4}
    assert fits(plan, correction=2.0) == {"explore": 2}
    assert fits(plan, correction=0.5) == {"explore": 8}


STAGED = {
    "explore": {"epochs": 1, "splits": 1},
    "refine": {"top": 2, "max_configurations": 10},
    "confirm": {"top": 5, "folds": 2},
}


def test_the_end_of_a_search_comes_before_its_breadth(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"core_hours": 1.0}, **STAGED)
    order = BudgetOrder.of(plan, NOW, Correction())
    costs = {stage.name: order.cost_of(stage, NOTHING) for stage in order.stages}
    # Two finalists, two refined with a neighbour of each, and three that are explored.
    enough = 2 * costs["confirm"] + 4 * costs["refine1"] + 3.01 * costs["explore"]
    plan = planned(tmp_path, {"core_hours": enough}, **STAGED)
    assert fits(plan) == {"explore": 3, "refine1": 4, "confirm": 2}


def test_what_is_left_explores_then_confirms_then_refines(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"core_hours": 1.0}, **STAGED)
    order = BudgetOrder.of(plan, NOW, Correction())
    costs = {stage.name: order.cost_of(stage, NOTHING) for stage in order.stages}
    explored = 8 * costs["explore"] + 4 * costs["refine1"]
    plan = planned(tmp_path, {"core_hours": explored + 4.01 * costs["confirm"]}, **STAGED)
    assert fits(plan) == {"explore": 8, "refine1": 4, "confirm": 4}
    more = explored + 5.01 * costs["confirm"] + 2 * costs["refine1"]
    assert fits(planned(tmp_path, {"core_hours": more}, **STAGED)) == {
        "explore": 8,
        "refine1": 6,
        "confirm": 5,
    }


def test_a_bracket_that_begins_can_go_on_to_its_last_rung(tmp_path: Path) -> None:
    strategy = {"type": "hyperband", "factor": 3}
    study = {"strategy": strategy, "space": {"mlp.units": {"int": {"min": 2, "max": 64}}}}
    plan = planned(tmp_path, {"core_hours": 1.0}, **study)
    names = [stage.name for stage in plan.stages]
    first = [name for name in names if name.startswith("b1")]
    paid = whole(plan, *first)
    found = fits(planned(tmp_path, {"core_hours": 1.01 * paid}, **study))
    assert found == {"b1r0": 3, "b1r1": 1, "b0r0": 0}
    less = fits(planned(tmp_path, {"core_hours": 0.8 * paid}, **study))
    assert less["b1r0"] == 2
    assert less["b1r1"] == 1


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({}, "none given"),
        ({"core_hours": 5, "until": "2026-12-04 08:00"}, "core_hours and until given"),
        ({"core_hours": 0}, "0"),
        ({"until": "tomorrow"}, "allowed: a local time such as 2026-12-04 08:00"),
        ({"minutes": 5}, "minutes"),
    ],
)
def test_a_budget_that_says_nothing_or_too_much_is_refused(
    tmp_path: Path, budget: dict[str, Any], said: str
) -> None:
    with pytest.raises(StudyError, match=r"search\.budget") as refused:
        planned(tmp_path, budget)
    assert said in str(refused.value)


def test_times_are_local_and_may_have_seconds(tmp_path: Path) -> None:
    at = datetime(2026, 12, 4, 8, 0).timestamp()
    for text in ("2026-12-04 08:00", "2026-12-04 08:00:00"):
        budget = planned(tmp_path, {"until": text}).study.search.budget
        assert budget is not None
        assert Limit.of(budget).until == at


def test_a_budget_is_no_part_of_ids_or_of_what_jobs_are_asked_for(tmp_path: Path) -> None:
    from gridfold.plan.job_requests import JobRequests

    one, other = (planned(tmp_path, {"core_hours": hours}) for hours in (1.0, 2.0))
    assert [c.id for c in one.configurations] == [c.id for c in other.configurations]
    requests = [JobRequests(plan) for plan in (one, other)]
    shard = next(iter(one.shards))
    assert requests[0].train(shard) == requests[1].train(shard)
    assert requests[0].choice("explore") == requests[1].choice("explore")
    assert requests[0].collect() != requests[1].collect()


def test_the_plan_says_what_fits_and_what_is_spent(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"core_hours": 1.0})
    half = whole(plan, "explore") / 2
    plan = planned(tmp_path, {"core_hours": 1.001 * half})
    text = description(plan, 2)
    assert "fits            configurations: 4 of 8" in text
    assert "rough model, good to a factor of three" in text
    meter = Meter("s0001", NOW - 360, NOW, cores=10, gpus=0)
    with MeterFile(plan.paths.spent, meter, lambda: NOW):
        pass
    lines = fitting_lines(plan, NOW, Correction())
    assert "of which 1 core-hours are spent" in lines[0]
    assert any("not even one configuration fits" in line for line in lines)
    plenty = fitting_lines(planned(tmp_path, {"core_hours": 9}), NOW, Correction())
    assert "the whole search" in plenty[1]
    until = planned(tmp_path, {"until": "2026-12-01 11:00"})
    assert "which is over" in fitting_lines(until, NOW, Correction())[0]
    without = Plan.load([write_study(tmp_path / "other.yaml", tiny_study())])
    assert fitting_lines(without, NOW, Correction()) == []


def test_a_larger_budget_takes_up_what_a_smaller_one_has_left_out(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"core_hours": 1.0})
    shard, trials = next(iter(plan.shards.items()))
    write_left_out(plan.paths, shard, Limit(core_hours=1.0), trials[:1])
    assert not reopened(plan)
    assert left_out_trials(plan) == {("explore", trials[0])}
    (line,) = budget_lines(plan, NOW)
    assert "the budget (1 core-hours) has ended the search" in line
    assert "1 trial left out" in line
    for other in ({"core_hours": 2.0}, {"until": "2026-12-04 08:00"}):
        assert set(reopened(planned(tmp_path, other))) == {shard}
        assert not left_out_trials(planned(tmp_path, other))
    assert not reopened(planned(tmp_path, {"core_hours": 0.5}))


def test_a_trial_is_left_out_by_name(tmp_path: Path) -> None:
    plan = planned(tmp_path, {"core_hours": 1.0})
    write_left_out(plan.paths, "explore-001", Limit(core_hours=1.0), ())
    assert left_out_trials(plan) == frozenset()
    assert "the search cut short" in budget_lines(plan, NOW)[0]
    assert TrialKey.parse("a/r0f0") == TrialKey("a", "r0f0")

"""A search ends within its budget whatever happens to it, and goes on where it was with more.

On a simulated clock, see tests/support/budgets.py; the last tests train for real.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from budgets import COST, SETTINGS, Search, SimulatedStage

from gridfold.errors import GridfoldError
from gridfold.jobs.budget import BudgetGate
from gridfold.plan.budget import BudgetView, Limit
from gridfold.store.job_records import JobResources

SPLITS = tuple(f"r0f{fold}" for fold in range(5))
_HOUR = 3600.0


def explore(count: int = 24, epochs: int = 20) -> SimulatedStage:
    return SimulatedStage("explore", [f"c{number:02d}" for number in range(count)], SPLITS, epochs)


def search(folder: Path, share: float, *stages: SimulatedStage, **more: float | int) -> Search:
    """Return a search whose budget is a share of what all its stages really take."""
    slowness = float(more.get("slowness", 1.0))
    seconds = sum(stage.order.seconds * len(stage.configurations) for stage in stages)
    limit = Limit(core_hours=share * slowness * seconds / _HOUR)
    found = Search(folder, limit, list(stages), **more)  # type: ignore[arg-type]
    found.write_order()
    return found


def budget_seconds(found: Search) -> float:
    assert found.limit.core_hours is not None
    return found.limit.core_hours * _HOUR


@pytest.mark.parametrize("slowness", [0.35, 1.0, 3.0])
def test_estimates_that_are_wrong_cost_no_more_than_the_budget(
    tmp_path: Path, slowness: float
) -> None:
    stage = explore()
    found = search(tmp_path, 0.5, stage, slowness=slowness, seed=1)
    found.run(stage)
    assert found.held <= 1.02 * budget_seconds(found)
    assert found.held >= 0.85 * budget_seconds(found)
    assert len(found.complete(stage)) >= 9
    assert len(found.incomplete(stage)) <= 2


def test_fifty_interruptions_cost_no_more_than_the_budget(tmp_path: Path) -> None:
    stage = explore()
    found = search(tmp_path, 0.5, stage, seed=20261201)
    mean = budget_seconds(found) / (found.jobs * found.workers) / 75
    found.run(stage, [found.random.expovariate(1 / mean) for _ in range(50)])
    assert found.kills == 50
    # What was lost is counted, too: at least as it was, at most some seconds more for each kill.
    assert found.held <= found.counted * _HOUR <= 1.02 * budget_seconds(found)
    assert max(found.trained.values()) == 1, "an epoch that was kept was trained again"
    assert len(found.complete(stage)) >= 7

    before = dict(found.trained)
    found.limit = Limit(core_hours=3 * budget_seconds(found) / _HOUR)
    found.write_order()
    found.run(stage)
    assert len(found.complete(stage)) == len(stage.configurations)
    assert max(found.trained.values()) == 1, "nothing is trained again with a larger budget"
    assert all(found.trained[epoch] == 1 for epoch in before)


def test_one_job_of_single_trials_completes_configurations(tmp_path: Path) -> None:
    stage = explore(count=10)
    found = search(tmp_path, 0.4, stage, jobs=10, workers=1, seed=3)
    found.run(stage)
    assert found.held <= 1.02 * budget_seconds(found)
    # Ten jobs at once, and none has begun what only four of them can end.
    assert len(found.complete(stage)) >= 3
    assert len(found.incomplete(stage)) <= 1


@pytest.mark.parametrize(("share", "least"), [(0.6, 2), (0.3, 1)])
def test_exploring_leaves_enough_for_the_end(tmp_path: Path, share: float, least: int) -> None:
    first = explore(count=30, epochs=4)
    refine = SimulatedStage(
        "refine1", [f"n{n}" for n in range(8)], SPLITS, 20, ("explore",), least=2
    )
    splits = tuple(f"c0f{fold}" for fold in range(5))
    confirm = SimulatedStage("confirm", [], splits, 20, ("refine1",), least=2, most=5)
    found = search(tmp_path, share, first, refine, confirm, slowness=2.5, seed=4)
    found.decide(first)
    found.run(first)
    assert 1 <= len(found.complete(first)) < 30
    found.decide(refine)
    found.run(refine)
    assert len(found.complete(refine)) >= least
    confirm.configurations = found.complete(refine)[:5]
    found.decide(confirm)
    found.run(confirm)
    assert len(found.complete(confirm)) >= least
    assert found.held <= 1.02 * budget_seconds(found)


def test_until_a_time_the_last_epoch_ends_before_it(tmp_path: Path) -> None:
    stage = explore()
    found = search(tmp_path, 1.0, stage, slowness=2.0)
    began = found.clock.now
    found.limit = Limit(until=began + 2 * _HOUR)
    found.write_order()
    found.run(stage)
    assert 0.8 * 2 * _HOUR <= found.clock.now - began <= 1.02 * 2 * _HOUR
    assert found.complete(stage)


def test_after_its_time_nothing_begins(tmp_path: Path) -> None:
    stage = explore(count=2)
    found = search(tmp_path, 1.0, stage)
    found.limit = Limit(until=found.clock.now - 1)
    found.write_order()
    found.run(stage)
    assert not found.trained


def test_gpu_hours_without_a_gpu_are_refused(tmp_path: Path) -> None:
    found = search(tmp_path, 1.0, explore(count=2))
    found.limit = Limit(gpu_hours=5)
    found.write_order()
    view = BudgetView.of(found.paths, found.clock)
    assert view is not None
    with pytest.raises(GridfoldError, match="has no GPU"):
        BudgetGate(view, "s0001", JobResources(4))
    assert BudgetGate(view, "s0001", JobResources(4, gpus=1)).limit == found.limit


def test_without_a_budget_there_is_no_gate(tmp_path: Path) -> None:
    found = search(tmp_path, 1.0, explore(count=2))
    assert BudgetView.of(found.paths) is not None
    found.paths.budget_order.unlink()
    assert BudgetView.of(found.paths) is None


def test_the_simulation_is_of_trials_of_minutes() -> None:
    assert 300 < COST.seconds(SETTINGS, 20) < 600

"""Real jobs under a budget: what they end with, what a kill costs, and how they go on."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from shardjobs import finish, study
from workbench import (
    Bench,
    final_state,
    kill_hard,
    prepare_bench,
    processes_of_session,
    shard_tables,
    shared_forks,
    start_shard_job,
    wait_for,
)

from gridfold import typed_json
from gridfold.jobs import distributed
from gridfold.jobs.budget import EpochLimit
from gridfold.jobs.pool import Work
from gridfold.plan.budget import BudgetOrder, BudgetView
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.left_out import left_out_trials, read_left_out
from gridfold.plan.measured import Correction
from gridfold.plan.plan import Plan
from gridfold.study.sections.budget import Budget


def allow(plan: Plan, **budget: Any) -> Plan:
    """Give the jobs of a study another budget, as a new run would, and return the plan of it."""
    search = plan.study.search.model_copy(update={"budget": Budget(**budget)})
    asked = replace(plan, study=plan.study.model_copy(update={"search": search}))
    typed_json.write(plan.paths.budget_order, BudgetOrder.of(asked, time.time(), Correction()))
    return asked


def spent(bench: Bench) -> float:
    view = BudgetView.of(bench.plan.paths)
    assert view is not None
    return view.look().core_hours


def test_a_training_ends_where_the_next_epoch_does_not_fit_and_goes_on_bit_for_bit(
    tmp_path: Path,
) -> None:
    # A checkpoint is not due yet after an epoch as short as these.
    wanted = study(training={"epochs": 4, "early_stopping": {"patience": 50}})
    bench = prepare_bench(tmp_path / "cut", wanted)
    allow(bench.plan, until="2020-01-01 00:00")
    whole = bench.work()
    work = Work(whole.task, whole.store, EpochLimit(bench.plan.paths, "explore"))
    events = bench.train(work)
    assert [event.kind for event in events] == ["started", "epoch", "left_out"]
    assert events[-1].row == {"epoch": 1}
    assert work.store.result(4) is None
    assert work.store.failure() is None, "it has not failed"
    cut = bench.trained()
    other = prepare_bench(tmp_path / "whole", wanted)
    assert cut.scores == other.trained().scores
    assert [segment["first"] for segment in cut.segments] == [1, 2]
    for one, two in zip(
        *(final_state(b.work().task.folder, 4) for b in (bench, other)), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_what_a_killed_job_has_taken_is_counted_and_a_larger_budget_goes_on(
    tmp_path: Path,
) -> None:
    bench = prepare_bench(tmp_path, study(epochs=30))
    allow(bench.plan, core_hours=100)
    with shared_forks():
        job = start_shard_job(bench.plan)
    wait_for(lambda: list(bench.plan.paths.runs.glob("*/*/checkpoint-*.npz")) or job.poll())
    kill_hard(job)
    wait_for(lambda: not processes_of_session(job.pid), seconds=20)
    (meter,) = bench.plan.paths.spent.glob("*.json")
    assert '"ended":false' in meter.read_text()
    lost = spent(bench)
    assert lost > 0

    asked = allow(bench.plan, core_hours=lost / 2)
    finish(bench)
    table = pd.read_parquet(shard_tables(bench.plan).trials)
    out = table[table["status"] == "left_out"]
    assert len(out) >= 1
    assert set(out["failure"]) == {"budget"}
    assert "the budget" in out["reason"].iloc[0]
    assert {str(key) for _, key in left_out_trials(asked)} == {
        f"{row['config_id']}/{row['split']}" for _, row in out.iterrows()
    }
    assert spent(bench) >= lost

    raised = allow(bench.plan, core_hours=200)
    assert not left_out_trials(raised), "a larger budget takes them up again"
    finish(bench)
    table = pd.read_parquet(shard_tables(bench.plan).trials)
    assert set(table["status"]) == {"finished"}
    assert table["resumptions"].sum() >= 1
    assert not read_left_out(bench.plan.paths)


def test_ranks_ask_before_each_trial(tmp_path: Path) -> None:
    several = study(epochs=1, execution={"trials_per_job": 100, "threads_per_worker": 1})
    several["training"] = {
        "epochs": 1,
        "distribution": {"backend": "mirrored", "world_size": 2},
    }
    bench = prepare_bench(tmp_path, several)
    shard = next(iter(bench.plan.shards))
    tables = shard_tables(bench.plan)
    request = JobRequests(bench.plan).train(shard)
    # Enough to begin, and not for the ranks to start.
    allow(bench.plan, core_hours=2 / 3600)
    distributed.train_shard(bench.plan, request, shard, distributed.Start(), tables, 1)
    assert set(pd.read_parquet(tables.trials)["status"]) == {"left_out"}
    allow(bench.plan, core_hours=10)
    distributed.train_shard(bench.plan, request, shard, distributed.Start(), tables, 1)
    assert set(pd.read_parquet(tables.trials)["status"]) == {"finished"}

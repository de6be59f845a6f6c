"""A search with Keras Tuner ends between two trials when its budget is spent."""

from __future__ import annotations

import time
from pathlib import Path

from searches import ended, run, tuned
from workbench import prepare_bench, shared_forks

from gridfold import typed_json
from gridfold.plan.budget import BudgetOrder
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.left_out import read_left_out
from gridfold.plan.measured import Correction
from gridfold.plan.plan import Plan
from gridfold.search.tuner.search import TuningStudy


def search_with(folder: Path, core_hours: float) -> TuningStudy:
    """Prepare a search of four trials of one epoch with a budget, and what a run leaves for it."""
    study = tuned({"tuner": "random", "max_trials": 4}, training={"epochs": 1})
    study["search"]["confirm"] = {}
    study["search"]["budget"] = {"core_hours": core_hours}
    plan: Plan = prepare_bench(folder, study).plan
    typed_json.write(plan.paths.budget_order, BudgetOrder.of(plan, time.time(), Correction()))
    return TuningStudy(JobRequests(plan).tune(), plan.paths)


def test_it_stops_between_trials_and_goes_on_with_more(tmp_path: Path) -> None:
    # The first trial is what the others are judged by; it may begin, and takes more than this.
    study = search_with(tmp_path, core_hours=1.0 / 3600)
    with shared_forks():
        run(study)
    assert ended(study) <= 1
    assert set(read_left_out(study.paths)) == {"explore-001"}
    known = {file: file.stat().st_ino for file in study.paths.runs.glob("*/r*/result-*.json")}

    study = search_with(tmp_path, core_hours=100.0)
    with shared_forks():
        run(study)
    assert ended(study) == 4
    assert all(file.stat().st_ino == inode for file, inode in known.items())


def test_its_memory_does_not_depend_on_the_budget(tmp_path: Path) -> None:
    one, other = (search_with(tmp_path, core_hours=hours) for hours in (1.0, 2.0))
    assert one.fingerprint() == other.fingerprint()

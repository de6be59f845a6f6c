"""The plan: what jobs must know, and what makes them run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from studies import tiny_study, write_study

from gridfold.canonical import canonical_json
from gridfold.plan.cost import CostModel
from gridfold.plan.facts import plan_facts
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.shards import TrialKey
from gridfold.plan.status import stage_states
from gridfold.plan.words import description

REQUESTS = (
    "data",
    "splits",
    "collect",
    "summary",
    "final",
    "report",
)


def plan(folder: Path, **sections: Any) -> Plan:
    return Plan.load(
        [write_study(folder / "study.yaml", tiny_study(**sections))], results=folder / "results"
    )


def changed(folder: Path, **sections: Any) -> set[str]:
    """Return the requests that differ from the tiny study's."""
    one, other = plan(folder), plan(folder, **sections)
    different = {
        name
        for name in REQUESTS
        if getattr(JobRequests(one), name)() != getattr(JobRequests(other), name)()
    }
    if JobRequests(one).train("s0001") != JobRequests(other).train("s0001"):
        different.add("train")
    return different


def test_requests_are_canonical_json(tmp_path: Path) -> None:
    made = plan(tmp_path)
    for name in REQUESTS:
        text = getattr(JobRequests(made), name)().text()
        assert canonical_json(json.loads(text)) == text
    text = JobRequests(made).train("s0001").text()
    assert canonical_json(json.loads(text)) == text


def test_the_title_concerns_the_report_alone(tmp_path: Path) -> None:
    assert changed(tmp_path, report={"title": "Another"}) == {"report"}


def test_the_ranking_measure_retrains_no_trial(tmp_path: Path) -> None:
    different = changed(tmp_path, problem={"type": "multiclass", "measure": "log_loss"})
    assert "train" not in different
    assert "summary" in different


def test_workers_and_retries_change_no_request_of_a_number(tmp_path: Path) -> None:
    different = changed(tmp_path, execution={"workers": 3, "retries": 7})
    assert different == {"report"}


def test_normalisation_reads_no_data_again(tmp_path: Path) -> None:
    different = changed(tmp_path, data={"source": "iris", "normalise": "minmax"})
    assert "train" in different
    assert not {"data", "splits"} & different


def test_the_test_fraction_draws_new_splits_from_the_same_data(tmp_path: Path) -> None:
    different = changed(tmp_path, data={"source": "iris", "test_fraction": 0.3})
    assert "splits" in different
    assert "data" not in different


def test_a_grown_grid_leaves_the_requests_of_old_shards_alone(tmp_path: Path) -> None:
    first = plan(tmp_path)
    first.ledger.append_to(first.paths.ledger)
    grown = plan(tmp_path, search={"space": {"mlp.units": [2, 4, 8]}})
    assert list(grown.shards) == ["s0001", "s0002"]
    assert JobRequests(grown).train("s0001") == JobRequests(first).train("s0001")
    assert len(JobRequests(grown).train("s0002").trials) == 2


def test_without_a_run_nothing_is_remembered(tmp_path: Path) -> None:
    plan(tmp_path)
    assert not (tmp_path / "results").exists()


def test_raising_the_epochs_keeps_ids_and_asks_again(tmp_path: Path) -> None:
    short, long = plan(tmp_path), plan(tmp_path, training={"epochs": 9})
    assert [c.id for c in short.configurations] == [c.id for c in long.configurations]
    assert JobRequests(short).train("s0001") != JobRequests(long).train("s0001")


def test_finished_trials_are_those_with_an_answer_for_these_epochs(tmp_path: Path) -> None:
    made = plan(tmp_path)
    trial = made.trials[1]
    folder = made.paths.trial(trial.config_id, trial.split)
    folder.mkdir(parents=True)
    (folder / "result-00003.json").write_text("{}")
    other = made.trials[2]
    folder = made.paths.trial(other.config_id, other.split)
    folder.mkdir(parents=True)
    (folder / "result-00002.json").write_text("{}")
    (explored,) = stage_states(made)
    assert explored.answered == {TrialKey(trial.config_id, trial.split)}
    assert "4, of which 1 are done and 3 are to be trained in 1 job" in description(made, 2)


def test_the_plan_names_counts_axes_and_cost(tmp_path: Path) -> None:
    text = description(plan(tmp_path), 2)
    assert "Study tiny: multiclass on iris, mlp" in text
    assert "configurations  2" in text
    assert "splits          2 (kfold, 2 folds x 1)" in text
    assert "mlp.units: 2 values, scientific" in text
    assert "on one worker" in text


def test_where_epochs_are_an_axis_each_configuration_has_its_own(tmp_path: Path) -> None:
    space = {"training.epochs": [2, 4]}
    made = plan(tmp_path, search={"space": space, "confirm": {"top": 1, "folds": 3}})
    first, confirmed = [line.split() for line in description(made, 2).splitlines()[5:7]]
    assert first[:6] == ["Explore", "2", "own", "2", "4", "12"]
    assert confirmed[:7] == ["Confirm", "up", "to", "1", "own", "3", "3"]
    cost = CostModel.of(made.study)
    seconds = sum(cost.seconds(c.settings, c.epochs) * 2 for c in made.configurations)
    seconds += cost.mean_seconds(made.configurations, split="c0f0") * 3
    assert plan_facts(made)["seconds"] == pytest.approx(seconds)


def test_duplicates_are_counted(tmp_path: Path) -> None:
    made = plan(tmp_path, search={"space": {"mlp.units": [4, 8, 4]}})
    assert "configurations  2 (1 duplicate left out)" in description(made, None)


def test_auto_workers_use_the_cores(tmp_path: Path) -> None:
    made = plan(tmp_path, execution={"threads_per_worker": 2})
    assert made.workers(8) == 4
    assert made.threads(8) == 8
    assert made.workers(1) == 1
    assert plan(tmp_path, execution={"workers": 3}).workers(16) == 3


def test_trials_that_share_a_gpu_have_a_core_each(tmp_path: Path) -> None:
    folds = {"method": "kfold", "folds": 9}
    shared = plan(tmp_path, execution={"trials_per_gpu": 6}, resampling=folds)
    assert shared.threads(None) == 6
    assert shared.shard_threads("s0001", None) == 6
    assert "6 trials at a time on each GPU" in description(shared, None)
    two = {"trials_per_gpu": 6, "threads_per_worker": 2}
    assert plan(tmp_path, execution=two, resampling=folds).threads(None) == 12
    # No more than can be used, and never fewer than otherwise.
    assert plan(tmp_path, execution={"trials_per_gpu": 6}).shard_threads("s0001", None) < 6
    assert plan(tmp_path, execution={"trials_per_gpu": 2}).threads(None) == 4
    fixed = plan(tmp_path, execution={"trials_per_gpu": 6, "workers": 3}, resampling=folds)
    assert fixed.threads(None) == 3
    assert "on each GPU" not in description(fixed, None)


def test_jobs_run_side_by_side_where_one_would_leave_cores_idle(tmp_path: Path) -> None:
    execution = {"trials_per_job": "configuration", "threads_per_worker": 2}
    search = {"space": {"mlp.units": [4, 8, 12, 16]}}
    folds = {"method": "kfold", "folds": 5}
    made = plan(tmp_path, execution=execution, search=search, resampling=folds)
    assert {made.shard_threads(shard, 8) for shard in made.shards} == {2}
    # A job of a cluster has its cores to itself.
    assert made.shard_threads("s0001", None) == 4
    # GPUs are dealt out by each job.
    assert made.shard_threads("s0001", 16, has_gpus=True) == 16
    fixed = plan(tmp_path, execution={**execution, "workers": 3}, search=search, resampling=folds)
    assert fixed.shard_threads("s0001", 8) == 6


def test_the_last_job_has_all_cores(tmp_path: Path) -> None:
    execution = {"trials_per_job": "configuration"}
    search = {"space": {"mlp.units": [4, 8, 12, 16]}}
    sections = {"search": search, "resampling": {"method": "kfold", "folds": 4}}
    made = plan(tmp_path, execution=execution, **sections)
    assert made.shard_threads("s0004", 4) == 1
    made.paths.shards.mkdir(parents=True)
    for shard in ("s0001", "s0002", "s0003"):
        made.paths.shard_tables(shard)[0].touch()
    again = plan(tmp_path, execution=execution, **sections)
    assert again.shard_threads("s0004", 4) == 4
    made.paths.shard_tables("s0004")[0].touch()
    # All are trained again when all are there.
    assert plan(tmp_path, execution=execution, **sections).shard_threads("s0004", 4) == 1

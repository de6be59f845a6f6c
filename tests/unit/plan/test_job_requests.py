"""Every request of every form of study is the same again when a job has read its text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from studies import tiny_study, write_study

from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.stage_file import StageFile, slot_request
from gridfold.requests import Request
from gridfold.search.decisions import choose

SEARCHES: dict[str, dict[str, Any]] = {
    "grid": {"space": {"mlp.units": [4, 8], "training.learning_rate": [1, 0.1]}},
    "stages": {
        "space": {"mlp.units": [4, 8, 16]},
        "explore": {"epochs": 1, "training_fraction": 0.5},
        "refine": {"top": 1, "rounds": 2},
        "confirm": {"top": 2, "folds": 3},
    },
    "hyperband": {
        "space": {"mlp.units": [4, 8, 16, 32], "training.learning_rate": [0.1, 0.2, 0.3, 0.4]},
        "strategy": {"type": "hyperband", "factor": 3},
    },
    "asynchronous": {
        "space": {"mlp.units": [4, 8, 16, 32], "training.learning_rate": [0.1, 0.2, 0.3, 0.4]},
        "strategy": {"type": "hyperband", "factor": 3, "asynchronous": True, "brackets": 1},
    },
    "tuner": {
        "space": {"mlp.units": [4, 8, 16]},
        "strategy": {"type": "keras_tuner", "tuner": "random", "max_trials": 2},
        "starts": [{"mlp.units": 8}],
    },
}


@pytest.fixture(params=SEARCHES)
def plan(request: pytest.FixtureRequest, tmp_path: Path) -> Plan:
    study = tiny_study(search=SEARCHES[request.param], training={"epochs": 3})
    return Plan.load([write_study(tmp_path / "s.yaml", study)], results=tmp_path / "results")


def all_requests(plan: Plan) -> list[Request]:
    asked = JobRequests(plan)
    found = [
        asked.data(),
        asked.splits(),
        asked.tune(),
        asked.collect(),
        asked.summary(),
        asked.comparison(),
        asked.baselines(),
        asked.compared_baselines(),
        asked.permuted(),
        asked.scaling(),
        asked.final(),
        asked.ensemble(),
        asked.report(),
        *(asked.train(shard) for shard in plan.all_shards),
        *([asked.rungs()] if plan.is_asynchronous else []),
        *(asked.choice(stage.name) for stage in plan.stages),
    ]
    return found


def test_a_request_is_the_same_again_when_a_job_has_read_it(plan: Plan) -> None:
    for asked in all_requests(plan):
        text = asked.text()
        again = type(asked).parse(text)
        assert again.text() == text
        assert type(again) is type(asked)


def test_every_stage_has_a_file_and_every_job_a_deciding_one(plan: Plan) -> None:
    assert len(plan.stage_files) == len(plan.stages) >= 1
    for shard in plan.all_shards:
        assert plan.deciding_file(shard) == (
            [] if shard in plan.shards else [plan.paths.stage(shard.rpartition("-")[0])]
        )


def test_drawn_stages_are_chosen_without_scores(plan: Plan) -> None:
    for stage in plan.stages:
        drawn = plan.drawn(stage)
        if drawn is None:
            assert stage.sources or plan.is_tuned
            continue
        wanted = JobRequests(plan).choice(stage.name)
        assert choose(type(wanted).parse(wanted.text()), [], []) == drawn
        assert len(drawn.configurations) == stage.max_configurations


def test_the_jobs_of_a_decided_stage_share_its_trials(plan: Plan, tmp_path: Path) -> None:
    for stage in plan.stages:
        drawn = plan.drawn(stage)
        if drawn is None or not stage.has_slots:
            continue
        drawn.write(tmp_path / "stage.json")
        file = StageFile.read(tmp_path / "stage.json")
        parts = [
            slot_request(JobRequests(plan).train(slot), file, slot).trials for slot in stage.slots
        ]
        assert [text for part in parts for text in part] == list(map(str, file.trials()))


def test_a_stage_or_a_job_that_the_study_has_not_is_no_request(plan: Plan) -> None:
    with pytest.raises(LookupError, match="study tiny has no stage refine9"):
        JobRequests(plan).choice("refine9")
    with pytest.raises(LookupError, match="no stage refine9"):
        JobRequests(plan).train("refine9-001")

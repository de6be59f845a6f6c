"""Outer folds in a plan: the stages of the search under other names, in jobs of their own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from studies import tiny_study, write_study

from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import DISTRIBUTED_SHARD_PATTERN, SHARD_PATTERN, Plan
from gridfold.plan.stage_names import STAGE_PATTERN, fold_of, stage_of, step_of, title_of
from gridfold.plan.status import stage_states, state, status_map
from gridfold.plan.words import description
from gridfold.requests import ChoiceRequest, NestedRequest, TrainRequest
from gridfold.search.decisions import choose

SEARCHES: dict[str, dict[str, Any]] = {
    "grid": {"space": {"mlp.units": [4, 8], "training.learning_rate": [1, 0.1]}},
    "random": {"space": {"mlp.units": [4, 8, 16]}, "strategy": {"type": "random", "n": 2}},
    "stages": {
        "space": {"mlp.units": [4, 8, 16]},
        "explore": {"epochs": 1, "training_fraction": 0.5},
        "refine": {"top": 1, "rounds": 2},
        "confirm": {"top": 2, "folds": 3},
    },
    "race": {"space": {"mlp.units": [4, 8, 16, 32]}, "race": {}, "confirm": {"top": 1, "folds": 2}},
    "hyperband": {
        "space": {"mlp.units": [4, 8, 16, 32], "training.learning_rate": [0.1, 0.2, 0.3, 0.4]},
        "strategy": {"type": "hyperband", "factor": 3},
    },
}


def plan_of(folder: Path, search: dict[str, Any], outer: Any = None, **sections: Any) -> Plan:
    resampling = {"method": "kfold", "folds": 3 if "race" in search else 2}
    resampling |= {} if outer is None else {"outer": outer}
    study = tiny_study(
        search=search, resampling=resampling, **{"training": {"epochs": 3}, **sections}
    )
    return Plan.load([write_study(folder / "s.yaml", study)], results=folder / "results")


@pytest.fixture(params=SEARCHES)
def search(request: pytest.FixtureRequest) -> dict[str, Any]:
    return SEARCHES[request.param]


@pytest.fixture
def nested(tmp_path: Path, search: dict[str, Any]) -> Plan:
    return plan_of(tmp_path, search, {"folds": 2, "repeats": 2})


def test_each_outer_fold_has_the_stages_of_the_search_and_one_that_scores(nested: Plan) -> None:
    names = ["o0f0", "o0f1", "o1f0", "o1f1"]
    assert [fold.name for fold in nested.outer_folds] == names
    for fold in nested.outer_folds:
        assert [step_of(stage.name) for stage in fold.stages] == [
            *(stage.name for stage in nested.stages),
            "score",
        ]
        for own, stage in zip(fold.search, nested.stages, strict=True):
            assert own.splits == tuple(f"{fold.name}.{split}" for split in stage.splits)
            assert own.sources == tuple(f"{fold.name}_{source}" for source in stage.sources)
            assert own.continues == tuple(f"{fold.name}_{before}" for before in stage.continues)
            assert (own.trials, len(own.slots)) == (stage.trials, len(stage.slots))
        assert fold.score.splits == (fold.name,)
        assert fold.score.sources == tuple(
            f"{fold.name}_{stage.name}" for stage in nested.answering_stages
        )
        assert (fold.score.trials, len(fold.score.slots)) == (1, 1)


def test_the_study_itself_is_planned_as_without_outer_folds(
    tmp_path: Path, search: dict[str, Any], nested: Plan
) -> None:
    (tmp_path / "plain").mkdir()
    plain = plan_of(tmp_path / "plain", search)
    assert plain.stages == nested.stages
    assert plain.configurations == nested.configurations
    assert plain.all_shards == nested.search_shards
    assert plain.shards == nested.shards
    mine, theirs = JobRequests(nested), JobRequests(plain)
    for asked in ("collect", "summary", "comparison", "final", "baselines", "ensemble"):
        assert getattr(mine, asked)() == getattr(theirs, asked)()
    for shard in plain.all_shards:
        assert mine.train(shard) == theirs.train(shard)
    assert '"outer"' not in theirs.splits().text()
    assert mine.splits().outer == {"folds": 2, "repeats": 2, "seed": 0}
    assert mine.splits().resampling == theirs.splits().resampling


def test_no_job_of_one_fold_is_one_of_another(nested: Plan) -> None:
    parts = [
        nested.search_shards,
        *(
            [s for stage in fold.stages for s in nested.shards_of(stage)]
            for fold in nested.outer_folds
        ),
    ]
    together = [shard for part in parts for shard in part]
    assert len(together) == len(set(together))
    assert sorted(together) == sorted(nested.all_shards)
    for fold in nested.outer_folds:
        for shard in nested.shards_of(fold.search[0]):
            for trial in nested.ledger.shards.get(shard, ()):
                assert trial.split in fold.search[0].splits


def test_names_of_stages_and_jobs_fit_the_rules(nested: Plan) -> None:
    for stage in nested.all_stages:
        assert re.fullmatch(STAGE_PATTERN, stage.name)
        for slot in stage.slots:
            assert re.fullmatch(SHARD_PATTERN, slot)
            assert stage_of(slot) == stage.name
    for shard in nested.all_shards:
        assert re.fullmatch(f"{SHARD_PATTERN}|{DISTRIBUTED_SHARD_PATTERN}", shard)
        is_known = shard in nested.ledger.shards
        files = [] if is_known else [nested.paths.stage(shard.rpartition("-")[0])]
        assert nested.deciding_file(shard) == files
    assert not re.fullmatch(STAGE_PATTERN, "score")


@pytest.mark.parametrize(
    ("stage", "fold", "step", "title"),
    [
        ("explore", None, "explore", "Explore"),
        ("o0f1_explore", "o0f1", "explore", "Outer fold o0f1, explore"),
        ("o1f0_b2r1", "o1f0", "b2r1", "Outer fold o1f0, bracket 2, rung 1"),
        ("o0f0_refine2", "o0f0", "refine2", "Outer fold o0f0, refine, round 2"),
        ("o0f0_score", "o0f0", "score", "Outer fold o0f0, score"),
    ],
)
def test_a_stage_is_named_by_its_fold_and_its_step(
    stage: str, fold: str | None, step: str, title: str
) -> None:
    assert (fold_of(stage), step_of(stage), title_of(stage)) == (fold, step, title)


def test_requests_of_a_fold_are_those_of_the_search_on_its_splits(nested: Plan) -> None:
    asked = JobRequests(nested)
    for fold in nested.outer_folds:
        for own, stage in zip(fold.search, nested.stages, strict=True):
            mine, theirs = asked.choice(own.name), asked.choice(stage.name)
            assert (mine.stage, mine.splits) == (own.name, own.splits)
            assert (mine.drawn, mine.refinement, mine.most, mine.epochs, mine.is_score) == (
                theirs.drawn,
                theirs.refinement,
                theirs.most,
                theirs.epochs,
                None,
            )
            drawn = nested.drawn(own)
            if drawn is not None:
                assert choose(ChoiceRequest.parse(mine.text()), [], []) == drawn
        winner = asked.choice(fold.score.name)
        assert winner.is_score
        assert nested.drawn(fold.score) is None
        assert ChoiceRequest.parse(winner.text()) == winner
        slot = asked.train(fold.score.slots[0])
        assert TrainRequest.parse(slot.text()).trials_per_job == 1
        assert slot.conditions == asked.conditions
    text = asked.nested().text()
    assert NestedRequest.parse(text).text() == text


def test_what_decides_the_winner_are_the_trials_in_full_of_its_own_fold(nested: Plan) -> None:
    for fold in nested.outer_folds:
        tables = nested.source_tables(fold.score.name)
        own = [s for stage in fold.search for s in nested.shards_of(stage)]
        assert tables
        assert {table.name.partition(".")[0] for table in tables} <= set(own)
        assert nested.source_files(fold.score.name) == [
            nested.paths.stage(name) for name in fold.score.sources
        ]


def test_a_race_in_an_outer_fold_is_decided_by_the_scores_of_the_fold(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SEARCHES["race"], {"folds": 2})
    explored = plan.drawn(plan.stage("o0f0_explore"))
    assert explored is not None
    assert plan.source_files("o0f0_race2") == [plan.paths.stage("o0f0_explore")]
    written = tmp_path / "s0002.trials.parquet"
    rows = [
        {"config_id": c.id, "split": f"{start}r0f0", "status": "finished", "accuracy": score}
        for start, scores in (("o0f0.", (0.1, 0.9, 0.8, 0.2)), ("", (0.9, 0.1, 0.2, 0.8)))
        for c, score in zip(explored.configurations, scores, strict=True)
    ]
    pd.DataFrame(rows).assign(n_train=80, n_validation=40).to_parquet(written)
    found = choose(JobRequests(plan).choice("o0f0_race2"), [explored], [written])
    assert [c.axes["mlp.units"] for c in found.configurations] == [8, 16]
    assert (found.splits, found.scored_splits) == (
        ("o0f0.r0f1",),
        ("o0f0.r0f0", "o0f0.r0f1"),
    )


def test_a_grown_grid_gets_new_jobs_in_each_fold_and_keeps_the_old_ones(tmp_path: Path) -> None:
    small = plan_of(tmp_path, {"space": {"mlp.units": [4, 8]}}, {"folds": 2})
    small.ledger.append_to(small.paths.ledger)
    grown = plan_of(tmp_path, {"space": {"mlp.units": [4, 8, 16]}}, {"folds": 2})
    for shard in small.all_shards:
        assert shard in grown.all_shards
        assert JobRequests(small).train(shard) == JobRequests(grown).train(shard)
    new = [shard for shard in grown.all_shards if shard not in small.all_shards]
    third = grown.configurations[2].id
    trials = [trial for shard in new for trial in grown.ledger.shards[shard]]
    assert len(new) == 3
    assert {trial.config_id for trial in trials} == {third}
    assert sorted(trial.split for trial in trials) == sorted(
        ["r0f0", "r0f1", *(f"o0f{k}.r0f{i}" for k in range(2) for i in range(2))]
    )


def test_outer_folds_that_come_later_leave_the_jobs_of_the_study_alone(tmp_path: Path) -> None:
    plain = plan_of(tmp_path, {"space": {"mlp.units": [4, 8]}})
    plain.ledger.append_to(plain.paths.ledger)
    nested = plan_of(tmp_path, {"space": {"mlp.units": [4, 8]}}, {"folds": 3})
    assert nested.shards == plain.shards
    assert len(nested.all_shards) == len(plain.all_shards) + 2 * 3


def test_a_plan_says_what_outer_folds_cost(tmp_path: Path, search: dict[str, Any]) -> None:
    nested = plan_of(tmp_path, search, {"folds": 3, "repeats": 2})
    lines = description(nested, cores=1).splitlines()
    (line,) = (line for line in lines if "outer folds" in line)
    assert "6 (3 folds x 2)" in line
    assert "7 searches in all" in line
    own = sum(stage.trials for stage in nested.stages)
    (of_these,) = (line for line in lines if "in them" in line)
    assert f"{6 * (own + 1):,} more trials" in of_these
    if nested.is_staged:
        jobs = sum(len(nested.shards_of(stage)) for stage in nested.stages)
        assert any(f"at most {own:,}, in {jobs} job" in line for line in lines)
    assert "outer folds" not in description(plan_of(tmp_path, search), cores=1)


def test_the_status_has_one_line_for_each_outer_fold(tmp_path: Path) -> None:
    nested = plan_of(tmp_path, SEARCHES["stages"], {"folds": 2})
    lines = status_map(stage_states(nested))
    assert len(lines) == len(nested.stages) + 2
    trials = nested.outer_folds[0].trials
    assert lines[-2].startswith("Outer fold o0f0  ")
    assert lines[-2].endswith(f"0/{trials} at most")
    total = sum(stage.trials for stage in nested.all_stages)
    assert f"trials 0/{total} done" in state(nested)

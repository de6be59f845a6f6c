"""Hyperband's schedule, and how the configurations of its brackets are drawn."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from studies import load, tiny_study, write_study

from gridfold.errors import StudyError
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.status import state
from gridfold.plan.words import description
from gridfold.space.hyperband import drawn, schedule

# Li et al. (2018), table 1: R = 81, eta = 3; n_i and r_i of each bracket.
PAPER = {
    4: [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    3: [(27, 3), (9, 9), (3, 27), (1, 81)],
    2: [(9, 9), (3, 27), (1, 81)],
    1: [(6, 27), (2, 81)],
    0: [(5, 81)],
}


def hyperband(
    epochs: int = 9, search: dict[str, Any] | None = None, **strategy: Any
) -> dict[str, Any]:
    return tiny_study(
        training={"epochs": epochs},
        search={
            "strategy": {"type": "hyperband", **strategy},
            "space": {
                "mlp.units": {"int": {"min": 2, "max": 512}},
                "mlp.dropout": {"float": {"min": 0.0, "max": 0.5}},
            },
            **(search or {}),
        },
    )


def plan(folder: Path, study: dict[str, Any]) -> Plan:
    return Plan.load([write_study(folder / "study.yaml", study)], results=folder / "results")


def test_the_schedule_is_that_of_the_paper() -> None:
    found: dict[int, list[tuple[int, int]]] = {}
    for rung in schedule(81, 3):
        found.setdefault(rung.bracket, []).append((rung.configurations, rung.epochs))
    assert found == PAPER
    assert list(found) == [4, 3, 2, 1, 0]


def test_the_plan_prints_the_table_of_the_paper(tmp_path: Path) -> None:
    lines = description(plan(tmp_path, hyperband(81)), None).splitlines()
    for bracket, rungs in PAPER.items():
        for number, (count, epochs) in enumerate(rungs):
            (line,) = (text for text in lines if f"Bracket {bracket}, rung {number} " in text)
            assert line.split()[4:6] == [str(count), str(epochs)]
    assert "estimated cost" in "\n".join(lines)


@pytest.mark.parametrize(
    ("epochs", "factor"), [(1, 3), (2, 3), (10, 3), (20, 2), (50, 4), (100, 3)]
)
def test_rungs_get_fewer_and_longer_up_to_all_epochs(epochs: int, factor: int) -> None:
    rungs = schedule(epochs, factor)
    for rung in rungs:
        assert rung.configurations >= 1
        assert 0 <= rung.before < rung.epochs <= epochs
        assert rung.is_last == (rung.epochs == epochs)
    for one, other in pairwise(rungs):
        if one.bracket == other.bracket:
            assert other.before == one.epochs
            assert other.configurations == one.configurations // factor


def test_one_bracket_is_successive_halving() -> None:
    rungs = schedule(27, 3, brackets=1)
    assert [(r.configurations, r.epochs) for r in rungs] == [(27, 1), (9, 3), (3, 9), (1, 27)]


def test_brackets_do_not_share_configurations(tmp_path: Path) -> None:
    found = plan(tmp_path, hyperband(27))
    ids = [c.id for c in found.configurations]
    assert len(ids) == len(set(ids)) == drawn(schedule(27, 3))
    parts = [JobRequests(found).choice(f"b{bracket}r0").drawn or () for bracket in (3, 2, 1, 0)]
    assert [sum(c.epochs == 1 for c in part) for part in parts] == [27, 0, 0, 0]
    assert [c.id for part in parts for c in part] == ids


def test_more_epochs_keep_the_ids_of_a_schedule_that_spans_them(tmp_path: Path) -> None:
    study = hyperband()
    study["training"]["schedule"] = {"kind": "cosine"}
    for configuration in plan(tmp_path, study).configurations:
        assert configuration.settings["training"]["schedule"]["epochs"] == 9
        assert configuration.epochs in (1, 3, 9)


def test_nothing_is_put_into_the_ledger(tmp_path: Path) -> None:
    found = plan(tmp_path, hyperband())
    assert not found.ledger.shards
    assert not found.shards


@pytest.mark.parametrize(
    ("study", "where", "found"),
    [
        (hyperband(factor=1), "search.strategy.factor", "1"),
        (
            hyperband(search={"space": {"mlp.units": [2, 4, 8]}}),
            "search.strategy",
            "15 configurations from a space of 3",
        ),
        (
            hyperband(search={"explore": {"epochs": 2}}),
            "search.explore.epochs",
            "which decides them itself",
        ),
        (
            hyperband(search={"explore": {"splits": 1}}),
            "search.explore",
            "nothing would be trained in full",
        ),
        (
            hyperband(search={"space": {"training.epochs": [1, 2]}}),
            'search.space["training.epochs"]',
            "Hyperband itself decides",
        ),
    ],
)
def test_what_hyperband_can_not_do_is_refused(
    tmp_path: Path, study: dict[str, Any], where: str, found: str
) -> None:
    with pytest.raises(StudyError) as refusal:
        load(tmp_path, study)
    assert found in str(refusal.value)
    assert f"{where}: " in str(refusal.value)


def test_a_sobol_sequence_can_draw_the_configurations(tmp_path: Path) -> None:
    one = plan(tmp_path, hyperband(sampler="sobol")).configurations
    assert len(one) == drawn(schedule(9, 3))
    assert {c.id for c in one} != {c.id for c in plan(tmp_path, hyperband()).configurations}


def test_the_status_is_a_map_of_the_rungs(tmp_path: Path) -> None:
    found = plan(tmp_path, hyperband())
    assert "Bracket 2, rung 1  waits for Bracket 2, rung 0" in state(found)
    assert "Bracket 1, rung 0  ...." in state(found)
    for configuration in found.configurations[:3]:
        folder = found.paths.trial(configuration.id, "r0f0")
        folder.mkdir(parents=True)
        (folder / "result-00001.json").write_text("{}")
    assert "Bracket 2, rung 0  ####" in state(found)
    assert "3/18" in state(found)
    assert "trials 3/40 done, no job is running" in state(found)

"""Which job trains which trial, decided once and remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridfold.plan.shards import (
    DISTRIBUTED,
    Ledger,
    TrialKey,
    trials_per_job,
    workers_of_a_job,
)


def trials(*configurations: str, splits: int = 2) -> list[TrialKey]:
    return [TrialKey(c, f"r0f{fold}") for c in configurations for fold in range(splits)]


def test_trials_are_dealt_out_in_order() -> None:
    ledger = Ledger().assign(trials("a", "b", "c"), 4)
    assert ledger.shards == {
        "s0001": tuple(trials("a", "b")),
        "s0002": tuple(trials("c")),
    }


def test_new_trials_go_to_new_shards() -> None:
    before = Ledger().assign(trials("a", "c"), 4)
    after = before.assign(trials("a", "b", "c"), 4)
    assert after.shards == {**before.shards, "s0002": tuple(trials("b"))}


def test_a_smaller_grid_changes_no_shard() -> None:
    before = Ledger().assign(trials("a", "b"), 4)
    assert before.assign(trials("a"), 4).shards == before.shards


def test_only_shards_with_wanted_trials_serve() -> None:
    ledger = Ledger().assign(trials("a", "b"), 2)
    assert list(ledger.serving(trials("b"))) == ["s0002"]


def test_the_same_trial_twice_counts_once() -> None:
    assert Ledger().assign(trials("a") + trials("a"), 10).shards == {"s0001": tuple(trials("a"))}


def test_numbers_are_never_used_twice() -> None:
    ledger = Ledger({"s0007": tuple(trials("a"))})
    assert list(ledger.assign(trials("b"), 2).shards) == ["s0007", "s0008"]


def test_numbers_go_on_beyond_four_digits() -> None:
    ledger = Ledger({"s0002": tuple(trials("a")), "s10000": tuple(trials("b"))})
    assert list(ledger.assign(trials("c"), 2).shards)[-1] == "s10001"


def test_the_file_remembers(tmp_path: Path) -> None:
    file = tmp_path / "very" / "deep" / "ledger.jsonl"
    ledger = Ledger().assign(trials("a", "b"), 2)
    ledger.append_to(file)
    assert Ledger.read(file).shards == ledger.shards


def test_the_file_only_grows(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    ledger = Ledger().assign(trials("a"), 2)
    ledger.append_to(file)
    first = file.read_bytes()
    ledger.append_to(file)
    assert file.read_bytes() == first
    grown = ledger.assign(trials("a", "b"), 2)
    grown.append_to(file)
    assert file.read_bytes().startswith(first)
    assert Ledger.read(file).shards == grown.shards
    assert file.read_text().count("\n") == 2


def test_bytes_that_are_no_text_cost_only_their_line(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    ledger = Ledger().assign(trials("a", "b"), 2)
    ledger.append_to(file)
    file.write_bytes(file.read_bytes().replace(b"b/r0f1", b"\xff/r0f1").replace(b"s0002", b"s\xfe"))
    assert list(Ledger.read(file).shards) == ["s0001"]


def test_without_a_file_there_are_no_shards(tmp_path: Path) -> None:
    assert Ledger.read(tmp_path / "none").shards == {}


def test_a_line_that_a_crash_cut_short_costs_only_itself(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    ledger = Ledger().assign(trials("a", "b"), 2)
    ledger.append_to(file)
    file.write_bytes(file.read_bytes()[:-20])
    kept = Ledger.read(file)
    assert list(kept.shards) == ["s0001"]
    again = kept.assign(trials("a", "b"), 2)
    again.append_to(file)
    assert Ledger.read(file).shards == again.shards


@pytest.mark.parametrize(
    "damaged",
    [
        '{"shard": "s00!2", "trials": ["b/r0f0"]}',
        '{"shard": 2, "trials": ["b/r0f0"]}',
        '{"shard": "s0002", "trials": [2]}',
        '{"shard": "s0002", "trials": ["b"]}',
        '{"shard": "s0002", "trials": ["a/r0f0"]}',
        '{"shard": "s0001", "trials": ["b/r0f0"]}',
        "[]",
    ],
)
def test_a_damaged_line_costs_only_itself_and_gives_no_trial_a_second_shard(
    tmp_path: Path, damaged: str
) -> None:
    file = tmp_path / "ledger.jsonl"
    ledger = Ledger().assign(trials("a"), 2)
    ledger.append_to(file)
    file.write_text(file.read_text() + damaged + "\n")
    assert Ledger.read(file).shards == ledger.shards
    assert list(Ledger.read(file).assign(trials("b"), 2).shards) == ["s0001", "s0002"]


@pytest.mark.parametrize(
    ("setting", "expected"), [("split", 1), ("configuration", 5), (7, 7), (1, 1)]
)
def test_trials_per_job_as_the_study_says(setting: str | int, expected: int) -> None:
    assert trials_per_job(setting, splits=5, trials=100, seconds_per_trial=10) == expected


def test_auto_makes_jobs_of_half_an_hour() -> None:
    assert trials_per_job("auto", 5, 10_000, 60) == 50
    assert trials_per_job("auto", 5, 1_000, 60) == 30


def test_auto_keeps_the_splits_of_a_configuration_together() -> None:
    assert trials_per_job("auto", 5, 100, 90) == 20
    assert trials_per_job("auto", 7, 100, 90) == 21


def test_auto_fills_jobs_with_trials_of_less_than_a_second() -> None:
    assert trials_per_job("auto", 5, 100, 0.5) == 3600


def test_auto_has_an_answer_without_trials() -> None:
    assert trials_per_job("auto", 5, 0, 4 * 3600) == 1


def test_auto_gives_long_trials_jobs_of_their_own() -> None:
    assert trials_per_job("auto", 5, 100, 4 * 3600) == 1


def test_auto_never_makes_more_than_200_jobs() -> None:
    for seconds in (0.1, 10, 1000):
        size = trials_per_job("auto", 10, 10_000, seconds)
        assert 10_000 / size <= 200


@pytest.mark.parametrize(
    ("jobs", "trials", "workers", "expected"),
    [
        # One job has all; so it is where jobs are many and long.
        (1, 80, 2, 2),
        (1, 5, 16, 5),
        (20, 100, 2, 2),
        (3, 40, 2, 2),
        # The folds of many configurations: a job for each core, or for each two.
        (16, 5, 2, 1),
        (16, 5, 16, 1),
        (7, 6, 16, 2),
        (80, 1, 2, 1),
        (4, 10, 1, 1),
    ],
)
def test_jobs_share_a_machine_so_that_all_end_early(
    jobs: int, trials: int, workers: int, expected: int
) -> None:
    assert workers_of_a_job(jobs, trials, workers) == expected


def test_shards_of_both_kinds_are_numbered_together() -> None:
    ledger = Ledger().assign(trials("a"), 2).assign(trials("b"), 2, DISTRIBUTED)
    assert list(ledger.shards) == ["s0001", "d0002"]
    assert list(ledger.assign(trials("c"), 2).shards) == ["s0001", "d0002", "s0003"]

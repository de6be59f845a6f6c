"""Tests that take turns: so many a day, all within some days, and any when it is asked for."""

from __future__ import annotations

import collections
import os
import subprocess
import sys
from datetime import date, timedelta

import daily
import pytest
from workbench import ROOT

TUTORIALS = "tests/workflow/test_tutorials.py"


@pytest.mark.parametrize(("cases", "count"), [(5, 2), (6, 2), (2, 1), (3, 1), (3, 2), (2, 5)])
def test_all_cases_have_their_turn_equally_often(
    cases: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: collections.Counter[int] = collections.Counter()
    for number in range(cases):
        day = date(2026, 12, 29) + timedelta(number)
        monkeypatch.setenv("TESTS_OF", day.isoformat())
        chosen = daily.of_day(range(cases), count)
        assert len(set(chosen)) == min(cases, count)
        turns.update(chosen)
    assert set(turns.values()) == {min(cases, count)}
    monkeypatch.setenv("TESTS_OF", "all")
    assert daily.of_day(range(cases), count) == [*range(cases)]


def collected(day: str, *words: str) -> set[str]:
    """Return the tests that pytest would run."""
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", *words],
        cwd=ROOT,
        env={**os.environ, "TESTS_OF": day},
        capture_output=True,
        text=True,
        check=True,
    )
    return {line for line in answer.stdout.splitlines() if "::" in line}


def test_a_marked_test_runs_on_its_day_or_when_it_is_asked_for() -> None:
    one, other = collected("2026-12-02", TUTORIALS), collected("2026-12-03", TUTORIALS)
    assert (len(one), len(other)) == (2, 2)
    assert one.isdisjoint(other)
    third = min(collected("all", TUTORIALS) - one - other)
    assert collected("2026-12-02", third) == {third}

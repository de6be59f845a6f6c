"""Of tests that take minutes and are alike, some run a day, and all within some days.

``@pytest.mark.daily("group", 2)`` marks a test, or a file by ``pytestmark``: of the group's
members, so many run. A member is what is marked: each test, with each of its parameters, or the
whole file. The day is ``TESTS_OF``, as ``2026-11-29``; ``TESTS_OF=all`` runs all. A test that is
asked for alone runs on any day.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TypeVar

import pytest

Case = TypeVar("Case")

_DAY = "TESTS_OF"
ALL = "all"


def day() -> str:
    """Return the day whose tests run; with ``all``, and outside of a run, today."""
    asked = os.environ.get(_DAY, ALL)
    return datetime.now(UTC).date().isoformat() if asked == ALL else asked


def fix_day() -> None:
    """Let all processes of a run have the same day, whatever the time is when they begin."""
    os.environ.setdefault(_DAY, day())


def of_day(cases: Sequence[Case], count: int) -> list[Case]:
    """Return `count` of the cases, other ones each day, or all if that is asked for."""
    if os.environ[_DAY] == ALL or count >= len(cases):
        return [*cases]
    begin = date.fromisoformat(day()).toordinal() * count
    return [cases[(begin + place) % len(cases)] for place in range(count)]


def select(items: list[pytest.Item]) -> list[pytest.Item]:
    """Take the tests out of `items` that are not of this day, and return them."""
    members: dict[str, dict[str, list[pytest.Item]]] = {}
    counts: dict[str, int] = {}
    for item in items:
        for node, mark in item.iter_markers_with_node("daily"):
            group, counts[group] = mark.args
            members.setdefault(group, {}).setdefault(node.nodeid, []).append(item)
    left_out = set()
    for group, found in members.items():
        kept = of_day(sorted(found), counts[group])
        left_out |= {id(i) for name in found if name not in kept for i in found[name]}
    others = [item for item in items if id(item) in left_out]
    items[:] = [item for item in items if id(item) not in left_out]
    return others

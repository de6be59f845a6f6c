"""What the report says of a Hyperband without barriers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gridfold.report.sections.asynchronous import asynchrony


def study(**strategy: Any) -> dict[str, Any]:
    given = {"type": "hyperband", "factor": 2, "brackets": 1, "asynchronous": True, **strategy}
    return {"search": {"strategy": given}, "training": {"epochs": 4}}


def steps(*sizes: int) -> pd.DataFrame:
    rows = [(2, rung) for rung, size in enumerate(sizes) for _ in range(size)]
    return pd.DataFrame([*rows, (None, None)], columns=["bracket", "rung"]).astype("Int64")


def test_nothing_is_said_of_other_searches() -> None:
    assert list(asynchrony(steps(4, 2, 1), study(asynchronous=False))) == []
    assert list(asynchrony(steps(4, 2, 1), {"search": {"strategy": {"type": "grid"}}})) == []


def test_a_search_as_in_the_schedule_is_said_to_have_waited_for_nothing() -> None:
    (text,) = asynchrony(steps(4, 2, 1), study())
    assert "did not wait for each other" in text
    assert "schedule" not in text


def test_what_differs_from_the_schedule_is_told() -> None:
    (text,) = asynchrony(steps(4, 3, 0), study())
    assert "More went on" in text
    assert "3 configurations in bracket 2, rung 1 instead of 2." in text
    assert "Fewer went on than in the schedule: 0 configurations in bracket 2, rung 2" in text

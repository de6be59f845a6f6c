"""The report says whether a budget has ended the search, what was spent and what is left out."""

from __future__ import annotations

from typing import Any

from gridfold.plan.budget import Limit
from gridfold.report.sections.budget import sentences
from gridfold.search.budget import BudgetOutcome, StageOutcome


def said(incomplete: int, strategy: str = "grid", **more: Any) -> str:
    given: dict[str, Any] = {
        "limit": Limit(core_hours=500),
        "is_cut": True,
        "core_hours": 498.2,
        "gpu_hours": 12.0,
        "left_out": 7,
        "stages": (StageOutcome("explore", 5, 1, 2),),
    }
    study = {"search": {"strategy": {"type": strategy}}}
    return " ".join(sentences(BudgetOutcome(**given | more), incomplete, study))


def test_a_search_that_was_ended_says_what_was_spent_and_left_out() -> None:
    text = said(3)
    assert "The budget (500 core-hours) has ended the search." in text
    assert "have held 498 core-hours, in all attempts" in text
    assert "7 trials, which leaves 3 configurations incomplete" in text
    assert "trains nothing again" in text
    assert "The final model and what follows are not part of it." in text


def test_a_tuner_would_have_tried_more() -> None:
    text = said(0, "keras_tuner", left_out=0)
    assert "Not trained, or not to the end: what the tuner would have tried next." in text


def test_a_search_that_ended_by_itself_says_so() -> None:
    text = said(0, is_cut=False, left_out=0, limit=Limit(gpu_hours=40))
    assert "has ended within its budget (40 GPU-hours)" in text
    assert "have held 12 GPU-hours" in text
    assert "Not trained" not in text

"""The figure of where a search stopped: its order, its numbers, its words."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gridfold.figures import style
from gridfold.figures.stopping import draw_stopping, explored
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stopping import StopDecision
from gridfold.report.sections.search import stage_summary
from gridfold.report.sections.stopping import stopping_sentences
from gridfold.requests import ChosenConfiguration

DECISION = StopDecision(True, 3, 3, 9, "accuracy", 0.5, 0.1, 0.8, 0.02, 0.001, 0.004, 0.03)


def files(decision: StopDecision | None = DECISION) -> list[StageFile]:
    def batch(stage: str, *names: str) -> StageFile:
        chosen = tuple(ChosenConfiguration(n, n, {}, {}, 1) for n in names)
        own = decision if stage != "explore" else None
        return StageFile(stage, ("r0f0", "r0f1"), chosen, decision=own)

    return [batch("explore", "b", "a"), batch("more1", "c"), batch("more2")]


def trials() -> pd.DataFrame:
    rows = [
        ("explore", "b", [0.6, 0.7], 1.0),
        ("explore", "a", [0.8, 0.8], 2.0),
        ("more1", "c", [0.9, np.nan], 4.0),
        ("confirm", "a", [0.1, 0.1], 50.0),
    ]
    return pd.DataFrame(
        {
            "stage": stage,
            "config_id": name,
            "split": f"r0f{fold}",
            "status": "finished" if score == score else "failed",
            "accuracy": score,
            "log_loss": 1 - score,
            "core_hours": hours / 2,
        }
        for stage, name, scores, hours in rows
        for fold, score in enumerate(scores)
    )


def test_the_curve_is_of_what_was_explored_in_its_order() -> None:
    table = explored(trials(), files(), "accuracy")
    assert table["score"].tolist() == pytest.approx([0.65, 0.8, np.nan], nan_ok=True)
    assert table["best"].tolist() == pytest.approx([0.65, 0.8, 0.8])
    assert table["core_hours"].tolist() == [1, 3, 7]
    loss = explored(trials(), files(), "log_loss")
    assert loss["best"].tolist() == pytest.approx([0.35, 0.2, 0.2])


def test_it_is_drawn_with_its_reason(tmp_path: Path) -> None:
    drawing = draw_stopping(trials(), files(), "accuracy")
    [axes] = drawing.figure.axes
    assert [text.get_text() for text in drawing.figure.legends[0].get_texts()] == [
        "noise",
        "best so far",
        "stopped after 3",
    ]
    assert axes.get_xlabel() == "core-hours"
    assert axes.lines[-1].get_xdata()[0] == 7
    assert axes.patches[0].get_extents().height > 0
    assert "It reaches 0.800 with configuration 2" in drawing.alt
    assert DECISION.sentence in drawing.alt
    style.save(drawing, tmp_path / "a.svg", tmp_path / "a.png")
    assert ET.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")


def test_a_search_that_went_on_has_no_place_where_it_stopped() -> None:
    drawing = draw_stopping(trials(), files(None), "log_loss")
    labels = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert labels == ["best so far"]


def test_without_core_hours_configurations_are_counted() -> None:
    drawing = draw_stopping(trials().assign(core_hours=np.nan), files(), "accuracy")
    assert drawing.figure.axes[0].get_xlabel() == "configurations"


def test_without_scores_it_says_so() -> None:
    drawing = draw_stopping(trials().assign(status="failed"), files(), "accuracy")
    assert drawing.alt == "No configuration has a score on every split."


def test_the_report_says_why_and_what_it_can_not_know() -> None:
    assert list(stopping_sentences(None)) == []
    why, limits = stopping_sentences(DECISION)
    assert why == f"The search {DECISION.sentence}."
    assert "expected to gain 0.004." in limits
    assert "can’t know" in limits
    few = StopDecision(False, 20, 4, 50, "accuracy", 0.5, 0.1)
    [only] = stopping_sentences(few)
    assert "only 4 of them have a score" in only


def test_batches_are_one_stage_of_the_report() -> None:
    rows = [("explore", 20, 0.8), ("more1", 10, 0.9), ("refine1", 4, 0.85)]
    steps = pd.DataFrame(
        {
            "stage": stage,
            "config_id": f"{stage}{place}",
            **{"epochs": 3, "n_splits": 2, "n_failed": 0, "effort": 7, "fit_seconds": 1.0},
            "score": score,
        }
        for stage, count, score in rows
        for place in range(count)
    )
    found = stage_summary(steps, "accuracy")
    assert found["stage"].tolist() == ["explore", "refine1"]
    assert found["configurations"].tolist() == [30, 4]
    assert found["score"].tolist() == [0.9, 0.85]
    assert found["effort"].tolist() == [210, 28]

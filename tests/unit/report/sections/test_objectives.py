"""What the report says of several objectives, and what the figure of them tells."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from gridfold.figures.front import draw_front
from gridfold.objectives import BEST, KNEE, SMALLEST
from gridfold.report.sections.objectives import sentences
from gridfold.requests import Constraint, Objectives

BOTH = ("accuracy", "parameters")
LIMIT = Constraint("parameters", at_most=500)


def table(**changes: Any) -> pd.DataFrame:
    """Return a Pareto table: two on the front, one behind it, one with too many weights."""
    rows = {
        "rank": [1, 2, 3, 4],
        "config_id": ["a", "b", "c", "d"],
        "label": ["mlp a", "mlp b", "mlp c", "mlp d"],
        "accuracy": [0.9, 0.8, 0.7, 0.95],
        "parameters": [400.0, 100.0, 200.0, 9000.0],
        "within_constraints": [True, True, True, False],
        "violations": ["", "", "", LIMIT.text],
        "front": [1, 1, 2, None],
        "may_be_best": [True, False, False, False],
        "selected": [True, False, False, False],
    }
    return pd.DataFrame(rows | changes).astype({"front": "Int64"})


def words(wanted: Objectives, **changes: Any) -> str:
    return " ".join(sentences(table(**changes), wanted, 0.95))


def test_what_is_wanted_ruled_out_on_the_front_and_selected_is_said() -> None:
    text = words(Objectives(BOTH, (LIMIT,)))
    assert "accuracy (higher is better) and parameters (lower is better)" in text
    assert "parameters at most 500" in text
    assert "1 configuration of 4 can’t be selected" in text
    assert "“mlp d”" in text
    assert "2 of 3 configurations that could be selected are on the Pareto" in text
    assert "by the means alone" in text
    assert (
        "1 configuration can’t be told from the best in accuracy at 95% confidence (number 1"
        in text
    )
    assert "Selected is the best mean accuracy among those that satisfy the constraints" in text
    assert "“mlp a”, with accuracy 0.9000, parameters 400" in text
    assert "Times are" not in text


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (BEST, "is the best mean accuracy ("),
        (SMALLEST, "the least parameters among those whose mean accuracy is at most one standard"),
        (KNEE, "gives the most of all objectives together"),
    ],
)
def test_each_rule_is_said_in_words(rule: str, said: str) -> None:
    text = words(Objectives(BOTH, rule=rule), within_constraints=[True] * 4)
    assert said in text
    assert f"`{rule}`" in text


def test_constraints_that_all_satisfy_are_said_too() -> None:
    text = words(Objectives(("accuracy",), (LIMIT,)), within_constraints=[True] * 4)
    assert "All 4 configurations satisfy them" in text
    assert "Pareto" not in text


def test_times_are_told_from_what_does_not_depend_on_a_machine() -> None:
    text = words(Objectives(("accuracy", "fit_seconds")), fit_seconds=[1.0, 2.0, 3.0, 4.0])
    assert "Times are of this machine" in text


def test_the_figure_tells_how_many_are_on_the_front_and_ruled_out() -> None:
    drawing = draw_front(table(), Objectives(BOTH, (LIMIT,)))
    assert "2 configurations of 4 on the Pareto front" in drawing.alt
    assert "1 configuration ruled out by a constraint" in drawing.alt
    assert "Selected: mlp a with accuracy 0.9000, parameters 400" in drawing.alt
    [axes] = drawing.figure.axes
    line = next(
        line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata())
    )
    assert list(line.get_xdata()) == [100.0, 400.0]
    assert list(line.get_ydata()) == [0.8, 0.9]


def test_every_other_objective_has_a_panel_and_a_single_one_a_message() -> None:
    three = table(fit_seconds=[1.0, 2.0, 3.0, 4.0])
    assert len(draw_front(three, Objectives((*BOTH, "fit_seconds"))).figure.axes) == 2
    assert draw_front(table(), Objectives(("accuracy",))).figure.axes == []


def test_a_study_without_scores_has_a_message() -> None:
    empty = table(accuracy=[float("nan")] * 4)
    assert "No trial has a score" in draw_front(empty, Objectives(BOTH)).alt

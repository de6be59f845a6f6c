"""Which configurations a next stage takes where several objectives or constraints decide."""

from __future__ import annotations

import pandas as pd
import pytest

from gridfold.errors import GridfoldError
from gridfold.plan.stage_file import StageFile
from gridfold.requests import ChosenConfiguration, Constraint, Objectives
from gridfold.search.ranking import ranked
from gridfold.search.wishes import by_objectives

SPLITS = ("r0f0", "r0f1")
# Accuracy and weights; e is dominated by b.
POINTS = {"a": (0.9, 1000), "b": (0.8, 100), "c": (0.6, 10), "d": (0.95, 9000), "e": (0.7, 500)}


def file() -> StageFile:
    names = tuple(ChosenConfiguration(n, f"mlp {n}", {}, {"training": {}}, 1) for n in POINTS)
    return StageFile("explore", SPLITS, names)


def trials(lost: str = "") -> pd.DataFrame:
    rows = [
        {
            "config_id": name,
            "split": split,
            "status": "failed" if name == lost else "finished",
            "accuracy": float("nan") if name == lost else score,
            "total_parameters": float(weights),
            "fit_seconds": 1.0,
        }
        for name, (score, weights) in POINTS.items()
        for split in SPLITS
    ]
    return pd.DataFrame(rows)


def order(*constraints: Constraint, names: tuple[str, ...] = ("accuracy", "parameters")) -> str:
    table = trials()
    ranking = ranked([file()], table, "accuracy")
    wanted = Objectives(names, constraints)
    return "".join(c.id for c in by_objectives(ranking, [file()], table, wanted, "confirm"))


def test_the_front_comes_first_in_the_order_of_the_first_objective() -> None:
    assert order() == "dabce"


def test_with_one_objective_the_order_is_that_of_the_ranking() -> None:
    assert order(names=("accuracy",)) == "dabec"


def test_what_has_too_many_weights_is_left_out_for_good() -> None:
    assert order(Constraint("parameters", at_most=1000)) == "abce"


def test_what_scores_too_low_so_far_comes_last_and_is_not_given_up() -> None:
    assert order(Constraint("accuracy", at_least=0.85)) == "dabce"


def test_configurations_that_satisfy_the_constraints_do_not_compete_with_others() -> None:
    # e is dominated by b alone, which costs too little to count.
    assert order(Constraint("accuracy", at_most=0.75)).startswith("ec")


def test_where_all_have_too_many_weights_the_search_ends_with_a_sentence() -> None:
    with pytest.raises(GridfoldError, match="before the stage Confirm satisfies") as error:
        order(Constraint("parameters", at_most=9))
    assert "nearest is c (mlp c) with parameters 10" in str(error.value)


def test_a_configuration_that_lost_a_trial_is_not_in_the_ranking_and_stays_out() -> None:
    table = trials(lost="d")
    ranking = ranked([file()], table, "accuracy")
    found = by_objectives(
        ranking, [file()], table, Objectives(("accuracy", "parameters")), "confirm"
    )
    assert "".join(c.id for c in found) == "abce"

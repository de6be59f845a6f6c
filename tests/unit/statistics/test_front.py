"""What may be selected, which rule selects what, and what the Pareto table says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridfold.errors import GridfoldError
from gridfold.objectives import KNEE, SMALLEST
from gridfold.requests import Constraint, Objectives, SummaryRequest
from gridfold.statistics.front import (
    fronts,
    means_of,
    pareto_table,
    require_candidate,
    selected_first,
    violations,
)
from gridfold.statistics.summary import select, summarise

FAILED = None


def trials(
    weights: dict[str, int], measure: str = "accuracy", **scores: list[float | None]
) -> pd.DataFrame:
    """Return a trials table: scores by configuration and split, and how many weights each has."""
    rows = []
    for name, values in scores.items():
        for fold, score in enumerate(values):
            good = score is not FAILED
            rows.append(
                {
                    "config_id": name,
                    "split": f"r0f{fold}",
                    "label": f"mlp {name}",
                    "model": "mlp",
                    "status": "finished" if good else "failed",
                    "epochs_trained": 3,
                    "best_epoch": 3,
                    "n_train": 100,
                    "n_validation": 50,
                    "parameters": weights[name],
                    "total_parameters": float(weights[name]) if good else math.nan,
                    "fit_seconds": 1.0 + weights[name] / 1000,
                    measure: score if good else math.nan,
                }
            )
    return pd.DataFrame(rows)


# Better and larger from a to d; e is larger than c and worse.
WEIGHTS = {"a": 10, "b": 100, "c": 1000, "d": 10000, "e": 2000}
TABLE = trials(
    WEIGHTS,
    a=[0.50, 0.52, 0.51, 0.49, 0.50],
    b=[0.86, 0.80, 0.89, 0.84, 0.83],
    c=[0.90, 0.88, 0.91, 0.87, 0.89],
    d=[0.91, 0.89, 0.90, 0.88, 0.91],
    e=[0.70, 0.71, 0.69, 0.72, 0.68],
)
BOTH = ("accuracy", "parameters")


def limit(name: str, **limits: float) -> Constraint:
    return Constraint(name, **limits)


def summary(objectives: Objectives, table: pd.DataFrame = TABLE) -> pd.DataFrame:
    return summarise(table, SummaryRequest(objectives.names[0], 0.95, objectives))


def selected(objectives: Objectives, table: pd.DataFrame = TABLE) -> str:
    request = SummaryRequest(objectives.names[0], 0.95, objectives)
    return select(summary(objectives, table), request).config_id


def test_means_are_over_finished_trials_and_unknown_ones_are_missing() -> None:
    table = trials(WEIGHTS, a=[0.4, FAILED], b=[FAILED, FAILED])
    means = means_of(table, [*BOTH, "seconds_per_sample"])
    assert means.loc["a"].tolist()[:2] == [0.4, 10.0]
    assert means.loc["b"].isna().all()
    assert means["seconds_per_sample"].isna().all()


@pytest.mark.parametrize(
    ("constraint", "ok"),
    [
        (limit("parameters", at_most=1000), "abc"),
        (limit("parameters", at_most=999.9), "ab"),
        (limit("accuracy", at_least=0.8), "bcd"),
        (limit("parameters", at_least=100, at_most=1000), "bc"),
        (limit("seconds_per_sample", at_most=1), ""),
    ],
)
def test_constraints_are_on_means_and_what_is_unknown_satisfies_none(
    constraint: Constraint, ok: str
) -> None:
    objectives = Objectives(BOTH, (constraint,))
    found = violations(means_of(TABLE, objectives.looked_at), objectives)
    assert "".join(found.index[found == ""]) == ok
    assert set(found[found != ""]) <= {constraint.text}


def test_what_a_constraint_rules_out_is_never_selected_nor_compared() -> None:
    objectives = Objectives(("accuracy",), (limit("parameters", at_most=1000),))
    table = summary(objectives)
    assert table["config_id"].tolist() == ["c", "b", "a", "d", "e"]
    assert table["within_constraints"].tolist() == [True] * 3 + [False] * 2
    assert table.loc[3:, "p_value"].isna().all()
    assert not table.loc[3:, "may_be_best"].any()
    found = select(table, SummaryRequest("accuracy", 0.95, objectives))
    assert (found.config_id, found.rule, found.allowed) == ("c", None, 3)


def test_a_study_with_one_objective_and_no_limit_has_the_table_that_it_had() -> None:
    plain = summarise(TABLE, SummaryRequest("accuracy", 0.95))
    weighed = summary(Objectives(("accuracy",))).drop(columns="within_constraints")
    pd.testing.assert_frame_equal(plain, weighed)


def test_the_smallest_within_one_standard_error_is_not_far_behind() -> None:
    objectives = Objectives(BOTH, rule=SMALLEST)
    table = summary(objectives)
    # c is as good as d for all that is known, b is not.
    assert table["config_id"].tolist() == ["c", "d", "b", "e", "a"]
    best = summarise(TABLE, SummaryRequest("accuracy", 0.95)).set_index("config_id")
    assert -best.loc["c", "difference"] <= best.loc["c", "difference_error"]
    assert -best.loc["b", "difference"] > best.loc["b", "difference_error"]
    # Everything else is compared with the selected one.
    assert table.loc[0, "difference"] == 0
    assert table.loc[1, "difference"] == pytest.approx(-best.loc["c", "difference"])


def test_of_a_measure_that_is_to_be_small_the_rules_look_the_other_way() -> None:
    losses = trials(
        WEIGHTS,
        "log_loss",
        a=[1.5, 1.6, 1.4],
        b=[0.9, 0.7, 0.8],
        c=[0.31, 0.33, 0.30],
        d=[0.32, 0.30, 0.31],
        e=[0.6, 0.6, 0.7],
    )
    both = ("log_loss", "parameters")
    assert selected(Objectives(both), losses) == "d"
    assert selected(Objectives(both, rule=SMALLEST), losses) == "c"
    assert selected(Objectives(both, (limit("log_loss", at_least=0.5),)), losses) == "e"
    front = pareto_table(losses, summary(Objectives(both), losses), Objectives(both))
    assert sorted(front["config_id"][front["front"] == 1]) == ["a", "b", "c", "d"]


def test_the_knee_is_the_point_farthest_from_the_line_between_the_ends() -> None:
    # From a to d the weights grow tenfold each; b is the last that gains much.
    points = np.array([[math.log(WEIGHTS[n]), np.mean(s)] for n, s in means().items()])
    scaled = (points - points.min(axis=0)) / np.ptp(points, axis=0)
    distance = scaled[:, 1] - scaled[:, 0]
    assert selected(Objectives(BOTH, rule=KNEE)) == "abcd"[int(distance.argmax())] == "b"


def means() -> dict[str, list[float]]:
    own = TABLE[TABLE["config_id"] != "e"]
    return {str(n): rows["accuracy"].tolist() for n, rows in own.groupby("config_id")}


@pytest.mark.parametrize("rule", [SMALLEST, KNEE])
def test_a_rule_looks_only_at_what_may_be_selected(rule: str) -> None:
    lost = TABLE.copy()
    lost.loc[lost.index[lost["config_id"] == "c"][0], ["status", "accuracy"]] = ["failed", math.nan]
    most = (limit("parameters", at_most=5000), limit("accuracy", at_least=0.6))
    assert selected(Objectives(BOTH, most, rule), lost) == "b"


def test_the_table_shows_fronts_violations_and_what_cannot_be_told_apart() -> None:
    objectives = Objectives(BOTH, (limit("parameters", at_most=5000),))
    table = pareto_table(TABLE, summary(objectives), objectives).set_index("config_id")
    assert table["front"].to_dict() | {"d": 0} == {"a": 1, "b": 1, "c": 1, "d": 0, "e": 2}
    assert pd.isna(table.loc["d", "front"])
    assert table.loc["d", "violations"] == "parameters at most 5,000"
    assert table.loc["c", "parameters"] == 1000
    assert table.index[table["selected"]].tolist() == ["c"]
    assert table.loc["c", "may_be_best"]
    assert not table.loc["a", "may_be_best"]


def test_a_configuration_that_lost_a_trial_is_on_no_front() -> None:
    table = trials(WEIGHTS, a=[0.9, FAILED], b=[0.8, 0.8], c=[0.7, 0.7])
    objectives = Objectives(BOTH)
    found = pareto_table(table, summary(objectives, table), objectives).set_index("config_id")
    assert pd.isna(found.loc["a", "front"])
    assert found["front"].drop("a").to_dict() == {"b": 1, "c": 2}


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        (
            [limit("parameters", at_most=5)],
            ["parameters at most 5", "nearest is a", "parameters 10"],
        ),
        (
            [limit("accuracy", at_least=0.95), limit("parameters", at_most=100)],
            ["accuracy at least 0.95 and parameters at most 100", "nearest is b"],
        ),
        ([limit("seconds_per_sample", at_most=1)], ["no finished trial"]),
    ],
)
def test_where_nothing_satisfies_the_constraints_a_sentence_says_what_is_nearest(
    constraints: list[Constraint], words: list[str]
) -> None:
    objectives = Objectives(BOTH, tuple(constraints))
    table = summary(objectives)
    with pytest.raises(GridfoldError) as error:
        require_candidate(TABLE, table, objectives)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert table["front" if "front" in table else "within_constraints"].sum() == 0


def test_something_that_satisfies_them_is_enough() -> None:
    objectives = Objectives(BOTH, (limit("parameters", at_most=10),))
    require_candidate(TABLE, summary(objectives), objectives)


@pytest.mark.parametrize(
    ("limits", "value", "excess"),
    [
        ({"at_most": 100}, 150, 0.5),
        ({"at_most": 100}, 50, -0.5),
        ({"at_least": 0.8}, 0.6, 0.25),
        ({"at_most": 0}, 2, 2),
        ({"at_least": 1, "at_most": 2}, 4, 1),
    ],
)
def test_an_excess_is_in_parts_of_the_limit(
    limits: dict[str, Any], value: float, excess: float
) -> None:
    assert Constraint("x", **limits).excess(value) == pytest.approx(excess)


# -- what the numbers are -------------------------------------------------------------------------


def test_a_measure_that_no_trial_has_is_missing_for_each() -> None:
    found = means_of(TABLE, ("accuracy", "roc_auc"))
    assert found.index.tolist() == list("abcde")
    assert found["accuracy"]["c"] == pytest.approx(0.89)
    assert found["roc_auc"].isna().all()


def test_fronts_are_peeled_off_one_after_the_other() -> None:
    values = pd.DataFrame(
        {
            "accuracy": [0.9, 0.8, 0.85, 0.8, math.nan, 0.9],
            "parameters": [100.0, 10.0, 100.0, 20.0, 10.0, 100.0],
        },
        index=list("abcdef"),
    )
    found = fronts(values, Objectives(BOTH))
    # `a` and `f` are equal; `e` is as small as `b` and worse than all in accuracy.
    assert found.to_dict() == {"a": 1, "b": 1, "c": 2, "d": 2, "e": 2, "f": 1}


def test_the_smallest_may_be_as_far_behind_as_its_error_and_no_further() -> None:
    table = pd.DataFrame({"config_id": list("abcd"), "difference_error": [math.nan, 0.25, 0.1, 9]})
    means = pd.DataFrame(
        {"accuracy": [0.75, 0.5, 0.5, 0.25], "parameters": [100.0, 50.0, 10.0, math.nan]},
        index=list("abcd"),
    )
    objectives = Objectives(BOTH, rule=SMALLEST)
    # `c` is smaller than `b`, but further behind than its error; the size of `d` is not known.
    assert selected_first(table, means, objectives) == list("bacd")
    means["parameters"] = 50.0
    # Of equals the better one.
    assert selected_first(table, means, objectives) == list("abcd")


def test_one_configuration_is_first_whatever_the_rule() -> None:
    table = pd.DataFrame({"config_id": ["a"], "difference_error": [math.nan]})
    means = pd.DataFrame({"accuracy": [math.nan], "parameters": [math.nan]}, index=["a"])
    for rule in (SMALLEST, KNEE):
        assert selected_first(table, means, Objectives(BOTH, rule=rule)) == ["a"]


def test_without_a_known_cost_the_knee_is_the_best() -> None:
    table = pd.DataFrame({"config_id": list("ab"), "difference_error": [math.nan, 0.1]})
    means = pd.DataFrame({"accuracy": [0.9, 0.8], "parameters": [math.nan] * 2}, index=list("ab"))
    assert selected_first(table, means, Objectives(BOTH, rule=KNEE)) == ["a", "b"]


def test_costs_of_nothing_have_a_knee() -> None:
    table = pd.DataFrame({"config_id": list("abc"), "difference_error": [math.nan, 0.1, 0.1]})
    means = pd.DataFrame(
        {"accuracy": [0.9, 0.89, 0.5], "parameters": [1e6, 1.0, 0.0]}, index=list("abc")
    )
    # From 1e-12, which stands for nothing, to a million: `b` is two thirds of the way down.
    assert selected_first(table, means, Objectives(BOTH, rule=KNEE))[0] == "b"


def test_the_table_has_its_columns_in_their_order() -> None:
    objectives = Objectives(BOTH, (limit("accuracy", at_least=0.6),))
    own = summary(objectives)
    found = pareto_table(TABLE, own, objectives)
    assert list(found.columns) == [
        "rank", "config_id", "label", "accuracy", "parameters", "within_constraints", "violations",
        "front", "may_be_best", "selected",
    ]  # fmt: skip
    assert found["rank"].tolist() == own["rank"].tolist() == [1, 2, 3, 4, 5]
    assert found["config_id"].tolist() == own["config_id"].tolist()
    assert found["label"].tolist() == own["label"].tolist()
    assert found["selected"].tolist() == [True, False, False, False, False]
    row = found.set_index("config_id").loc["a"]
    assert not row["within_constraints"]
    assert row["violations"] == "accuracy at least 0.6"
    assert str(found["front"].dtype) == "Int64"


def test_the_selection_says_by_which_rule_and_among_how_many() -> None:
    def found(objectives: Objectives) -> tuple[str | None, int | None]:
        request = SummaryRequest("accuracy", 0.95, objectives)
        selection = select(summary(objectives), request)
        return selection.rule, selection.allowed

    limits = (limit("parameters", at_most=5000),)
    assert found(Objectives(BOTH, limits, KNEE)) == (KNEE, 4)
    assert found(Objectives(BOTH, limits)) == (None, 4)
    assert found(Objectives(BOTH, rule=SMALLEST)) == (SMALLEST, None)

"""What is refused of objectives, constraints, rules and samplers, before the first job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from studies import load, tiny_study

from gridfold.errors import StudyError
from gridfold.study.objectives import measured_costs, named_measures, objectives_of

OPTUNA = {"type": "optuna", "n": 4}
UNITS = {"mlp.units": {"int": {"min": 2, "max": 8}}}
TWO = {**UNITS, "training.learning_rate": {"float": {"min": 0.01, "max": 0.1}}}


def study(search: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return tiny_study(search={"space": {"mlp.units": [4, 8]}, **search}, **sections)


@pytest.mark.parametrize(
    ("search", "path", "words"),
    [
        ({"objectives": ["acuracy"]}, "search.objectives[0]", "accuracy"),
        ({"objectives": ["f1"]}, "search.objectives[0]", "f1_macro"),
        ({"objectives": ["parameters", "accuracy"]}, "search.objectives[0]", "a measure first"),
        ({"objectives": ["accuracy", "accuracy"]}, "search.objectives[1]", "each name once"),
        ({"objectives": []}, "search.objectives", ""),
        ({"constraints": {"weights": {"at_most": 3}}}, "search.constraints.weights", "parameters"),
        ({"constraints": {"parameters": {}}}, "search.constraints.parameters", "at_least"),
        (
            {"constraints": {"accuracy": {"at_least": 0.9, "at_most": 0.8}}},
            "search.constraints.accuracy",
            "at_least up to at_most",
        ),
        ({"select": "best"}, "search.select", "knee"),
        (
            {"select": "smallest_within_one_standard_error"},
            "search.select",
            "in `search.objectives`, or another rule",
        ),
        (
            {
                "objectives": ["accuracy", "log_loss"],
                "select": "smallest_within_one_standard_error",
            },
            "search.select",
            "parameters, seconds_per_sample, fit_seconds",
        ),
    ],
)
def test_wishes_that_can_not_be_met_are_refused(
    tmp_path: Path, search: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(StudyError) as error:
        load(tmp_path, study(search))
    text = str(error.value)
    assert path in text
    assert words in text


@pytest.mark.parametrize(
    "wish",
    [
        {"objectives": ["accuracy", "parameters"]},
        {"constraints": {"parameters": {"at_most": 99}}},
        {"strategy": OPTUNA},
    ],
)
def test_a_race_is_for_the_best_of_one_measure_among_drawn_configurations(
    tmp_path: Path, wish: dict[str, Any]
) -> None:
    resampling = {"method": "kfold", "folds": 5}
    assert load(tmp_path, study({"race": {}}, resampling=resampling))
    with pytest.raises(StudyError, match=r"search\.race"):
        load(tmp_path, study({"race": {}, **wish}, resampling=resampling))


def test_the_first_objective_ranks_where_the_study_names_no_measure(tmp_path: Path) -> None:
    text = study({"objectives": ["log_loss", "top_3_accuracy", "parameters"]})
    del text["search"]["objectives"][1]
    assert load(tmp_path, text).study.problem.ranking_measure == "log_loss"


def test_another_measure_than_the_first_objective_is_a_contradiction(tmp_path: Path) -> None:
    problem = {"type": "multiclass", "measure": "accuracy"}
    assert load(tmp_path, study({"objectives": ["accuracy", "parameters"]}, problem=problem))
    with pytest.raises(StudyError, match="the first objective ranks"):
        load(tmp_path, study({"objectives": ["log_loss"]}, problem=problem))


def test_prediction_time_is_that_of_one_device(tmp_path: Path) -> None:
    training = {"epochs": 3, "distribution": {"backend": "mirrored", "world_size": 2}}
    search = {"objectives": ["accuracy", "seconds_per_sample"]}
    with pytest.raises(StudyError, match="on several devices"):
        load(tmp_path, study(search, training=training))
    assert load(tmp_path, study({"objectives": ["accuracy", "parameters"]}, training=training))


def test_trials_look_only_for_what_is_asked(tmp_path: Path) -> None:
    plain = load(tmp_path, study({})).study
    assert objectives_of(plain.problem, plain.search) is None
    assert measured_costs(plain.problem, plain.search) == ()
    search = {
        "objectives": ["accuracy", "fit_seconds"],
        "constraints": {"parameters": {"at_most": 9}},
    }
    asked = load(tmp_path, study(search)).study
    assert measured_costs(asked.problem, asked.search) == ("parameters",)


def test_tables_show_a_measure_that_only_an_objective_names(tmp_path: Path) -> None:
    text = study({"objectives": ["accuracy", "brier_score"]})
    asked = load(tmp_path, text).study
    assert named_measures(asked.problem, asked.search) == ("brier_score",)


@pytest.mark.parametrize(
    ("search", "words"),
    [
        (
            {"strategy": {**OPTUNA, "sampler": "tpe", "population": 3}},
            "allowed: with nsga2 and nsga3",
        ),
        ({"strategy": {**OPTUNA, "sampler": "nsga2", "startup": 3}}, "allowed: with tpe"),
        ({"strategy": {**OPTUNA, "n": 20_000}}, "search.max_configurations"),
        ({"strategy": OPTUNA, "space": {}}, "nothing to sample"),
        ({"strategy": {**OPTUNA, "sampler": "annealing"}}, "nsga2"),
        ({"strategy": {**OPTUNA, "sampler": "cmaes"}}, "at least two axes"),
        (
            {
                "strategy": {**OPTUNA, "sampler": "cmaes"},
                "space": TWO,
                "objectives": ["accuracy", "parameters"],
            },
            "cmaes with 2 objectives",
        ),
        (
            {
                "strategy": {**OPTUNA, "sampler": "cmaes"},
                "space": {**TWO, "mlp.activation": {"choice": ["relu", "tanh"]}},
            },
            "which needs distances",
        ),
        (
            {
                "strategy": {**OPTUNA, "sampler": "cmaes"},
                "space": {**TWO, "mlp.dropout": {"grid": [0.1, 0.2], "when": {"mlp.units": 8}}},
            },
            "which models only axes that every configuration has",
        ),
    ],
)
def test_what_a_sampler_can_not_do_is_refused(
    tmp_path: Path, search: dict[str, Any], words: str
) -> None:
    with pytest.raises(StudyError) as error:
        load(tmp_path, study({"space": UNITS, **search}))
    assert words in str(error.value)

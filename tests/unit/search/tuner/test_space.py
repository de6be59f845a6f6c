"""The search space as Keras Tuner's hyperparameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from searches import tuned
from studies import load

from gridfold.search.tuner.space import TuningSpace
from gridfold.space.space import Space


def tuning_space(folder: Path, study: dict[str, Any], *, as_grid: bool = False) -> TuningSpace:
    loaded = load(folder, study).study
    space = Space.of(loaded)
    return TuningSpace(space, as_grid=as_grid)


def hyperparameters(space: TuningSpace) -> Any:
    return keras_tuner.HyperParameters.from_config(space.config())


def drawn(space: TuningSpace, count: int = 60) -> list[dict[str, Any]]:
    """Return values as Keras Tuner's random search draws them."""
    oracle = keras_tuner.oracles.RandomSearchOracle(
        objective="val_loss", max_trials=count, seed=3, hyperparameters=hyperparameters(space)
    )
    return [oracle.populate_space(str(number))["values"] for number in range(count)]


FORMS: dict[str, tuple[str, Any, set[Any]]] = {
    "numbers": ("mlp.units", [4, 8], {4, 8}),
    "numbers of two types": ("mlp.dropout", [0, 0.5], {0, 0.5}),
    "text": ("mlp.activation", {"choice": ["relu", "tanh"]}, {"relu", "tanh"}),
    "switches": ("mlp.batch_norm", [True, False], {True, False}),
    "range": ("mlp.units", {"range": {"start": 4, "stop": 12, "step": 4}}, {4, 8, 12}),
    "linspace": ("mlp.dropout", {"linspace": {"start": 0, "stop": 0.5, "num": 2}}, {0.0, 0.5}),
    "logspace": (
        "training.learning_rate",
        {"logspace": {"start": 0.001, "stop": 0.1, "num": 3}},
        {0.001, 0.01, 0.1},
    ),
    "whole numbers": ("mlp.units", {"int": {"min": 4, "max": 9, "step": 2}}, {4, 6, 8}),
    "whole numbers by their logarithm": (
        "mlp.units",
        {"int": {"min": 4, "max": 16, "step": 4, "log": True}},
        {4, 8, 12, 16},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_tuner_draws_the_values_of_an_axis(form: str, tmp_path: Path) -> None:
    name, axis, expected = FORMS[form]
    space = tuning_space(tmp_path, tuned({"tuner": "random"}, {name: axis}))
    found = {space.assignment(values)[name] for values in drawn(space)}
    assert found == expected
    assert {type(value) for value in found} == {type(value) for value in expected}


def test_an_interval_is_drawn_from_within_its_bounds(tmp_path: Path) -> None:
    axis = {"float": {"min": 0.001, "max": 0.1, "log": True}}
    space = tuning_space(tmp_path, tuned({"tuner": "random"}, {"training.learning_rate": axis}))
    rates = [space.assignment(values)["training.learning_rate"] for values in drawn(space)]
    assert all(0.001 <= rate <= 0.1 for rate in rates)
    # Half of them below the middle of the logarithms.
    assert 15 < sum(rate < 0.01 for rate in rates) < 45


def test_values_that_the_tuner_does_not_know_come_back_as_they_were(tmp_path: Path) -> None:
    space = tuning_space(tmp_path, tuned({"tuner": "random"}, {"mlp.units": [8, [8, 4], [4, 4]]}))
    found = [space.assignment(values)["mlp.units"] for values in drawn(space)]
    assert all(value in found for value in (8, [8, 4], [4, 4]))


def test_axes_that_move_together_are_one_choice(tmp_path: Path) -> None:
    study = tuned({"tuner": "random"}, {"mlp.units": [4, 8], "mlp.dropout": [0.0, 0.5]})
    study["search"]["zip"] = [["mlp.units", "mlp.dropout"]]
    space = tuning_space(tmp_path, study)
    found = [space.assignment(values) for values in drawn(space)]
    assert {(a["mlp.units"], a["mlp.dropout"]) for a in found} == {(4, 0.0), (8, 0.5)}


CONDITIONAL = {
    "training.optimizer": ["adam", "sgd"],
    "training.momentum": {"grid": [0.0, 0.9], "when": {"training.optimizer": "sgd"}},
    "training.clipnorm": {"grid": [0.5, 1.0], "when": {"training.momentum": 0.9}},
}


def test_a_condition_becomes_a_conditional_scope(tmp_path: Path) -> None:
    space = tuning_space(tmp_path, tuned({"tuner": "random"}, CONDITIONAL))
    for values in drawn(space):
        found = space.assignment(values)
        assert ("training.momentum" in found) == (found["training.optimizer"] == "sgd")
        assert ("training.clipnorm" in found) == (found.get("training.momentum") == 0.9)


def test_axes_of_a_family_are_active_with_it_alone(tmp_path: Path) -> None:
    study = tuned(
        {"tuner": "random"},
        {"mlp.units": [4, 8], "cnn.filters": [2, 4], "training.batch_size": [16, 32]},
        data={"source": "digits"},
        model={"mlp": {}, "cnn": {}},
    )
    space = tuning_space(tmp_path, study)
    found = [space.assignment(values) for values in drawn(space)]
    assert {a["model"] for a in found} == {"mlp", "cnn"}
    for assignment in found:
        assert ("mlp.units" in assignment) == (assignment["model"] == "mlp")
        assert ("cnn.filters" in assignment) == (assignment["model"] == "cnn")
        assert "training.batch_size" in assignment


def test_a_tuners_values_name_the_same_configuration_as_a_grid_does(tmp_path: Path) -> None:
    axes = {"mlp.units": [4, [8, 4]], **CONDITIONAL}
    grid = load(tmp_path, tuned({}, axes) | {"search": {"space": axes}}).expansion.configurations
    space = tuning_space(tmp_path, tuned({"tuner": "random"}, axes))
    found = {space.configuration(values).id for values in drawn(space)}
    assert found == {configuration.id for configuration in grid}


def test_a_configuration_comes_back_as_the_tuners_values(tmp_path: Path) -> None:
    space = tuning_space(tmp_path, tuned({"tuner": "random"}, {"mlp.units": [4, 8], **CONDITIONAL}))
    for values in drawn(space):
        assert space.values_of(space.assignment(values)) == values


def test_excluded_combinations_are_not_allowed(tmp_path: Path) -> None:
    study = tuned({"tuner": "random"}, {"mlp.units": [4, 8], "mlp.dropout": [0.0, 0.5]})
    study["search"]["exclude"] = [{"mlp.units": 4, "mlp.dropout": 0.5}]
    space = tuning_space(tmp_path, study)
    assert not space.allows({"mlp.units": 4, "mlp.dropout": 0.5})
    assert space.allows({"mlp.units": 8, "mlp.dropout": 0.5})


def test_executions_differ_in_their_seed_alone(tmp_path: Path) -> None:
    space = tuning_space(tmp_path, tuned({"tuner": "random"}))
    values = {"mlp.units": 4, "training.learning_rate": 0.01}
    first, second = (space.configuration(values, number) for number in (0, 1))
    assert first.id != second.id
    assert second.settings["training"]["seed"] == first.settings["training"]["seed"] + 1
    assert first.axes == second.axes


def test_a_grid_holds_every_whole_number(tmp_path: Path) -> None:
    axis = {"int": {"min": 4, "max": 40, "log": True}}
    space = tuning_space(tmp_path, tuned({"tuner": "grid"}, {"mlp.units": axis}), as_grid=True)
    [entry] = hyperparameters(space).space
    assert list(entry.values) == list(range(4, 41))

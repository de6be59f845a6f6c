"""What a search space gives: axes, combinations, conditions, draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies import axis_values, configurations, load, tiny_study

from gridfold.space.axes import count_values, discrete_values, sample
from gridfold.study.sections.search import Axis

# -- one axis --------------------------------------------------------------------------------


def axis(**form: Any) -> Axis:
    return Axis.model_validate(form)


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ({"grid": [3, 1, 2]}, [3, 1, 2]),
        ({"choice": ["relu", "tanh"]}, ["relu", "tanh"]),
        ({"range": {"start": 1, "stop": 4}}, [1, 2, 3, 4]),
        ({"range": {"start": 1, "stop": 8, "step": 3}}, [1, 4, 7]),
        ({"range": {"start": 0, "stop": 0.3, "step": 0.1}}, [0.0, 0.1, 0.2, 0.3]),
        ({"range": {"start": 0.1, "stop": 0.35, "step": 0.05}}, [0.1, 0.15, 0.2, 0.25, 0.3, 0.35]),
        ({"range": {"start": 1e-4, "stop": 3e-4, "step": 1e-4}}, [0.0001, 0.0002, 0.0003]),
        ({"range": {"start": 2, "stop": 2}}, [2]),
        ({"linspace": {"start": 0, "stop": 1, "num": 5}}, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ({"linspace": {"start": 0, "stop": 0.6, "num": 3}}, [0.0, 0.3, 0.6]),
        ({"linspace": {"start": 1, "stop": 0, "num": 3}}, [1.0, 0.5, 0.0]),
        ({"linspace": {"start": 2, "stop": 9, "num": 1}}, [2.0]),
        ({"logspace": {"start": 1e-4, "stop": 1e-1, "num": 4}}, [1e-4, 1e-3, 1e-2, 1e-1]),
        ({"logspace": {"start": 8, "stop": 1, "num": 4}}, [8.0, 4.0, 2.0, 1.0]),
        ({"logspace": {"start": 0.5, "stop": 9, "num": 1}}, [0.5]),
        ({"logspace": {"start": 1e-300, "stop": 1e300, "num": 3}}, [1e-300, 1.0, 1e300]),
        ({"int": {"min": 3, "max": 6}}, [3, 4, 5, 6]),
        ({"int": {"min": 4, "max": 11, "step": 4}}, [4, 8]),
    ],
)
def test_a_form_has_exactly_these_values(form: dict[str, Any], values: list[Any]) -> None:
    assert discrete_values(axis(**form)) == values
    assert [type(v) for v in discrete_values(axis(**form))] == [type(v) for v in values]
    assert count_values(axis(**form)) == len(values)


def test_an_interval_has_no_list_of_values() -> None:
    interval = axis(float={"min": 0, "max": 1})
    assert count_values(interval) is None
    with pytest.raises(ValueError, match="no list of values"):
        discrete_values(interval)


UNIT = st.floats(0, 1, exclude_max=True)


@given(u=UNIT, log=st.booleans(), low=st.integers(1, 50), width=st.integers(1, 90))
def test_a_sample_lies_in_its_interval(u: float, log: bool, low: int, width: int) -> None:
    whole = axis(int={"min": low, "max": low + width, "step": 3, "log": log})
    real = axis(float={"min": low, "max": low + width, "log": log})
    assert sample(whole, u) in discrete_values(whole)
    assert low <= sample(real, u) <= low + width


@given(u=UNIT)
def test_a_sample_of_the_widest_interval_is_finite(u: float) -> None:
    assert abs(sample(axis(float={"min": -1.7e308, "max": 1.7e308}), u)) <= 1.7e308
    assert 5e-324 <= sample(axis(float={"min": 5e-324, "max": 1.7e308, "log": True}), u) <= 1.7e308


def test_samples_follow_the_scale_of_their_interval() -> None:
    real = axis(float={"min": 1e-4, "max": 1e-2, "log": True})
    assert sample(real, 0.5) == pytest.approx(1e-3)
    assert sample(axis(float={"min": 0, "max": 10}), 0.25) == 2.5
    whole = axis(int={"min": 1, "max": 999, "log": True})
    draws = [sample(whole, (i + 0.5) / 3000) for i in range(3000)]
    assert [sum(10**d <= x < 10 ** (d + 1) for x in draws) for d in range(3)] == [1000, 1000, 1000]


def test_every_whole_number_can_be_drawn() -> None:
    whole = axis(int={"min": 2, "max": 10, "step": 2})
    assert {sample(whole, i / 100) for i in range(100)} == {2, 4, 6, 8, 10}


# -- a grid ----------------------------------------------------------------------------------


def study_with(axes: dict[str, Any], search: dict[str, Any] | None = None, **more: Any) -> Any:
    """Return the tiny study with these axes, other search settings and sections."""
    return tiny_study(search={"space": axes, **(search or {})}, **more)


def points(folder: Path, study: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return the axis values of each configuration."""
    return [tuple(c.axes.values()) for c in configurations(folder, study)]


def test_a_study_without_axes_is_one_configuration(tmp_path: Path) -> None:
    assert points(tmp_path, study_with({})) == [("mlp",)]


def test_a_grid_is_every_combination_in_the_order_of_the_file(tmp_path: Path) -> None:
    study = study_with({"mlp.units": [4, 8], "training.batch_size": [16, 32]})
    assert points(tmp_path, study) == [
        ("mlp", 4, 16),
        ("mlp", 4, 32),
        ("mlp", 8, 16),
        ("mlp", 8, 32),
    ]


def test_an_axis_replaces_what_its_section_says(tmp_path: Path) -> None:
    study = study_with(
        {"training.optimizer": ["sgd"], "training.early_stopping.patience": [3]},
        training={"epochs": 3, "optimizer": "adamw", "early_stopping": {"patience": 9}},
    )
    [configuration] = configurations(tmp_path, study)
    assert configuration.settings["training"]["optimizer"] == "sgd"
    assert configuration.settings["training"]["early_stopping"]["patience"] == 3


def test_an_axis_may_hold_lists_and_nothing(tmp_path: Path) -> None:
    study = study_with({"mlp.units": [[8], [8, 4]], "training.clipnorm": [None, 1.0]})
    assert points(tmp_path, study) == [
        ("mlp", [8], None),
        ("mlp", [8], 1.0),
        ("mlp", [8, 4], None),
        ("mlp", [8, 4], 1.0),
    ]


def test_lists_of_any_length_replace_a_list(tmp_path: Path) -> None:
    study = study_with({"mlp.units": [[8], [8, 4, 2], 6]}, model={"mlp": {"units": [5, 5]}})
    layers = [c.settings["model"]["layers"] for c in configurations(tmp_path, study)]
    assert layers == [1, 3, 1]


def test_each_family_has_its_own_axes_and_shares_those_of_training(tmp_path: Path) -> None:
    study = study_with(
        {"mlp.units": [4, 8], "cnn.filters": [2], "training.batch_size": [16, 32]},
        data={"source": "digits"},
        model={"mlp": None, "cnn": None},
    )
    assert points(tmp_path, study) == [
        ("mlp", 4, 16),
        ("mlp", 4, 32),
        ("mlp", 8, 16),
        ("mlp", 8, 32),
        ("cnn", 2, 16),
        ("cnn", 2, 32),
    ]


def test_axes_of_a_model_function_set_what_it_asks_for(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text('def build(hp):\n    return hp.Int("a", 1, 9) + hp.Int("b", 1, 9)\n')
    study = study_with({"python.a": [1, 2]}, model={"python": {"build": f"{file}:build"}})
    study["model"]["python"]["hp"] = {"a": 7, "b": 3}
    given = [c.settings["model"]["hp"] for c in configurations(tmp_path, study)]
    assert given == [{"a": 1, "b": 3}, {"a": 2, "b": 3}]


def test_zipped_axes_move_together(tmp_path: Path) -> None:
    axes = {"mlp.units": [4, 8], "mlp.l2": [0.1, 0.2], "mlp.dropout": [0.0, 0.5]}
    study = study_with(axes, {"zip": [["mlp.units", "mlp.dropout"]]})
    assert points(tmp_path, study) == [
        ("mlp", 4, 0.0, 0.1),
        ("mlp", 4, 0.0, 0.2),
        ("mlp", 8, 0.5, 0.1),
        ("mlp", 8, 0.5, 0.2),
    ]


def test_a_condition_keeps_an_axis_to_where_it_holds(tmp_path: Path) -> None:
    study = study_with(
        {
            "training.momentum": {"grid": [0.5, 0.9], "when": {"training.optimizer": "sgd"}},
            "training.optimizer": ["adam", "sgd"],
        }
    )
    assert points(tmp_path, study) == [("mlp", "adam"), ("mlp", "sgd", 0.5), ("mlp", "sgd", 0.9)]


def test_conditions_may_follow_each_other(tmp_path: Path) -> None:
    study = study_with(
        {
            "mlp.l2": {"grid": [0.1, 0.2], "when": {"mlp.dropout": [0.1, 0.2]}},
            "mlp.dropout": {"grid": [0.0, 0.1], "when": {"mlp.units": 8}},
            "mlp.units": [4, 8],
        }
        | {"mlp.dropout": {"grid": [0.0, 0.1, 0.2], "when": {"mlp.units": 8}}}
    )
    assert points(tmp_path, study) == [
        ("mlp", 4),
        ("mlp", 8, 0.0),
        ("mlp", 8, 0.1, 0.1),
        ("mlp", 8, 0.1, 0.2),
        ("mlp", 8, 0.2, 0.1),
        ("mlp", 8, 0.2, 0.2),
    ]


def test_a_condition_may_name_the_family(tmp_path: Path) -> None:
    study = study_with(
        {"training.batch_size": {"grid": [16, 32], "when": {"model": "cnn"}}},
        data={"source": "digits"},
        model={"mlp": None, "cnn": None},
    )
    assert points(tmp_path, study) == [("mlp",), ("cnn", 16), ("cnn", 32)]


def test_zipped_axes_may_share_a_condition(tmp_path: Path) -> None:
    when = {"mlp.layers": 2}
    study = study_with(
        {
            "mlp.units": {"grid": [4, 8], "when": when},
            "mlp.l2": {"grid": [0.1, 0.2], "when": when},
            "mlp.layers": [1, 2],
        },
        {"zip": [["mlp.units", "mlp.l2"]]},
    )
    assert points(tmp_path, study) == [("mlp", 1), ("mlp", 2, 4, 0.1), ("mlp", 2, 8, 0.2)]


def test_conditions_compare_numbers_by_value_and_keep_truth_apart(tmp_path: Path) -> None:
    axes = {"mlp.batch_norm": [True, False], "mlp.dropout": [0, 0.5]}
    study = study_with(axes, {"exclude": [{"mlp.dropout": 0.0, "mlp.batch_norm": True}]})
    assert points(tmp_path, study) == [("mlp", True, 0.5), ("mlp", False, 0), ("mlp", False, 0.5)]


def test_an_exclusion_leaves_out_what_meets_all_of_it(tmp_path: Path) -> None:
    axes = {"mlp.units": [4, 8, 16], "mlp.layers": [1, 2, 3]}
    study = study_with(axes, {"exclude": [{"mlp.units": [8, 16], "mlp.layers": [2, 3]}]})
    assert points(tmp_path, study) == [
        ("mlp", 4, 1),
        ("mlp", 4, 2),
        ("mlp", 4, 3),
        ("mlp", 8, 1),
        ("mlp", 16, 1),
    ]


def test_an_exclusion_may_name_a_value_that_is_a_list(tmp_path: Path) -> None:
    study = study_with({"mlp.units": [[8, 4], [4, 4]]}, {"exclude": [{"mlp.units": [8, 4]}]})
    assert points(tmp_path, study) == [("mlp", [4, 4])]


def test_an_exclusion_of_an_inactive_axis_excludes_nothing(tmp_path: Path) -> None:
    study = study_with(
        {"mlp.l2": {"grid": [0.1], "when": {"mlp.units": 8}}, "mlp.units": [4, 8]},
        {"exclude": [{"mlp.l2": 0.1}], "max_configurations": 5},
    )
    study["search"]["space"]["mlp.l2"]["grid"].append(0.2)
    assert points(tmp_path, study) == [("mlp", 4), ("mlp", 8, 0.2)]


def test_a_grid_of_exactly_the_limit_is_accepted(tmp_path: Path) -> None:
    study = study_with({"mlp.units": [4, 8, 16]}, {"max_configurations": 3})
    assert len(points(tmp_path, study)) == 3


# -- duplicates ------------------------------------------------------------------------------


def duplicates(folder: Path, study: dict[str, Any]) -> list[dict[str, Any]]:
    return load(folder, study).expansion.duplicates


def test_a_repeated_value_is_left_out_and_reported(tmp_path: Path) -> None:
    study = study_with({"mlp.dropout": [0.0, 0.5, -0.0, 0]})
    assert points(tmp_path, study) == [("mlp", 0.0), ("mlp", 0.5)]
    assert duplicates(tmp_path, study) == [{"model": "mlp", "mlp.dropout": 0.0}] * 2


def test_two_spellings_of_one_network_are_one_configuration(tmp_path: Path) -> None:
    study = study_with({"mlp.units": [8, [8]]})
    assert points(tmp_path, study) == [("mlp", 8)]
    study = study_with({"cnn.filters": [4, [4]], "cnn.dense_units": [0, 8, [8]]})
    study |= {"data": {"source": "digits"}, "model": {"cnn": None}}
    assert points(tmp_path, study) == [("cnn", 4, 0), ("cnn", 4, 8)]


def test_the_width_of_no_layers_does_not_count(tmp_path: Path) -> None:
    study = study_with({"mlp.layers": [0, 1], "mlp.units": [4, 8]})
    assert points(tmp_path, study) == [("mlp", 0, 4), ("mlp", 1, 4), ("mlp", 1, 8)]
    assert duplicates(tmp_path, study) == [{"model": "mlp", "mlp.layers": 0, "mlp.units": 8}]


# -- random draws ----------------------------------------------------------------------------

AXES = {
    "mlp.units": {"int": {"min": 1, "max": 1024, "log": True}},
    "training.learning_rate": {"float": {"min": 1e-4, "max": 1e-1, "log": True}},
    "mlp.activation": ["relu", "tanh", "gelu"],
}


def drawn(axes: dict[str, Any], n: int, seed: int = 0, **search: Any) -> dict[str, Any]:
    return study_with(axes, {"strategy": {"type": "random", "n": n, "seed": seed}, **search})


def test_a_random_study_has_n_different_configurations(tmp_path: Path) -> None:
    found = configurations(tmp_path, drawn(AXES, 50))
    assert len({c.id for c in found}) == len(found) == 50


def test_the_same_seed_draws_the_same_and_another_seed_does_not(tmp_path: Path) -> None:
    assert points(tmp_path, drawn(AXES, 5, 1)) == points(tmp_path, drawn(AXES, 5, 1))
    assert not set(points(tmp_path, drawn(AXES, 5, 1))) & set(points(tmp_path, drawn(AXES, 5, 2)))


def test_a_larger_n_keeps_the_first_draws(tmp_path: Path) -> None:
    assert points(tmp_path, drawn(AXES, 20))[:8] == points(tmp_path, drawn(AXES, 8))


def test_a_new_axis_leaves_the_values_of_the_others_alone(tmp_path: Path) -> None:
    more = drawn({"mlp.dropout": {"float": {"min": 0, "max": 0.5}}, **AXES}, 10)
    for name in AXES:
        assert axis_values(tmp_path, more, name) == axis_values(tmp_path, drawn(AXES, 10), name)


def test_the_order_of_the_axes_does_not_matter(tmp_path: Path) -> None:
    turned = dict(reversed(AXES.items()))
    assert [c.id for c in configurations(tmp_path, drawn(AXES, 10))] == [
        c.id for c in configurations(tmp_path, drawn(turned, 10))
    ]


def test_as_many_draws_as_configurations_are_the_whole_grid(tmp_path: Path) -> None:
    axes = {"mlp.units": [1, 2, 3, 4, 5], "mlp.layers": [1, 2, 3]}
    grid = {c.id for c in configurations(tmp_path, study_with(axes))}
    assert {c.id for c in configurations(tmp_path, drawn(axes, 15))} == grid


def test_a_random_study_has_no_duplicates_to_report(tmp_path: Path) -> None:
    assert duplicates(tmp_path, drawn({"mlp.units": [4, 8, 16, 16]}, 3)) == []


def test_draws_obey_zip_conditions_and_exclusions(tmp_path: Path) -> None:
    axes = {
        "mlp.units": {"int": {"min": 1, "max": 4, "log": True}},
        "mlp.l2": [0.1, 0.2, 0.3, 0.4],
        "training.optimizer": ["adam", "sgd"],
        "training.momentum": {"grid": [0.5, 0.9], "when": {"training.optimizer": "sgd"}},
    }
    study = drawn(axes, 9, zip=[["mlp.units", "mlp.l2"]], exclude=[{"mlp.units": 2}])
    found = [c.axes for c in configurations(tmp_path, study)]
    assert {(a["mlp.units"], a["mlp.l2"]) for a in found} == {(1, 0.1), (3, 0.3), (4, 0.4)}
    assert {(a["training.optimizer"], a.get("training.momentum")) for a in found} == {
        ("adam", None),
        ("sgd", 0.5),
        ("sgd", 0.9),
    }


def test_families_are_drawn_too(tmp_path: Path) -> None:
    study = drawn({"training.learning_rate": {"float": {"min": 0.1, "max": 1}}}, 40)
    study |= {"data": {"source": "digits"}, "model": {"mlp": None, "cnn": None}}
    families = axis_values(tmp_path, study, "model")
    assert 10 < families.count("mlp") < 30


def test_an_interval_of_whole_numbers_may_be_longer_than_the_limit(tmp_path: Path) -> None:
    axes = {"training.seed": {"int": {"min": 0, "max": 10**9}}}
    seeds = axis_values(tmp_path, drawn(axes, 20), "training.seed")
    assert max(seeds) > 10**8


# -- what people see -------------------------------------------------------------------------


def test_a_label_is_the_family_and_the_axis_values(tmp_path: Path) -> None:
    study = study_with({"mlp.units": [[64, 32]], "training.learning_rate": [0.00012345]})
    [configuration] = configurations(tmp_path, study)
    assert configuration.label == "mlp units=64-32 learning_rate=0.0001234"

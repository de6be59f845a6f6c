"""What a refining round tries around the best configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from studies import load, tiny_study

from gridfold.search.neighbours import neighbourhood
from gridfold.space.space import Configuration, Space


def space(folder: Path, axes: dict[str, Any], **search: Any) -> Space:
    study = load(folder, tiny_study(search={"space": axes, **search})).study
    return Space.of(study)


RANDOM = {"strategy": {"type": "random", "n": 1}}
RATE = "training.learning_rate"


def tried(
    folder: Path, axis: str, form: Any, centre: Any, step: float = 0.5, **search: Any
) -> list[Any]:
    """Return the values that are tried beside the centre on one axis."""
    found = neighbourhood(
        space(folder, {axis: form}, **search),
        [{"model": "mlp", axis: centre}],
        step,
        swap=True,
        most=50,
    )
    values = [c.axes[axis] for c in found]
    assert values[0] == centre
    return values[1:]


@pytest.mark.parametrize(
    ("axis", "form", "centre", "expected"),
    [
        ("mlp.units", {"range": {"start": 8, "stop": 32, "step": 4}}, 16, [14, 18]),
        ("mlp.units", [8, 16, 32, 64], 16, [11, 23]),
        ("mlp.units", [10, 20, 40], 10, [14]),
        ("mlp.units", [10, 20, 30], 30, [25]),
        ("mlp.dropout", {"linspace": {"start": 0.0, "stop": 0.5, "num": 6}}, 0.2, [0.15, 0.25]),
        ("mlp.dropout", [0.0, 0.2, 0.5], 0.2, [0.1, 0.35]),
        (RATE, {"logspace": {"start": 1e-4, "stop": 1e-2, "num": 3}}, 1e-3, [3.16e-4, 3.16e-3]),
        (RATE, [0.001, 0.01], 0.01, [0.00316]),
    ],
)
def test_neighbours_lie_half_way_to_the_next_value(
    tmp_path: Path, axis: str, form: Any, centre: Any, expected: list[Any]
) -> None:
    assert tried(tmp_path, axis, form, centre) == pytest.approx(expected, rel=1e-2)


def test_the_distance_shrinks_with_the_step(tmp_path: Path) -> None:
    form = {"range": {"start": 0, "stop": 64, "step": 16}}
    form["range"]["start"] = 16
    assert tried(tmp_path, "mlp.units", form, 32, step=0.5) == [24, 40]
    assert tried(tmp_path, "mlp.units", form, 32, step=0.25) == [28, 36]
    assert tried(tmp_path, "mlp.units", form, 24, step=0.25) == [20, 28]


def test_whole_numbers_stay_whole_and_what_is_too_close_is_left_out(tmp_path: Path) -> None:
    assert tried(tmp_path, "mlp.layers", [1, 2, 3], 2, step=0.4) == []
    values = tried(tmp_path, "mlp.units", [8, 9, 20], 9, step=0.5)
    assert all(isinstance(v, int) for v in values)


def test_an_interval_is_left_by_a_part_of_its_width(tmp_path: Path) -> None:
    form = {"float": {"min": 0.0, "max": 0.8}}
    assert tried(tmp_path, "mlp.dropout", form, 0.4, **RANDOM) == pytest.approx([0.3, 0.5])
    assert tried(tmp_path, "mlp.dropout", form, 0.75, **RANDOM) == pytest.approx([0.65, 0.8])
    form = {"float": {"min": 1e-4, "max": 1.0, "log": True}}
    assert tried(tmp_path, RATE, form, 1e-2, **RANDOM) == pytest.approx([0.0031623, 0.031623], 1e-3)


def test_an_interval_of_whole_numbers_keeps_its_steps(tmp_path: Path) -> None:
    form = {"int": {"min": 8, "max": 32, "step": 4}}
    assert tried(tmp_path, "mlp.units", form, 16, **RANDOM) == [12, 20]
    assert tried(tmp_path, "mlp.units", form, 8, step=0.01, **RANDOM) == [12]
    assert tried(tmp_path, "mlp.units", form, 32, step=0.01, **RANDOM) == [28]


def test_values_without_an_order_are_exchanged(tmp_path: Path) -> None:
    form = {"choice": ["relu", "tanh", "gelu"]}
    assert tried(tmp_path, "mlp.activation", form, "tanh") == ["relu", "gelu"]
    found = neighbourhood(
        space(tmp_path, {"mlp.activation": form}),
        [{"model": "mlp", "mlp.activation": "tanh"}],
        0.5,
        swap=False,
        most=50,
    )
    assert [c.axes["mlp.activation"] for c in found] == ["tanh"]


def test_axes_that_move_together_move_to_the_row_beside(tmp_path: Path) -> None:
    axes = {"mlp.units": [4, 8, 16], "mlp.dropout": [0.0, 0.1, 0.2]}
    found = neighbourhood(
        space(tmp_path, axes, zip=[["mlp.units", "mlp.dropout"]]),
        [{"model": "mlp", "mlp.units": 8, "mlp.dropout": 0.1}],
        0.5,
        swap=True,
        most=50,
    )
    assert [tuple(c.axes.values())[1:] for c in found] == [(8, 0.1), (4, 0.0), (16, 0.2)]


def test_an_axis_that_becomes_active_gets_its_middle_value(tmp_path: Path) -> None:
    axes = {
        "mlp.activation": {"choice": ["relu", "tanh"]},
        "mlp.dropout": {"grid": [0.1, 0.2, 0.3], "when": {"mlp.activation": "tanh"}},
    }
    found = neighbourhood(
        space(tmp_path, axes),
        [{"model": "mlp", "mlp.activation": "relu"}],
        0.5,
        swap=True,
        most=50,
    )
    assert found[1].axes == {"model": "mlp", "mlp.activation": "tanh", "mlp.dropout": 0.2}


def test_exclusions_and_impossible_values_are_left_out(tmp_path: Path) -> None:
    axes = {"mlp.activation": {"choice": ["relu", "tanh", "gelu"]}, "mlp.units": [4, 8, 16]}
    found = neighbourhood(
        space(tmp_path, axes, exclude=[{"mlp.activation": "gelu"}]),
        [{"model": "mlp", "mlp.activation": "relu", "mlp.units": 8}],
        0.5,
        swap=True,
        most=50,
    )
    assert {c.axes["mlp.activation"] for c in found} == {"relu", "tanh"}


def around_two(folder: Path, most: int) -> list[Configuration]:
    axes = {
        "mlp.units": [4, 8, 16, 32],
        RATE: {"logspace": {"start": 1e-3, "stop": 1e-1, "num": 3}},
    }
    centres = [
        {"model": "mlp", "mlp.units": 8, RATE: 0.01},
        {"model": "mlp", "mlp.units": 16, RATE: 0.001},
    ]
    return neighbourhood(space(folder, axes), centres, 0.5, swap=True, most=most)


def test_the_best_come_first_and_then_one_axis_at_a_time_for_all(tmp_path: Path) -> None:
    found = around_two(tmp_path, 50)
    assert [c.axes["mlp.units"] for c in found[:4]] == [8, 16, 6, 11]
    changed = [
        min(sum(c.axes[name] != centre.axes[name] for name in c.axes) for centre in found[:2])
        for c in found
    ]
    assert changed == sorted(changed)
    assert set(changed) == {0, 1, 2}
    assert len({c.id for c in found}) == len(found)


def test_there_are_never_more_than_allowed_and_all_centres_have_some(tmp_path: Path) -> None:
    found = around_two(tmp_path, 6)
    assert len(found) == 6
    assert [c.id for c in around_two(tmp_path, 50)[:6]] == [c.id for c in found]
    assert {c.axes["mlp.units"] for c in found} == {8, 16, 6, 11, 23}

"""Sobol sequences and Latin hypercubes as strategies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import axis_values, configurations, load, tiny_study

from gridfold.errors import StudyError

STRATEGIES = ("sobol", "latin_hypercube")


def study(strategy: str, n: int = 16, seed: int = 0, **axes: Any) -> dict[str, Any]:
    space = axes or {
        "mlp.units": {"int": {"min": 1, "max": 160}},
        "mlp.dropout": {"float": {"min": 0.0, "max": 0.5}},
    }
    return tiny_study(search={"strategy": {"type": strategy, "n": n, "seed": seed}, "space": space})


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_part_of_an_axis_gets_its_share(tmp_path: Path, strategy: str) -> None:
    units = axis_values(tmp_path, study(strategy), "mlp.units")
    assert sorted((u - 1) // 10 for u in units) == list(range(16))
    dropouts = axis_values(tmp_path, study(strategy), "mlp.dropout")
    assert sorted(int(d / 0.5 * 16) for d in dropouts) == list(range(16))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_seed_decides(tmp_path: Path, strategy: str) -> None:
    ids = [[c.id for c in configurations(tmp_path, study(strategy, seed=s))] for s in (1, 1, 2)]
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


def test_a_larger_sobol_sample_keeps_the_first_ones(tmp_path: Path) -> None:
    few, many = (axis_values(tmp_path, study("sobol", n), "mlp.units") for n in (6, 40))
    assert many[:6] == few


def test_a_sobol_sample_covers_pairs_better_than_chance(tmp_path: Path) -> None:
    found = configurations(tmp_path, study("sobol", 64))
    cells = {(c.axes["mlp.units"] * 8 // 161, int(c.axes["mlp.dropout"] * 16)) for c in found}
    random = configurations(tmp_path, study("random", 64))
    chance = {(c.axes["mlp.units"] * 8 // 161, int(c.axes["mlp.dropout"] * 16)) for c in random}
    assert len(cells) > len(chance)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_small_space_is_drawn_to_its_end(tmp_path: Path, strategy: str) -> None:
    axes = {"mlp.units": [2, 3, 4], "mlp.activation": {"choice": ["relu", "tanh"]}}
    found = configurations(tmp_path, study(strategy, 6, **axes))
    assert len({c.id for c in found}) == 6
    with pytest.raises(StudyError, match="7 configurations from a space of 6"):
        load(tmp_path, study(strategy, 7, **axes))


def test_conditions_and_families_hold(tmp_path: Path) -> None:
    axes = {
        "mlp.layers": [1, 2],
        "mlp.units": {"int": {"min": 4, "max": 64, "log": True}},
        "mlp.dropout": {"float": {"min": 0.1, "max": 0.5}, "when": {"mlp.layers": 2}},
    }
    found = configurations(tmp_path, study("sobol", 32, **axes))
    deep = [c for c in found if c.axes["mlp.layers"] == 2]
    assert 12 <= len(deep) <= 20
    assert all(("mlp.dropout" in c.axes) == (c.axes["mlp.layers"] == 2) for c in found)
    small = np.mean([c.axes["mlp.units"] <= 16 for c in found])
    assert 0.4 < small < 0.6, "uniform in the logarithm"

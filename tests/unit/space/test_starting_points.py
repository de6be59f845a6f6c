"""Starting points of a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from searches import SPACE, prepared, tuned
from studies import configurations, load, tiny_study

from gridfold.errors import StudyError
from gridfold.search.tuner.local_oracle import open_oracle
from gridfold.search.tuner.protocol import Proposal

KNOWN = {"mlp.units": 8, "training.learning_rate": 0.03}
DRAWN = {"type": "random", "n": 3}


def study(strategy: Any, starts: list[dict[str, Any]], **search: Any) -> dict[str, Any]:
    return tiny_study(search={"strategy": strategy, "space": SPACE, "starts": starts, **search})


@pytest.mark.parametrize("kind", ["random", "sobol", "latin_hypercube"])
def test_they_are_the_first_of_what_is_drawn(kind: str, tmp_path: Path) -> None:
    found = configurations(tmp_path, study({"type": kind, "n": 3}, [KNOWN]))
    assert len(found) == 3
    assert found[0].axes == {"model": "mlp", **KNOWN}


def test_a_tuner_begins_with_them(tmp_path: Path) -> None:
    text = tuned({"tuner": "random", "max_trials": 3})
    text["search"]["starts"] = [KNOWN]
    answer = open_oracle(prepared(tmp_path, text)).ask("one")
    assert isinstance(answer, Proposal)
    assert answer.values == KNOWN


@pytest.mark.parametrize(
    ("strategy", "start", "where", "found"),
    [
        (DRAWN, {"mlp.unit": 8}, 'search.starts[0]["mlp.unit"]', "unknown key"),
        (DRAWN, {"mlp.units": 8}, "search.starts[0]", "no value of training.learning_rate"),
        (DRAWN, {**KNOWN, "mlp.units": 5}, 'search.starts[0]["mlp.units"]', "5"),
        (
            DRAWN,
            {**KNOWN, "training.learning_rate": 1.0},
            'search.starts[0]["training.learning_rate"]',
            "1.0",
        ),
        (DRAWN, {**KNOWN, "model": "cnn"}, "search.starts[0].model", '"cnn"'),
        (DRAWN, {**KNOWN, "mlp.units": 4}, "search.starts[0]", "an excluded combination"),
    ],
)
def test_points_that_are_not_in_the_space_are_refused(
    strategy: Any, start: dict[str, Any], where: str, found: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyError) as caught:
        load(tmp_path, study(strategy, [start], exclude=[{"mlp.units": 4}]))
    assert f"{where}: {found}" in str(caught.value)


def test_a_grid_has_no_beginning(tmp_path: Path) -> None:
    search = {"space": {"mlp.units": [4, 8]}, "starts": [{"mlp.units": 8}]}
    with pytest.raises(StudyError, match="holds all of them anyway"):
        load(tmp_path, tiny_study(search=search))

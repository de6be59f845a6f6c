"""Samples that only the confirmation of a search is scored on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workbench import prepare_bench

from gridfold.data.dataset import Dataset
from gridfold.data.splits import FINAL, check
from gridfold.errors import DataError, StudyError

CONFIRM = {"top": 2, "samples": "held_back", "fraction": 0.25}


def bench(folder: Path, **sections: Any) -> Any:
    return prepare_bench(
        folder,
        {
            "study": "tiny",
            "data": {"source": "iris", "test_fraction": 0.2},
            "problem": {"type": "multiclass"},
            "model": {"mlp": {"units": 4}},
            "training": {"epochs": 2},
            "search": {"space": {"mlp.units": [4, 8]}, "confirm": CONFIRM},
            "resampling": {"method": "stratified", "folds": 3},
        }
        | sections,
    )


def parts_of(made: Any, stage: str) -> list[Any]:
    return [s for name, s in made.splits.by_name.items() if name.startswith(stage)]


@pytest.mark.parametrize("repeats", [1, 2])
def test_the_search_never_sees_what_the_confirmation_is_scored_on(
    tmp_path: Path, repeats: int
) -> None:
    search = {"space": {"mlp.units": [4, 8]}, "confirm": {**CONFIRM, "repeats": repeats}}
    made = bench(tmp_path, search=search)
    development = made.splits.by_name[FINAL].training
    searched = [np.union1d(s.training, s.validation) for s in parts_of(made, "r")]
    scored = np.concatenate([s.validation for s in parts_of(made, "c")])
    assert len(development) == 120
    assert len(np.unique(scored)) == 30
    assert len(scored) == 30 * repeats
    for used in searched:
        assert len(used) == 90
        assert not np.intersect1d(used, scored).size
    # Trained on everything else, what the search has seen included.
    for split in parts_of(made, "c"):
        np.testing.assert_array_equal(
            np.union1d(split.training, split.validation), np.sort(development)
        )
    classes = Dataset.load(made.plan.paths.data).targets
    assert np.bincount(classes[np.unique(scored)]).tolist() == [10, 10, 10]


def test_whole_groups_are_held_back(tmp_path: Path) -> None:
    rows = [f"{i % 7},{i * 31 % 17},{i % 3 % 2},g{i // 6}" for i in range(180)]
    (tmp_path / "table.csv").write_text("a,b,y,g\n" + "\n".join(rows) + "\n")
    data = {"source": "csv", "path": str(tmp_path / "table.csv"), "targets": ["y"], "groups": "g"}
    made = bench(
        tmp_path,
        data=data,
        problem={"type": "binary"},
        resampling={"method": "group", "folds": 2},
    )
    groups = Dataset.load(made.plan.paths.data).groups
    scored = np.concatenate([s.validation for s in parts_of(made, "c")])
    assert len(scored)
    for split in parts_of(made, "r"):
        used = np.union1d(split.training, split.validation)
        assert not np.intersect1d(groups[used], groups[scored]).size


def test_a_search_that_uses_them_is_refused(tmp_path: Path) -> None:
    made = bench(tmp_path)
    dataset = Dataset.load(made.plan.paths.data)
    seen = made.splits.by_name["r0f0"].validation[:3]
    with pytest.raises(DataError, match="r0f0: samples are used that are held back"):
        check(made.splits, dataset, "stratified", seen)


def test_without_it_splits_are_as_they_were(tmp_path: Path) -> None:
    plain = {"space": {"mlp.units": [4, 8]}, "confirm": {"top": 2}}
    named = {"space": {"mlp.units": [4, 8]}, "confirm": {"top": 2, "samples": "all"}}
    one, two = bench(tmp_path / "one", search=plain), bench(tmp_path / "two", search=named)
    for name, split in one.splits.by_name.items():
        assert split.digest == two.splits.by_name[name].digest
        if name.startswith("c"):
            assert len(split.training) + len(split.validation) == 120


def test_by_time_nothing_is_held_back(tmp_path: Path) -> None:
    confirm = {**CONFIRM, "folds": 2}
    with pytest.raises(StudyError, match=r"held_back with `resampling\.method: forward`"):
        bench(
            tmp_path,
            search={"space": {"mlp.units": [4, 8]}, "confirm": confirm},
            resampling={"method": "forward", "folds": 3},
        )

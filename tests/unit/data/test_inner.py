"""The inner validation part for early stopping: drawn as the splits are, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workbench import prepare_bench

from gridfold.data.dataset import Dataset
from gridfold.data.inner import draw_inner
from gridfold.data.splits import FINAL, Split, Splits
from gridfold.errors import DataError

INNER = {"on": "inner", "inner_fraction": 0.25}


def bench(folder: Path, **sections: Any) -> Any:
    return prepare_bench(
        folder,
        {
            "study": "tiny",
            "data": {"source": "iris", "test_fraction": 0.2},
            "problem": {"type": "multiclass"},
            "model": {"mlp": {"units": 4}},
            "training": {"epochs": 2, "early_stopping": INNER},
            "resampling": {"method": "stratified", "folds": 3},
        }
        | sections,
    )


def dataset_of(bench: Any) -> Dataset:
    return Dataset.load(bench.plan.paths.data)


def test_it_is_a_share_of_the_training_part_with_all_classes_in_proportion(tmp_path: Path) -> None:
    made = bench(tmp_path)
    splits = Splits.load(made.plan.paths.splits)
    classes = dataset_of(made).targets
    for name in ("r0f0", "r0f1", "r0f2"):
        split = splits.by_name[name]
        fitted, inner = split.parts(INNER)
        np.testing.assert_array_equal(np.union1d(fitted, inner), split.training)
        assert not np.intersect1d(fitted, inner).size
        assert np.bincount(classes[inner]).tolist() in ([7, 7, 6], [7, 6, 7], [6, 7, 7])
    assert splits.by_name[FINAL].parts(INNER)[1].size == 0
    assert splits.by_name[FINAL].parts(INNER)[0].size == 120


def test_without_it_nothing_changes(tmp_path: Path) -> None:
    plain = bench(tmp_path / "plain", training={"epochs": 2, "early_stopping": {"patience": 3}})
    inner = bench(tmp_path / "inner")
    for name, split in plain.splits.by_name.items():
        assert split.inner == {}
        assert split.digest == inner.splits.by_name[name].digest
        assert split.watched_digest({"patience": 3}) == ""
        np.testing.assert_array_equal(split.parts({"patience": 3})[1], split.validation)
    named = {"on": "validation", "inner_fraction": 0.2, "patience": 3}
    same = bench(tmp_path / "same", training={"epochs": 2, "early_stopping": named})
    ids = [[c.id for c in made.plan.configurations] for made in (plain, same, inner)]
    assert ids[0] == ids[1] != ids[2]


def test_each_split_and_each_share_has_a_draw_of_its_own_which_configurations_share(
    tmp_path: Path,
) -> None:
    axis = [{"on": "inner"}, {"on": "inner", "inner_fraction": 0.4}, None]
    made = bench(
        tmp_path,
        search={"space": {"training.early_stopping": axis, "mlp.units": [4, 8]}},
        training={"epochs": 2},
    )
    split = made.splits.by_name["r0f0"]
    assert sorted(split.inner) == ["0.2", "0.4"]
    digests = {
        split.watched_digest(c.settings["training"]["early_stopping"])
        for c in made.plan.configurations
    }
    assert len(digests) == 3


def test_groups_stay_whole(tmp_path: Path) -> None:
    rows = [f"{i % 7},{i * 31 % 17},{i % 3 % 2},g{i // 6}" for i in range(120)]
    table = tmp_path / "table.csv"
    table.write_text("a,b,y,g\n" + "\n".join(rows) + "\n")
    made = bench(
        tmp_path,
        data={"source": "csv", "path": str(table), "targets": ["y"], "groups": "g"},
        problem={"type": "binary"},
        resampling={"method": "group", "folds": 4},
    )
    groups = dataset_of(made).groups
    for split in made.splits.by_name.values():
        if split.validation.size:
            fitted, inner = split.parts(INNER)
            assert len(inner)
            assert not np.intersect1d(groups[fitted], groups[inner]).size


@pytest.mark.parametrize("method", ["forward", "blocked"])
def test_by_time_it_is_the_last_stretch_of_the_training_part(tmp_path: Path, method: str) -> None:
    made = bench(
        tmp_path,
        data={"source": "diabetes", "test_fraction": 0.2},
        problem={"type": "regression"},
        resampling={"method": method, "folds": 3, "gap": 5},
    )
    for split in made.splits.by_name.values():
        if split.validation.size:
            fitted, inner = split.parts(INNER)
            assert inner[-1] == split.training[-1]
            assert fitted.max() < inner.min() - 5


def test_a_share_that_was_not_drawn_is_named() -> None:
    split = Split(np.arange(10), np.arange(10, 20))
    with pytest.raises(DataError, match=r"no inner part of a share of 0\.3"):
        split.parts({"on": "inner", "inner_fraction": 0.3})


def test_too_little_to_take_a_part_of_is_refused(tmp_path: Path) -> None:
    dataset = dataset_of(bench(tmp_path))
    with pytest.raises(DataError, match="leaves one of both without any"):
        draw_inner(dataset, np.array([3]), 0.5, 0, classes=dataset.targets, grouped=False, gap=None)


def test_a_rare_class_does_not_hinder_the_draw(tmp_path: Path) -> None:
    dataset = dataset_of(bench(tmp_path))
    training = np.r_[0:40, 149]
    fitted, inner = draw_inner(
        dataset, training, 0.2, 0, classes=dataset.targets, grouped=False, gap=None
    )
    assert len(inner) == 9
    assert len(fitted) == 32

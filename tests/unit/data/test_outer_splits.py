"""Outer folds: no search sees what its winner is scored on, however the study splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workbench import Bench, prepare_bench

from gridfold.data.dataset import Dataset
from gridfold.data.splits import FINAL, Split, Splits, check
from gridfold.data.time_splits import share_time, spans_of
from gridfold.errors import DataError
from gridfold.study.sections.outer import outer_fold_of

EXPLORE = {"epochs": 1, "training_fraction": 0.5}
HELD_BACK = {"top": 1, "samples": "held_back", "fraction": 0.25, "folds": 2}
METHODS: dict[str, dict[str, Any]] = {
    "holdout": {"method": "holdout"},
    "kfold": {"method": "kfold", "folds": 3, "repeats": 2},
    "stratified": {"method": "stratified", "folds": 2},
    "group": {"method": "group", "folds": 3},
    "stratified_group": {"method": "stratified_group", "folds": 2},
    "grouped holdout": {"method": "holdout"},
    "blocked": {"method": "blocked", "folds": 3, "gap": 1},
    "forward": {"method": "forward", "folds": 3, "gap": 1},
}
GROUPED = ("group", "stratified_group", "grouped holdout")
ORDERED = ("blocked", "forward")


def bench(folder: Path, name: str, outer: dict[str, Any] | None, **sections: Any) -> Bench:
    """Return a study of 240 samples of two classes, in groups of four where the method has them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{i % 7},{i * 31 % 17},{'ab'[i // 4 % 2]},g{i // 4}" for i in range(240)]
    file = folder / "table.csv"
    file.write_text("a,b,y,g\n" + "\n".join(rows) + "\n")
    data = {"source": "csv", "path": str(file), "targets": ["y"], "features": ["a", "b"]}
    if name in GROUPED:
        data["groups"] = "g"
    plan = {**METHODS[name], **({} if outer is None else {"outer": outer})}
    return prepare_bench(
        folder,
        {
            "study": "nested",
            "data": {**data, "test_fraction": 0.2},
            "problem": {"type": "binary"},
            "model": {"mlp": {"units": 4}},
            "training": {"epochs": 2, "early_stopping": {"on": "inner"}},
            "search": {"space": {"mlp.units": [4, 8]}},
            "resampling": plan,
        }
        | sections,
    )


def searches(name: str) -> list[dict[str, Any]]:
    """Return sections `search` with all splits that stages can have."""
    space = {"space": {"mlp.units": [4, 8]}}
    found = [space, {**space, "explore": EXPLORE, "confirm": {"top": 1, "folds": 2}}]
    return found if name in ORDERED else [*found, {**space, "confirm": HELD_BACK}]


def inside(splits: Splits, fold: str) -> dict[str, Split]:
    return {n: s for n, s in splits.by_name.items() if outer_fold_of(n) == fold and n != fold}


def seen_by(split: Split) -> np.ndarray[Any, Any]:
    parts = [split.training, split.validation, *(p for pair in split.inner.values() for p in pair)]
    return np.unique(np.concatenate(parts))


@pytest.mark.parametrize("name", METHODS)
def test_no_search_sees_what_its_winner_is_scored_on(tmp_path: Path, name: str) -> None:
    for number, search in enumerate(searches(name)):
        made = bench(tmp_path / str(number), name, {"folds": 3}, search=search)
        splits = Splits.load(made.plan.paths.splits)
        development = splits.by_name[FINAL].training
        for fold in ("o0f0", "o0f1", "o0f2"):
            outer = splits.by_name[fold]
            own = inside(splits, fold)
            assert set(own) >= {
                s
                for stage in made.plan.all_stages
                for s in stage.splits
                if s.startswith(f"{fold}.")
            }
            assert len(own) >= 1
            for split in [*own.values(), Split(outer.training, outer.training[:0])]:
                seen = seen_by(split)
                assert not np.intersect1d(seen, outer.validation).size
                assert not np.intersect1d(seen, splits.test).size
                assert not np.setdiff1d(seen, outer.training).size
            assert not np.setdiff1d(outer.training, development).size
            # What early stopping looks at is drawn inside the searches only.
            assert outer.inner == {}
            assert all(split.inner for split in own.values())


@pytest.mark.parametrize("name", [name for name in METHODS if name != "forward"])
def test_every_sample_is_scored_once_in_each_repeat(tmp_path: Path, name: str) -> None:
    outer = {"folds": 3} if name in ORDERED else {"folds": 3, "repeats": 2}
    splits = bench(tmp_path, name, outer).splits
    for repeat in range(outer.get("repeats", 1)):
        scored = [splits.by_name[f"o{repeat}f{fold}"].validation for fold in range(3)]
        np.testing.assert_array_equal(
            np.sort(np.concatenate(scored)), splits.by_name[FINAL].training
        )
    if "repeats" in outer:
        assert splits.by_name["o0f0"].digest != splits.by_name["o1f0"].digest


@pytest.mark.parametrize("name", GROUPED)
def test_no_group_is_divided_by_outer_folds(tmp_path: Path, name: str) -> None:
    made = bench(tmp_path, name, {"folds": 3})
    groups = Dataset.load(made.plan.paths.data).groups
    for split in made.splits.by_name.values():
        assert not np.intersect1d(groups[split.training], groups[split.validation]).size


@pytest.mark.parametrize("name", ORDERED)
def test_outer_folds_by_time_share_no_time(tmp_path: Path, name: str) -> None:
    made = bench(tmp_path, name, {"folds": 3})
    spans = spans_of(Dataset.load(made.plan.paths.data))
    for fold in ("o0f0", "o0f1", "o0f2"):
        outer = made.splits.by_name[fold]
        assert not share_time(spans, outer.training, outer.validation)
        if name == "forward":
            assert outer.training.max() < outer.validation.min() - METHODS[name]["gap"]
            for split in inside(made.splits, fold).values():
                assert split.validation.max() < outer.validation.min()
                assert split.training.max() < split.validation.min() - METHODS[name]["gap"]


def test_classes_are_in_proportion_in_outer_folds_of_a_hold_out(tmp_path: Path) -> None:
    made = bench(tmp_path, "holdout", {"folds": 3})
    classes = Dataset.load(made.plan.paths.data).targets
    for fold in range(3):
        assert (
            np.bincount(classes[made.splits.by_name[f"o0f{fold}"].validation]).tolist() == [32] * 2
        )


@pytest.mark.parametrize("name", METHODS)
def test_the_splits_of_the_study_itself_stay_the_same(tmp_path: Path, name: str) -> None:
    plain, nested = bench(tmp_path / "a", name, None), bench(tmp_path / "b", name, {"folds": 2})
    assert plain.plan.outer_folds == ()
    for split, parts in plain.splits.by_name.items():
        assert nested.splits.by_name[split].digest == parts.digest
    np.testing.assert_array_equal(plain.splits.test, nested.splits.test)


def test_another_seed_draws_other_outer_folds_and_the_same_splits(tmp_path: Path) -> None:
    one = bench(tmp_path / "a", "stratified", {"folds": 2})
    other = bench(tmp_path / "b", "stratified", {"folds": 2, "seed": 1})
    differs = {
        name
        for name, split in one.splits.by_name.items()
        if other.splits.by_name[name].digest != split.digest
    }
    assert differs == {name for name in one.splits.by_name if name.startswith("o")}


def test_what_is_trained_in_an_outer_fold_is_followed_by_nothing(tmp_path: Path) -> None:
    splits = Splits.load(bench(tmp_path, "stratified", {"folds": 2}).plan.paths.splits)
    outer = splits.by_name["o0f0"]
    for stopping in (None, {"monitor": "loss"}, {"on": "inner", "inner_fraction": 0.2}):
        training, watched = outer.parts(stopping)
        np.testing.assert_array_equal(training, outer.training)
        assert not watched.size
        assert outer.watched_digest(stopping) == ""
    assert splits.by_name["o0f0.r0f0"].parts({"monitor": "loss"})[1].size


def test_a_search_that_sees_a_sample_of_the_outer_part_is_refused(tmp_path: Path) -> None:
    made = bench(tmp_path, "stratified", {"folds": 2})
    outer, name = made.splits.by_name["o0f0"], "o0f0.r0f0"
    split = made.splits.by_name[name]
    spied = Split(np.union1d(split.training, outer.validation[:1]), split.validation, split.inner)
    changed = Splits(made.splits.test, {**made.splits.by_name, name: spied})
    dataset = Dataset.load(made.plan.paths.data)
    check(made.splits.inside("o0f0"), dataset, "stratified")
    with pytest.raises(DataError, match="r0f0: test samples are used"):
        check(changed.inside("o0f0"), dataset, "stratified")


def test_too_few_samples_for_the_search_of_a_fold_are_told_with_the_fold(tmp_path: Path) -> None:
    search = {"space": {"mlp.units": [4, 8]}, "explore": {"training_fraction": 0.03}, "confirm": {}}
    plain = bench(tmp_path / "a", "stratified", None, search=search)
    assert len(plain.splits.by_name["r0f0@0.03"].training) == 2
    with pytest.raises(DataError, match=r"resampling\.outer: the search in outer fold o0f0, which"):
        bench(tmp_path / "b", "stratified", {"folds": 3}, search=search)
    many = {"method": "group", "folds": 40, "outer": {"folds": 2}}
    with pytest.raises(DataError, match=r"number of groups: 24; allowed: fewer folds in"):
        bench(tmp_path / "c", "group", None, resampling=many)

"""Splits: what every comparison rests on holds for each way to draw them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import tiny_study

from gridfold.data.dataset import Dataset, prepare
from gridfold.data.splits import FINAL, Split, Splits, check, make_splits
from gridfold.errors import DataError
from gridfold.requests import SplitsRequest
from gridfold.study import Study
from gridfold.study.sections.resampling import split_names
from gridfold.typed_json import DamagedRecord


def embedded(source: str, problem: str = "multiclass") -> Dataset:
    study = Study.model_validate(tiny_study(data={"source": source}, problem={"type": problem}))
    return prepare(study.data.model_dump(), problem)


@pytest.fixture(scope="module")
def iris() -> Dataset:
    return embedded("iris")


@pytest.fixture(scope="module")
def diabetes() -> Dataset:
    return embedded("diabetes", "regression")


@pytest.fixture(scope="module")
def grouped(iris: Dataset) -> Dataset:
    """Return iris from 30 plants of very different size."""
    sizes = np.random.default_rng(0).dirichlet(np.ones(30))
    return replace(iris, groups=np.random.default_rng(1).choice(30, 150, p=sizes))


def request(
    method: str,
    *,
    test_fraction: float = 0.2,
    test_seed: int = 0,
    classes: bool = True,
    measure: str | None = None,
    **plan: Any,
) -> SplitsRequest:
    study = Study.model_validate(tiny_study(resampling={"method": method, **plan}))
    return SplitsRequest(
        study.resampling.model_dump(), test_fraction, test_seed, classes, measure=measure
    )


def of_repeats(splits: Splits) -> dict[str, list[Split]]:
    found: dict[str, list[Split]] = {}
    for name, split in splits.by_name.items():
        if name != FINAL:
            found.setdefault(name.partition("f")[0], []).append(split)
    return found


KEEP_GROUPS = ["holdout", "group", "stratified_group"]
METHODS = ["kfold", "stratified", *KEEP_GROUPS]


@pytest.fixture
def dataset(iris: Dataset, grouped: Dataset, method: str) -> Dataset:
    """Return iris, from several plants where the method keeps them together."""
    return grouped if method in KEEP_GROUPS else iris


# -- what holds for all ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("repeats", [1, 3])
def test_names_follow_the_study(dataset: Dataset, method: str, repeats: int) -> None:
    splits = make_splits(dataset, request(method, repeats=repeats))
    plan = Study.model_validate(tiny_study(resampling={"method": method, "repeats": repeats}))
    assert list(splits.by_name) == [*split_names(plan.resampling), FINAL]


@pytest.mark.parametrize("method", METHODS)
def test_training_validation_and_test_never_share_a_sample(dataset: Dataset, method: str) -> None:
    splits = make_splits(dataset, request(method, repeats=3))
    assert 0 < len(splits.test) < 150
    for name, split in splits.by_name.items():
        parts = np.concatenate([split.training, split.validation, splits.test])
        assert len(np.unique(parts)) == len(parts) == 150, name


@pytest.mark.parametrize("method", ["kfold", "stratified", "group", "stratified_group"])
def test_every_sample_is_validated_once_in_each_repeat(dataset: Dataset, method: str) -> None:
    splits = make_splits(dataset, request(method, folds=4, repeats=3))
    development = np.setdiff1d(np.arange(150), splits.test)
    repeats = of_repeats(splits)
    assert len(repeats) == 3
    for parts in repeats.values():
        validated = np.sort(np.concatenate([split.validation for split in parts]))
        np.testing.assert_array_equal(validated, development)


@pytest.mark.parametrize("method", METHODS)
def test_the_final_split_trains_on_everything_but_the_test_set(
    dataset: Dataset, method: str
) -> None:
    splits = make_splits(dataset, request(method))
    final = splits.by_name[FINAL]
    np.testing.assert_array_equal(final.training, np.setdiff1d(np.arange(150), splits.test))
    assert not len(final.validation)


@pytest.mark.parametrize("method", METHODS)
def test_indices_are_ascending(dataset: Dataset, method: str) -> None:
    splits = make_splits(dataset, request(method))
    for split in splits.by_name.values():
        for part in (split.training, split.validation, splits.test):
            assert (np.diff(part) > 0).all()


# -- methods --------------------------------------------------------------------------------------


def test_holdout_validates_the_fraction_that_is_asked_for(diabetes: Dataset) -> None:
    splits = make_splits(
        diabetes,
        request("holdout", test_fraction=0, validation_fraction=0.25, repeats=2, classes=False),
    )
    for split in splits.by_name.values():
        if len(split.validation):
            assert len(split.validation) == 111, "a quarter of 442, rounded up"


def test_holdout_of_classes_keeps_their_proportions(iris: Dataset) -> None:
    splits = make_splits(iris, request("holdout", test_fraction=0, validation_fraction=0.2))
    assert np.bincount(iris.targets[splits.by_name["r0f0"].validation]).tolist() == [10, 10, 10]


def test_kfold_parts_differ_by_one_sample_at_most(diabetes: Dataset) -> None:
    splits = make_splits(diabetes, request("kfold", folds=7, classes=False))
    sizes = [len(s.validation) for name, s in splits.by_name.items() if name != FINAL]
    assert max(sizes) - min(sizes) <= 1


def test_stratified_folds_have_the_proportions_of_the_whole() -> None:
    wine = embedded("wine")
    splits = make_splits(wine, request("stratified", folds=5))
    development = splits.by_name[FINAL].training
    expected = np.bincount(wine.targets[development]) / 5
    for split in of_repeats(splits)["r0"]:
        counts = np.bincount(wine.targets[split.validation], minlength=3)
        assert (np.abs(counts - expected) < 1).all()


def test_the_test_set_has_the_proportions_of_the_whole() -> None:
    wine = embedded("wine")
    splits = make_splits(wine, request("kfold", test_fraction=0.25))
    shares = np.bincount(wine.targets[splits.test]) / len(splits.test)
    np.testing.assert_allclose(shares, np.bincount(wine.targets) / 178, atol=0.02)


@pytest.mark.parametrize("method", KEEP_GROUPS)
def test_groups_never_stand_on_both_sides(grouped: Dataset, method: str) -> None:
    splits = make_splits(grouped, request(method, repeats=3))
    for name, split in splits.by_name.items():
        inside = grouped.groups[split.training]
        assert not np.intersect1d(inside, grouped.groups[split.validation]).size, name
        assert not np.intersect1d(inside, grouped.groups[splits.test]).size, name


@pytest.mark.parametrize("method", KEEP_GROUPS)
def test_no_group_is_partly_in_the_test_set(grouped: Dataset, method: str) -> None:
    splits = make_splits(grouped, request(method))
    outside = grouped.groups[splits.by_name[FINAL].training]
    assert not np.intersect1d(outside, grouped.groups[splits.test]).size


# -- test set -------------------------------------------------------------------------------------


def test_without_a_test_fraction_nothing_is_held_out(iris: Dataset) -> None:
    splits = make_splits(iris, request("kfold", test_fraction=0))
    assert not len(splits.test)
    assert len(splits.by_name[FINAL].training) == 150


def test_the_source_s_own_test_set_is_the_test_set(iris: Dataset) -> None:
    splits = make_splits(replace(iris, test_start=110), request("kfold", test_fraction=0.5))
    np.testing.assert_array_equal(splits.test, np.arange(110, 150))
    np.testing.assert_array_equal(splits.by_name[FINAL].training, np.arange(110))


def test_the_test_set_does_not_depend_on_how_the_rest_is_split(iris: Dataset) -> None:
    tests = [
        make_splits(iris, request(method, repeats=repeats, seed=seed)).test
        for method in ("kfold", "stratified", "holdout")
        for repeats, seed in ((1, 0), (2, 5))
    ]
    for test in tests[1:]:
        np.testing.assert_array_equal(test, tests[0])


# -- seeds ----------------------------------------------------------------------------------------


def digests(splits: Splits) -> list[str]:
    return [split.digest for name, split in splits.by_name.items() if name != FINAL]


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_draws_the_same_splits(dataset: Dataset, method: str) -> None:
    first, again, other = (
        make_splits(dataset, request(method, seed=seed, repeats=2)) for seed in (3, 3, 4)
    )
    assert digests(first) == digests(again)
    # A group as large as a fold is one by itself, whatever the seed.
    shared = set(digests(first)) & set(digests(other))
    assert len(shared) <= (len(first.by_name) // 4 if method in KEEP_GROUPS else 0)
    np.testing.assert_array_equal(first.test, other.test)


def test_the_test_seed_draws_another_test_set(iris: Dataset) -> None:
    first, other = (make_splits(iris, request("kfold", test_seed=seed)).test for seed in (0, 1))
    assert not np.array_equal(first, other)


def test_repeats_are_different_and_more_of_them_keep_the_first(iris: Dataset) -> None:
    few, many = (make_splits(iris, request("stratified", repeats=n)) for n in (2, 4))
    assert len(set(digests(many))) == 4 * 5
    assert digests(many)[: len(digests(few))] == digests(few)


# -- too little data ------------------------------------------------------------------------------


def test_a_class_with_fewer_members_than_folds_is_named(iris: Dataset) -> None:
    targets = iris.targets.copy()
    targets[3:50] = 1
    with pytest.raises(DataError, match=r"class setosa has 3 members .* too few for 5 stratified"):
        make_splits(replace(iris, targets=targets), request("stratified", test_fraction=0))


def test_more_folds_than_samples_are_refused() -> None:
    linnerud = embedded("linnerud", "regression")
    with pytest.raises(DataError, match=r"can't be split as .*resampling ask.*30"):
        make_splits(linnerud, request("kfold", folds=30, classes=False))


def test_more_folds_than_groups_are_refused(iris: Dataset) -> None:
    dataset = replace(iris, groups=np.repeat(np.arange(3), 50))
    with pytest.raises(DataError, match=r"can't be split as .*number of groups: 3"):
        make_splits(dataset, request("group", folds=5, test_fraction=0))


@pytest.mark.parametrize("method", ["kfold", "stratified"])
def test_groups_that_would_be_separated_are_refused(grouped: Dataset, method: str) -> None:
    count = len(np.unique(grouped.groups))
    with pytest.raises(DataError, match=f"{count} groups, which resampling.method: {method} would"):
        make_splits(grouped, request(method))


def test_a_test_set_too_small_for_every_class_is_refused(iris: Dataset) -> None:
    with pytest.raises(DataError, match=r"3 classes can't all be among 2 samples, .*data\.test_fr"):
        make_splits(iris, request("kfold", test_fraction=0.01))


# -- check ----------------------------------------------------------------------------------------


def hand_made(**changes: Split) -> Splits:
    """Return a sound plan of two folds for samples 0 to 5, with 6 and 7 as test set."""
    low, high, everything = np.arange(3), np.arange(3, 6), np.arange(6)
    by_name = {
        "r0f0": Split(high, low),
        "r0f1": Split(low, high),
        FINAL: Split(everything, everything[:0]),
    }
    return Splits(np.array([6, 7]), by_name | changes)


@pytest.fixture
def eight(iris: Dataset) -> Dataset:
    return replace(iris, features=iris.features[:8], groups=np.arange(8))


def test_check_accepts_sound_splits(eight: Dataset) -> None:
    check(hand_made(), eight, "kfold")


@pytest.mark.parametrize(
    ("name", "training", "validation", "complaint"),
    [
        ("r0f0", [2, 3, 4, 5], [0, 1, 2], "r0f0: training and validation overlap"),
        ("r0f0", [3, 4, 5, 6], [0, 1, 2], "r0f0: test samples are used"),
        ("r0f0", [3, 4, 5], [0, 1, 2, 7], "r0f0: test samples are used"),
        ("r0f0", [3, 4, 5], [], "r0f0 has no samples to validate on; use fewer folds"),
        ("r0f0", [], [0, 1, 2], "r0f0 has no samples to train on; use fewer folds"),
        ("r0f0", [3, 4, 5], [0, 1], "r0: not every sample is validated exactly once"),
        ("r0f1", [0, 1], [2, 3, 4, 5], "r0: not every sample is validated exactly once"),
        (FINAL, [0, 1, 2, 3, 4, 5, 6], [], "test samples are trained on"),
    ],
)
def test_check_refuses_bad_splits(
    eight: Dataset, name: str, training: list[int], validation: list[int], complaint: str
) -> None:
    bad = Split(np.array(training, np.int64), np.array(validation, np.int64))
    with pytest.raises(DataError, match=complaint):
        check(hand_made(**{name: bad}), eight, "kfold")


def test_check_refuses_groups_on_both_sides(eight: Dataset) -> None:
    dataset = replace(eight, groups=np.array([0, 1, 2, 2, 3, 4, 5, 6]))
    with pytest.raises(DataError, match="groups stand in both parts"):
        check(hand_made(), dataset, "group")
    check(hand_made(), dataset, "kfold")


def test_check_refuses_groups_that_reach_into_the_test_set(eight: Dataset) -> None:
    dataset = replace(eight, groups=np.array([0, 1, 2, 3, 4, 5, 5, 6]))
    with pytest.raises(DataError, match="groups stand in the test set and outside it"):
        check(hand_made(), dataset, "kfold")


# -- a measure that needs two classes -------------------------------------------------------------


def rare(iris: Dataset, positives: list[int]) -> Dataset:
    """Return iris as a binary problem with these samples as the only positive ones."""
    return replace(iris, targets=np.isin(np.arange(150), positives).astype(np.int64))


def test_splits_on_which_the_measure_is_not_defined_are_named(
    iris: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = request("kfold", test_fraction=0, measure="roc_auc")
    dataset = rare(iris, [3])
    splits = make_splits(dataset, wanted)
    lacking = [
        name
        for name, split in splits.by_name.items()
        if name != FINAL and not dataset.targets[split.validation].any()
    ]
    assert len(lacking) == 4
    assert f"roc_auc is not defined on {', '.join(lacking)}, whose" in caplog.text
    assert all(record.told for record in caplog.records)  # type: ignore[attr-defined]


def test_a_measure_that_no_split_defines_is_refused_before_anything_is_trained(
    iris: Dataset,
) -> None:
    wanted = request("holdout", test_fraction=0, measure="roc_auc")
    dataset = rare(iris, [])
    with pytest.raises(DataError, match=r"roc_auc is not defined on any split: .* use resampling"):
        make_splits(dataset, wanted)


def test_splits_with_both_classes_are_passed_over_in_silence(
    iris: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = rare(iris, list(range(30)))
    make_splits(dataset, request("stratified", measure="roc_auc"))
    make_splits(rare(iris, [3]), request("kfold", test_fraction=0))
    assert not caplog.records


# -- digest and files -----------------------------------------------------------------------------


def test_a_digest_tells_who_is_in_which_part() -> None:
    parts = [np.array(p) for p in ([1, 2, 3], [4, 5], [1, 2], [3, 4, 5])]
    one, same, moved, swapped = (
        Split(parts[0], parts[1]),
        Split(parts[0].astype(np.int32), parts[1].copy()),
        Split(parts[2], parts[3]),
        Split(parts[1], parts[0]),
    )
    assert one.digest == same.digest
    assert len({one.digest, moved.digest, swapped.digest}) == 3


def test_saved_splits_come_back_equal(grouped: Dataset, tmp_path: Path) -> None:
    made = make_splits(grouped, request("group", repeats=2))
    made.save(tmp_path / "splits.npz")
    found = Splits.load(tmp_path / "splits.npz")
    np.testing.assert_array_equal(found.test, made.test)
    assert {n: s.digest for n, s in found.by_name.items()} == {
        n: s.digest for n, s in made.by_name.items()
    }


def test_one_split_can_be_read_alone(iris: Dataset, tmp_path: Path) -> None:
    made = make_splits(iris, request("kfold"))
    made.save(tmp_path / "splits.npz")
    found = Splits.load(tmp_path / "splits.npz", only="r0f3")
    assert list(found.by_name) == ["r0f3"]
    assert found.by_name["r0f3"].digest == made.by_name["r0f3"].digest
    np.testing.assert_array_equal(found.test, made.test)


def of_stage(splits: Splits, first: str) -> dict[str, Split]:
    return {name: split for name, split in splits.by_name.items() if name.startswith(first)}


def test_cheap_stages_train_on_a_share_of_each_training_part(iris: Dataset) -> None:
    asked = replace(request("stratified", folds=3), training_fractions=(0.5, 0.25))
    splits = make_splits(iris, asked)
    for name in ("r0f0", "r0f1", "r0f2"):
        whole = splits.by_name[name]
        for share in (0.5, 0.25):
            part = splits.by_name[f"{name}@{share:g}"]
            assert len(part.training) == int(len(whole.training) * share)
            assert set(part.training) < set(whole.training)
            assert list(part.training) == sorted(part.training)
            np.testing.assert_array_equal(part.validation, whole.validation)
            counts = np.bincount(iris.targets[part.training])
            assert counts.max() - counts.min() <= 1, "classes in proportion"
    assert len(splits.by_name) == 3 * 3 + 1
    # Each share, each split and each seed draws by itself.
    assert not set(splits.by_name["r0f0@0.25"].training) <= set(splits.by_name["r0f0@0.5"].training)
    other = make_splits(
        iris, replace(request("stratified", folds=3, seed=1), training_fractions=(0.5,))
    )
    assert other.by_name["r0f0@0.5"].digest != splits.by_name["r0f0@0.5"].digest
    # Another draw would train every such trial anew.
    assert splits.by_name["r0f0@0.5"].digest[:12] == "ec8f0b92d5d4"


def test_a_share_of_training_parts_without_classes_is_drawn_from_all(diabetes: Dataset) -> None:
    asked = replace(request("kfold", folds=2, classes=False), training_fractions=(0.1,))
    splits = make_splits(diabetes, asked)
    assert len(splits.by_name["r0f1@0.1"].training) == 17


def test_a_class_that_no_share_can_hold_is_named(iris: Dataset) -> None:
    rare = replace(iris, targets=np.r_[iris.targets[:-1], 3], class_names=["a", "b", "c", "rare"])
    asked = replace(request("kfold", test_fraction=0, folds=2), training_fractions=(0.5,))
    with pytest.raises(DataError, match=r"single sample.* a training fraction of 0\.5 .*rare"):
        make_splits(rare, asked)


def test_the_confirming_stage_has_splits_of_its_own(iris: Dataset) -> None:
    plan = {"method": "folds", "folds": 4, "repeats": 2, "seed": 0, "confirm_seed": 0}
    asked = replace(request("holdout", repeats=2), confirm=plan)
    splits = make_splits(iris, asked)
    confirming = of_stage(splits, "c")
    assert list(confirming) == [f"c{r}f{f}" for r in range(2) for f in range(4)]
    for split in confirming.values():
        counts = np.bincount(iris.targets[split.validation])
        assert counts.max() - counts.min() <= 1, "stratified, since there are classes"
    validated = np.concatenate([confirming[f"c0f{fold}"].validation for fold in range(4)])
    np.testing.assert_array_equal(np.sort(validated), splits.by_name[FINAL].training)
    changed = replace(asked, confirm={**plan, "confirm_seed": 1})
    assert make_splits(iris, changed).by_name["c0f0"].digest != confirming["c0f0"].digest
    # Another draw would train every such trial anew.
    assert confirming["c0f0"].digest[:12] == "320ff90a8f7c"


def test_the_confirming_stage_draws_apart_from_a_search_with_the_same_plan(iris: Dataset) -> None:
    asked = request("stratified", folds=3)
    splits = make_splits(iris, replace(asked, confirm={**asked.resampling, "confirm_seed": 0}))
    assert splits.by_name["c0f0"].digest not in [s.digest for s in of_stage(splits, "r").values()]


def test_the_confirming_stage_keeps_groups_together(grouped: Dataset) -> None:
    plan = {"method": "folds", "folds": 3, "repeats": 1, "seed": 0, "confirm_seed": 0}
    splits = make_splits(grouped, replace(request("holdout"), confirm=plan))
    for split in of_stage(splits, "c").values():
        both = np.intersect1d(grouped.groups[split.training], grouped.groups[split.validation])
        assert not both.size


def test_the_confirming_stage_of_numbers_has_plain_folds(diabetes: Dataset) -> None:
    plan = {"method": "folds", "folds": 3, "repeats": 1, "seed": 0, "confirm_seed": 0}
    splits = make_splits(diabetes, replace(request("holdout", classes=False), confirm=plan))
    assert len(of_stage(splits, "c")) == 3


def test_a_test_set_of_one_class_is_told(iris: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    one = replace(iris, test_start=100)
    make_splits(one, request("stratified", folds=2, measure="roc_auc_ovr"))
    assert "roc_auc_ovr is not defined on the test set, which has one class only" in caplog.text
    assert [record.told for record in caplog.records] == [True]  # type: ignore[attr-defined]


def test_a_class_with_a_member_for_each_fold_is_enough(iris: Dataset) -> None:
    few = replace(iris, targets=np.r_[iris.targets[:-2], 3, 3], class_names=["a", "b", "c", "few"])
    splits = make_splits(few, request("stratified", test_fraction=0, folds=2))
    for name in ("r0f0", "r0f1"):
        assert np.count_nonzero(few.targets[splits.by_name[name].validation] == 3) == 1


def test_a_file_of_splits_with_objects_is_not_read(iris: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "splits.npz"
    np.savez(file, test=np.array([{}], dtype=object))
    with pytest.raises(DamagedRecord, match=r"splits\.npz"):
        Splits.load(file)


# -- sizes of parts by group ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def uneven() -> Dataset:
    """Return digits of 40 writers, of whom some have written twenty times as much as others."""
    digits = embedded("digits")
    share = np.geomspace(1, 20, 40)
    codes = np.random.default_rng(3).choice(40, len(digits.targets), p=share / share.sum())
    return replace(digits, groups=codes)


@pytest.mark.parametrize("seed", range(5))
def test_the_test_set_of_groups_has_the_share_of_samples_that_was_asked_for(
    uneven: Dataset, seed: int
) -> None:
    splits = make_splits(uneven, request("group", test_fraction=0.2, test_seed=seed))
    assert len(splits.test) / len(uneven.targets) == pytest.approx(0.2, abs=0.011)


def test_folds_of_groups_are_of_about_equal_size_and_drawn_anew_in_each_repeat(
    uneven: Dataset,
) -> None:
    splits = make_splits(uneven, request("group", folds=5, repeats=4))
    parts = of_repeats(splits).values()
    for repeat in parts:
        sizes = [len(split.validation) for split in repeat]
        assert (max(sizes) - min(sizes)) * 5 / sum(sizes) <= 0.05, sizes
    assert len({frozenset(split.digest for split in repeat) for repeat in parts}) == 4


def test_groups_of_equal_size_are_split_as_ever(iris: Dataset) -> None:
    """Where parts are even already, the splits are scikit-learn's, as in earlier versions."""
    equal = replace(iris, groups=np.repeat(np.arange(30), 5))
    splits = make_splits(equal, request("group", folds=3))
    digests = [splits.by_name[name].digest[:8] for name in ("r0f0", "r0f1", "r0f2")]
    assert digests == ["38b80906", "b8e40403", "10c3cfa3"]


@pytest.mark.parametrize("method", ["group", "stratified_group"])
def test_splits_by_group_are_the_same_each_time(uneven: Dataset, method: str) -> None:
    first, second = (make_splits(uneven, request(method, repeats=2)) for _ in range(2))
    assert {n: s.digest for n, s in first.by_name.items()} == {
        n: s.digest for n, s in second.by_name.items()
    }


def test_stratified_groups_have_the_proportions_of_the_whole(iris: Dataset) -> None:
    """Each of 60 patients has one class for the most part, as patients do."""
    codes = np.random.default_rng(0).integers(20, size=150) + 20 * iris.targets
    patients = replace(iris, groups=codes)

    def worst(method: str) -> float:
        splits = make_splits(patients, request(method, folds=4, repeats=3))
        shares = [
            np.bincount(iris.targets[split.validation], minlength=3) / len(split.validation)
            for name, split in splits.by_name.items()
            if name != FINAL
        ]
        return float(np.abs(np.array(shares) - 1 / 3).max())

    assert worst("stratified_group") < 0.07 < worst("group")
    splits = make_splits(patients, request("stratified_group", folds=4, repeats=3))
    tested = np.bincount(iris.targets[splits.test], minlength=3) / len(splits.test)
    assert np.abs(tested - 1 / 3).max() < 0.05
    for split in splits.by_name.values():
        inside = patients.groups[split.training]
        assert not np.intersect1d(inside, patients.groups[split.validation]).size
        assert not np.intersect1d(inside, patients.groups[splits.test]).size

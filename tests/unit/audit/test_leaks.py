"""Leaks that a test has planted in real data are found, and named with rows and columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from audits import alarms, arrays, audited, table
from sklearn import datasets

from gridfold.audit.finding import Finding

RNG = np.random.default_rng(0)


def only(found: list[Finding], code: str) -> Finding:
    """Return the first finding of a code, which must be there."""
    codes = [finding.code for finding in found]
    assert code in codes, codes
    return found[codes.index(code)]


def cancer() -> pd.DataFrame:
    frame: pd.DataFrame = datasets.load_breast_cancer(as_frame=True).frame
    return frame


def diabetes() -> pd.DataFrame:
    frame: pd.DataFrame = datasets.load_diabetes(as_frame=True, scaled=False).frame
    return frame


# -- the same samples on both sides ----------------------------------------------------------------


def test_copies_of_rows_on_both_sides_of_the_test_set(tmp_path: Path) -> None:
    frame = cancer()
    frame = pd.concat([frame, frame.iloc[100:130]])
    finding = only(alarms(audited(table(tmp_path, frame, "target"), "binary")), "GF101")
    assert finding.severity == "error"
    assert "of the test set" in finding.sentence
    assert set(finding.rows) <= {*range(100, 130), *range(569, 599)}


def test_a_rare_class_that_was_oversampled_before_the_split(tmp_path: Path) -> None:
    frame = cancer()
    rare = frame[frame["target"] == 0].sample(150, replace=True, random_state=0)
    frame = pd.concat([frame, rare])
    finding = only(alarms(audited(table(tmp_path, frame, "target"), "binary")), "GF101")
    assert finding.severity == "error"


def test_copies_among_training_and_validation_alone(tmp_path: Path) -> None:
    frame = cancer()
    frame = pd.concat([frame, frame.iloc[100:130]])
    data = table(tmp_path, frame, "target", test_fraction=0.0)
    finding = only(alarms(audited(data, "binary")), "GF101")
    assert "training part" in finding.sentence
    assert finding.splits


def test_rows_that_were_measured_twice(tmp_path: Path) -> None:
    frame = cancer()
    again = frame.sample(60, random_state=0)
    noise = RNG.normal(scale=0.002, size=(60, 30))
    again.iloc[:, :30] *= 1 + noise
    data = table(tmp_path, pd.concat([frame, again]), "target")
    finding = only(alarms(audited(data, "binary")), "GF102")
    assert "near copy" in finding.sentence


def test_images_that_differ_in_noise_and_brightness_only(tmp_path: Path) -> None:
    images, digits = datasets.load_digits(return_X_y=True)
    images = np.kron(images.reshape(-1, 8, 8), np.ones((3, 3)))[..., np.newaxis]
    again = RNG.choice(len(images), 150, replace=False)
    brighter = images[again] * RNG.uniform(0.7, 1.2, (150, 1, 1, 1))
    brighter = brighter + RNG.normal(scale=0.3, size=brighter.shape)
    data = arrays(
        tmp_path, np.concatenate([images, brighter]), np.concatenate([digits, digits[again]])
    )
    finding = only(alarms(audited(data, "multiclass")), "GF102")
    copies = {*again.tolist(), *range(1797, 1947)}
    assert len(copies.intersection(finding.rows)) >= 0.9 * len(finding.rows)


def test_equal_samples_with_different_labels(tmp_path: Path) -> None:
    frame = cancer()
    wrong = frame.iloc[200:220].assign(target=lambda rows: 1 - rows["target"])
    found = alarms(audited(table(tmp_path, pd.concat([frame, wrong]), "target"), "binary"))
    finding = only(found, "GF103")
    assert {*range(200, 220)} <= {*finding.rows}


# -- groups and times ------------------------------------------------------------------------------


def patients(number: int = 60, visits: int = 6) -> pd.DataFrame:
    """Return visits of patients, whose values are much alike."""
    rng = np.random.default_rng(1)
    own = rng.normal(size=(number, 8))
    ill = (own[:, 0] + rng.normal(size=number) > 0).astype(int)
    values = np.repeat(own, visits, axis=0) + rng.normal(scale=0.5, size=(number * visits, 8))
    frame = pd.DataFrame(values, columns=[f"blood_{i}" for i in range(8)])
    frame["nr"] = np.repeat(rng.permutation(number) + 100, visits)
    frame["ill"] = np.repeat(ill, visits)
    return frame.sample(frac=1, random_state=0)


def test_patients_torn_apart_whose_number_is_a_feature(tmp_path: Path) -> None:
    finding = only(alarms(audited(table(tmp_path, patients(), "ill"), "binary")), "GF105")
    assert finding.columns == ("nr",)
    assert "data.groups: nr" in finding.remedy


def test_patients_torn_apart_whose_column_is_left_out(tmp_path: Path) -> None:
    frame = patients().rename(columns={"nr": "Patient ID"})
    data = table(tmp_path, frame, "ill", ignore=["Patient ID"])
    assert only(alarms(audited(data, "binary")), "GF105").columns == ("Patient ID",)


def test_patients_that_are_kept_together_are_no_finding(tmp_path: Path) -> None:
    data = table(tmp_path, patients(), "ill", groups="nr")
    assert not alarms(audited(data, "binary", {"method": "stratified_group"}))


def weather(days: int = 700) -> pd.DataFrame:
    """Return temperatures and pressures of one place, day by day."""
    rng = np.random.default_rng(2)
    noise = np.zeros((days, 4))
    for day in range(1, days):
        noise[day] = 0.95 * noise[day - 1] + rng.normal(size=4)
    season = 8 * np.sin(np.arange(days) * 2 * np.pi / 365)
    frame = pd.DataFrame(noise, columns=["pressure", "wind", "humidity", "cloud"])
    frame["temperature"] = season + noise[:, 0] + rng.normal(scale=0.5, size=days)
    return frame


def test_the_future_in_the_past(tmp_path: Path) -> None:
    frame = weather().assign(day=np.arange(700))
    data = table(tmp_path, frame, "temperature", time="day")
    finding = only(alarms(audited(data, "regression", {"method": "kfold"})), "GF106")
    assert finding.severity == "error"
    forward = audited(data, "regression", {"method": "forward"})
    assert "GF106" not in [f.code for f in forward.findings]


def test_a_time_series_that_nobody_has_declared(tmp_path: Path) -> None:
    data = table(tmp_path, weather(), "temperature")
    assert only(alarms(audited(data, "regression")), "GF107")
    shuffled = weather().sample(frac=1, random_state=0)
    assert not alarms(audited(table(tmp_path, shuffled, "temperature"), "regression"))


def test_rows_sorted_by_the_target_in_blocks(tmp_path: Path) -> None:
    frame = diabetes().sort_values("target")
    data = table(tmp_path, frame, "target")
    assert only(alarms(audited(data, "regression", {"method": "blocked"})), "GF111")
    wine = datasets.load_wine(as_frame=True).frame
    found = alarms(audited(table(tmp_path, wine, "target"), "multiclass", {"method": "blocked"}))
    # Whole classes are left out of training parts then.
    assert only(found, "GF111").rows[:1] == (59,)
    assert only(found, "GF113").severity == "error"


# -- columns ---------------------------------------------------------------------------------------


def test_the_target_copied_with_noise(tmp_path: Path) -> None:
    frame = diabetes()
    frame["progress"] = frame["target"] + RNG.normal(scale=5, size=len(frame))
    finding = only(alarms(audited(table(tmp_path, frame, "target"), "regression")), "GF108")
    assert finding.columns == ("progress",)


def test_the_classes_under_another_name(tmp_path: Path) -> None:
    frame = datasets.load_wine(as_frame=True).frame
    frame["cultivar"] = np.array(["Barolo", "Grignolino", "Barbera"])[frame["target"]]
    finding = only(alarms(audited(table(tmp_path, frame, "target"), "multiclass")), "GF108")
    assert finding.columns == ("cultivar",)
    assert finding.severity == "error"


def test_values_that_are_missing_where_the_target_is_positive(tmp_path: Path) -> None:
    frame = cancer()
    frame["follow_up"] = RNG.normal(size=len(frame))
    frame.loc[frame["target"] == 1, "follow_up"] = np.nan
    finding = only(alarms(audited(table(tmp_path, frame, "target"), "binary")), "GF108")
    assert finding.columns == ("follow_up",)


def test_a_number_of_the_sample_in_data_sorted_by_class(tmp_path: Path) -> None:
    frame = cancer().sort_values("target", kind="stable").reset_index(drop=True)
    frame.insert(0, "sample", 1000 + np.arange(len(frame)))
    found = alarms(audited(table(tmp_path, frame, "target"), "binary"))
    finding = only(found, "GF110")
    assert finding.columns == ("sample",)
    assert finding.severity == "error"
    assert "GF108" not in [f.code for f in found], "told once"


def test_a_number_of_the_sample_in_shuffled_data(tmp_path: Path) -> None:
    frame = cancer().assign(sample=np.arange(569)).sample(frac=1, random_state=0)
    finding = only(alarms(audited(table(tmp_path, frame, "target"), "binary")), "GF109")
    assert finding.columns == ("sample",)


def test_identifiers_with_gaps_are_known_by_their_name(tmp_path: Path) -> None:
    numbers = RNG.choice(10_000_000, 569, replace=False)
    frame = cancer().assign(record_id=numbers)
    finding = only(alarms(audited(table(tmp_path, frame, "target"), "binary")), "GF109")
    assert finding.columns == ("record_id",)


# -- parts -----------------------------------------------------------------------------------------


def test_classes_that_are_missing_in_folds(tmp_path: Path) -> None:
    images, digits = datasets.load_digits(return_X_y=True)
    keep = (digits < 9) | (np.cumsum(digits == 9) <= 5)
    data = arrays(tmp_path, images[keep], digits[keep]) | {"test_fraction": 0.0}
    found = audited(data, "multiclass", {"method": "kfold", "folds": 10}, "roc_auc_ovr")
    finding = only(alarms(found), "GF113")
    assert "class 9" in finding.sentence
    assert finding.splits


@pytest.mark.parametrize(("problem", "measure"), [("binary", "roc_auc"), ("regression", "r2")])
def test_folds_on_which_the_measure_says_nothing(
    tmp_path: Path, problem: str, measure: str
) -> None:
    features, _ = datasets.load_wine(return_X_y=True)
    targets: Any = np.zeros(len(features), int)
    targets[[3, 50, 90]] = 1
    if problem == "regression":
        targets = targets * 2.5
    data = arrays(tmp_path, features, targets) | {"test_fraction": 0.0}
    found = audited(data, problem, {"method": "kfold", "folds": 8}, measure)
    finding = only(alarms(found), "GF114")
    assert 5 <= len(finding.splits) < 8


def test_a_test_set_from_elsewhere(tmp_path: Path) -> None:
    features, targets = datasets.load_breast_cancer(return_X_y=True)
    others = features[400:] * np.where(np.arange(30) == 3, 1.5, 1.0)
    data = arrays(
        tmp_path, features[:400], targets[:400], test_features=others, test_targets=targets[400:]
    )
    finding = only(alarms(audited(data, "binary")), "GF115")
    assert finding.columns[:1] == ("feature_3",)


def test_a_rare_class_that_accuracy_does_not_see(tmp_path: Path) -> None:
    features, targets = datasets.make_classification(
        3000, weights=[0.995], flip_y=0, random_state=0
    )
    data = arrays(tmp_path, features, targets)
    assert only(alarms(audited(data, "binary")), "GF116")
    assert not alarms(audited(data, "binary", measure="balanced_accuracy"))

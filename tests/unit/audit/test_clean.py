"""No alarm on data without a leak: real sets, tables with few values, and what generators make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from audits import alarms, arrays, audited, table
from sklearn import datasets

EMBEDDED = {
    "iris": "multiclass",
    "wine": "multiclass",
    "digits": "multiclass",
    "breast_cancer": "binary",
    "diabetes": "regression",
    "linnerud": "regression",
}
# Functions of scikit-learn, with the kind of problem that they make.
MADE: dict[str, tuple[str, dict[str, Any]]] = {
    "make_classification": ("binary", {"n_samples": 600}),
    "make_blobs": ("multiclass", {"n_samples": 600}),
    "make_moons": ("binary", {"n_samples": 600, "noise": 0.2}),
    "make_circles": ("binary", {"n_samples": 600, "noise": 0.1}),
    "make_gaussian_quantiles": ("multiclass", {"n_samples": 600}),
    "make_regression": ("regression", {"n_samples": 600, "noise": 5}),
    "make_friedman1": ("regression", {"n_samples": 600}),
    "make_friedman3": ("regression", {"n_samples": 600}),
    "make_sparse_uncorrelated": ("regression", {"n_samples": 600}),
    "make_swiss_roll": ("regression", {"n_samples": 600}),
}
# Real tables of statsmodels with their targets: surveys of few values, small samples, money.
REAL = {
    "anes96": ("vote", "binary"),
    "fair": ("affairs", "regression"),
    "ccard": ("AVGEXP", "regression"),
    "star98": ("NABOVE", "regression"),
    "statecrime": ("murder", "regression"),
    "spector": ("GRADE", "binary"),
    "heart": ("survival", "regression"),
    "engel": ("foodexp", "regression"),
}


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_sets_of_scikit_learn(name: str) -> None:
    assert not alarms(audited({"source": name}, EMBEDDED[name]))


def test_a_pair_of_equal_flowers_is_what_chance_brings_about() -> None:
    """Iris has one; it is told as a note."""
    found = audited({"source": "iris", "test_seed": 5}, "multiclass")
    (finding,) = [f for f in found.findings if f.code == "GF101"]
    assert finding.severity == "note"
    assert {*finding.rows} <= {101, 142}
    assert "chance" in finding.sentence


@pytest.mark.parametrize("name", MADE)
def test_what_generators_make(name: str, tmp_path: Path) -> None:
    problem, options = MADE[name]
    features, targets = getattr(datasets, name)(random_state=0, **options)
    assert not alarms(audited(arrays(tmp_path, features, targets), problem))


@pytest.mark.parametrize("name", REAL)
def test_real_tables(name: str, tmp_path: Path) -> None:
    target, problem = REAL[name]
    frame: pd.DataFrame = getattr(sm.datasets, name).load_pandas().data
    frame = frame.select_dtypes("number")
    assert not alarms(audited(table(tmp_path, frame, target), problem))


def test_what_is_left_out_of_an_audit_is_not_said_to_be_checked(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(80, 6, 6, 1))
    found = audited(arrays(tmp_path, images, np.arange(80) % 2), "binary")
    assert not {"GF104", "GF106", "GF108", "GF111"} & {*found.checked}
    assert {"GF101", "GF102", "GF113"} <= {*found.checked}


@pytest.mark.parametrize("method", ["kfold", "stratified", "holdout", "blocked", "forward"])
@pytest.mark.parametrize("samples", [8, 45])
def test_small_data_stand_every_check(samples: int, method: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(samples, 3))
    features[:, 2] = np.nan_to_num(features[:, 2])
    data = arrays(tmp_path, features, np.arange(samples) % 2)
    found = audited(
        data,
        "binary",
        {"method": method, "folds": 2} if method != "holdout" else {"method": method},
    )
    assert not [f for f in alarms(found) if f.code not in ("GF113", "GF114")]


def test_gaps_in_all_columns_stand_every_check(tmp_path: Path) -> None:
    frame: pd.DataFrame = datasets.load_breast_cancer(as_frame=True).frame
    gaps = np.random.default_rng(0).random(frame.shape) < 0.6
    gaps[:, -1] = False
    found = audited(table(tmp_path, frame.mask(gaps), "target"), "binary")
    assert not alarms(found)
    (finding,) = [f for f in found.findings if f.code == "GF117"]
    assert len(finding.columns) == 30

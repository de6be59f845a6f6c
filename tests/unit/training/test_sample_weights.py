"""Weights of samples, and windows of a time series, where they matter: in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets, metrics
from workbench import Bench, final_state, prepare_bench, stored_predictions

# Begins with zeros and sees all samples at once: what it learns depends on no seed.
MODEL = """
import keras


def build_model(hp, input_shape, outputs):
    dense = keras.layers.Dense(outputs, "sigmoid", kernel_initializer="zeros")
    return keras.Sequential([keras.Input(input_shape), dense])
"""
TUMOURS = datasets.load_breast_cancer(as_frame=True).frame.head(300)


def study(folder: Path, table: pd.DataFrame, name: str, **sections: Any) -> Bench:
    file = folder / f"{name}.csv"
    table.to_csv(file, index=False)
    data = {"source": "csv", "path": str(file), "targets": ["target"]}
    base = {
        "study": name,
        "data": data | sections.pop("data", {}),
        "problem": {"type": "binary"},
        "model": {"mlp": {"units": 8}},
        "training": {"epochs": 2},
        "resampling": {"method": "kfold", "folds": 3},
    }
    return prepare_bench(folder / name, base | sections)


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bench]:
    folder = tmp_path_factory.mktemp("weights")
    (folder / "model.py").write_text(MODEL)
    own = np.linspace(0.1, 3, len(TUMOURS))
    of_class = np.where(TUMOURS["target"] == 1, 3.0, 1.0)
    uneven = TUMOURS.assign(importance=own)
    classes = {"epochs": 3, "batch_size": 400, "class_weights": {"1": 3.0}}
    samples = {"epochs": 3, "batch_size": 400}
    model = {"python": {"build": f"{folder / 'model.py'}:build_model"}}
    weight = {"weight": "importance"}
    series = datasets.load_diabetes(as_frame=True).frame[["bmi", "bp", "target"]].head(200)
    series.insert(0, "day", np.arange(200))
    series.loc[::9, "bmi"] = np.nan
    found = {
        "classes": study(folder, TUMOURS, "classes", training=classes, model=model),
        "samples": study(
            folder,
            TUMOURS.assign(importance=of_class),
            "samples",
            data=weight,
            training=samples,
            model=model,
        ),
        "both": study(folder, uneven, "both", data=weight, training=classes, model=model),
        "product": study(
            folder,
            TUMOURS.assign(importance=own * of_class),
            "product",
            data=weight,
            training=samples,
            model=model,
        ),
        "uneven": study(folder, uneven, "uneven", data=weight),
        "windows": study(
            folder,
            series,
            "windows",
            data={"time": "day", "sequence": {"length": 6}, "missing": {"numbers": "mean"}},
            problem={"type": "regression"},
            training={"epochs": 20, "learning_rate": 0.01},
            resampling={"method": "forward", "folds": 3},
        ),
    }
    works = [bench.work() for bench in found.values()]
    failures = [event.failure for event in found["classes"].train(*works) if event.failure]
    assert not failures, failures
    return found


def result(bench: Bench) -> Any:
    work = bench.work()
    return work.store.result(work.task.epochs)


@pytest.mark.parametrize(("one", "other"), [("classes", "samples"), ("both", "product")])
def test_weights_of_classes_and_samples_are_multiplied(
    benches: dict[str, Bench], one: str, other: str
) -> None:
    weights = [final_state(benches[name].work().task.folder, 3)[0] for name in (one, other)]
    assert np.abs(weights[0]).max() > 1e-4
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-4, atol=1e-7)


def test_validation_loss_is_weighted_and_measures_are_not(benches: dict[str, Bench]) -> None:
    bench = benches["uneven"]
    rows = bench.splits.by_name["r0f0"].validation
    chances = stored_predictions(bench.work().store, 2)
    assert chances is not None
    targets = TUMOURS["target"].to_numpy()[rows]
    weights = np.linspace(0.1, 3, len(TUMOURS))[rows]
    chance = np.clip(chances[:, 0], 1e-7, 1 - 1e-7)
    losses = -np.where(targets == 1, np.log(chance), np.log(1 - chance))
    found = result(bench)
    assert found.history[-1]["val_loss"] == pytest.approx((losses * weights).mean(), rel=1e-4)
    assert found.scores["accuracy"] == metrics.accuracy_score(targets, chances[:, 0] > 0.5)
    assert found.scores["log_loss"] == pytest.approx(losses.mean(), rel=1e-4)


def test_windows_of_a_series_are_trained_on(benches: dict[str, Bench]) -> None:
    found = result(benches["windows"])
    assert found.history[-1]["loss"] < found.history[0]["loss"]
    assert found.parameters == 6 * 3 * 8 + 8 + 8 + 1
    work = benches["windows"].work()
    assert all(np.isfinite(array).all() for array in final_state(work.task.folder, 20))

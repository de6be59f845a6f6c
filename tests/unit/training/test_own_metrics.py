"""Metrics that a user's function compiles into its model are followed, epoch by epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from workbench import prepare_bench, shard_tables

from gridfold.plan.shards import TrialKey
from gridfold.tables.trials import write_shard

HEADER = """
import keras

def build_model(hp):
    model = keras.Sequential(
        [keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1, activation="sigmoid")]
    )
"""


@pytest.fixture(autouse=True)
def _in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def compiled(arguments: str, before: str = "") -> dict[str, Any]:
    Path("model.py").write_text(
        f'{before}{HEADER}    model.compile("adam", "binary_crossentropy", {arguments})\n'
        "    return model\n"
    )
    return {
        "study": "metrics",
        "data": {"source": "breast_cancer", "normalise": "standard", "subset": 200},
        "problem": {"type": "binary"},
        "model": {"python": {"build": "model.py:build_model"}},
        "training": {"epochs": 2},
        "resampling": {"method": "stratified", "folds": 2},
    }


COLUMNS = {
    "epoch",
    "loss",
    "val_loss",
    "metric",
    "val_metric",
    "learning_rate",
    "seconds",
    "training_seconds",
}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("metrics=None", set()),
        ('metrics=["accuracy"]', set()),
        ('metrics=["acc", "AUC"]', {"AUC"}),
        ('metrics=[keras.metrics.AUC(name="area"), "mse"]', {"area", "mse"}),
        ("metrics={'dense_1': [keras.metrics.Precision(name='precision')]}", {"precision"}),
        ('metrics=[[keras.metrics.Recall(name="recall")]]', {"recall"}),
        ('metrics=["mae"], weighted_metrics=["mae"]', {"mae", "weighted_mae"}),
        # Under the name of ours, but with another threshold.
        ('metrics=[keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.2)]', {"accuracy_1"}),
        ("metrics=[mean_output]", {"mean_output"}),
        # Two of one name, and two without any.
        (
            'metrics=[keras.metrics.Recall(name="recall"), '
            'keras.metrics.Recall(name="recall", thresholds=0.2)]',
            {"recall", "recall_1"},
        ),
        ("metrics=[keras.metrics.AUC(), keras.metrics.AUC(curve='PR')]", {"auc", "auc_1"}),
    ],
)
def test_they_are_in_the_history_under_the_names_that_keras_gives_them(
    tmp_path: Path, arguments: str, names: set[str]
) -> None:
    own = "def mean_output(targets, outputs):\n    return outputs\n\n"
    bench = prepare_bench(tmp_path, compiled(arguments, own))
    history = bench.trained().history + bench.trained(split="r0f1").history
    for row in history:
        assert row.keys() - COLUMNS == names | {f"val_{name}" for name in names}
        assert all(np.isfinite(row[name]) for name in names)


def test_their_numbers_are_those_of_the_scores(tmp_path: Path) -> None:
    arguments = "metrics=[keras.metrics.AUC(num_thresholds=4000, name='auc'), 'mse']"
    result = prepare_bench(tmp_path, compiled(arguments)).trained()
    last = result.history[-1]
    assert last["val_auc"] == pytest.approx(result.scores["roc_auc"], abs=2e-3)
    assert last["val_mse"] == pytest.approx(result.scores["brier_score"], rel=1e-4)
    # They judge and change nothing.
    plain = prepare_bench(tmp_path / "plain", compiled("metrics=None")).trained()
    assert [row["loss"] for row in plain.history] == [row["loss"] for row in result.history]
    assert plain.scores == result.scores


@pytest.mark.parametrize("name", ["loss", "seconds", "metric", "epoch", "val_loss", "val_auc"])
def test_a_name_that_the_tables_have_for_something_else_is_refused(
    tmp_path: Path, name: str
) -> None:
    bench = prepare_bench(tmp_path, compiled(f"metrics=[keras.metrics.AUC(name={name!r})]"))
    [failure] = [event.failure for event in bench.train(bench.work()) if event.failure]
    assert f"compiled with a metric of the name {name}, which the tables have" in failure.reason
    assert "give it another one" in failure.reason


def test_one_that_fails_is_named_as_what_it_is(tmp_path: Path) -> None:
    own = "def broken(targets, outputs):\n    return targets.no_such_thing\n\n"
    bench = prepare_bench(tmp_path, compiled("metrics=[broken]", own))
    [failure] = [event.failure for event in bench.train(bench.work()) if event.failure]
    assert "a metric that the model is compiled with fails: AttributeError" in failure.reason
    assert "model.py, line 2" in failure.detail or "no_such_thing" in failure.reason


def test_a_training_goes_on_with_them(tmp_path: Path) -> None:
    study = compiled("metrics=['AUC']")
    expected = prepare_bench(tmp_path / "whole", study).trained().history
    prepare_bench(tmp_path / "parts", study | {"training": {"epochs": 1}}).trained()
    found = prepare_bench(tmp_path / "parts", study).trained().history
    assert [row["AUC"] for row in found] == [row["AUC"] for row in expected]


def test_tables_have_a_column_for_each(tmp_path: Path) -> None:
    bench = prepare_bench(tmp_path, compiled("metrics=['AUC']"))
    result = bench.trained()
    work = bench.work()
    tables = shard_tables(bench.plan)
    tables.trials.parent.mkdir(parents=True, exist_ok=True)
    trial = TrialKey(work.task.config_id, work.task.split)
    rows = [(trial, result, work.store)]
    write_shard(rows, bench.splits.by_name, tables.trials, tables.epochs, tables.predictions)
    epochs = pd.read_parquet(tables.epochs)
    assert list(epochs.columns)[-2:] == ["AUC", "val_AUC"]
    assert epochs["val_AUC"].tolist() == [row["val_AUC"] for row in result.history]

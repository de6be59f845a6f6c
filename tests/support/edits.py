"""Studies whose files are edited while they run: by their own data function, the first job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

DATA = """
import pathlib
import shutil

from sklearn.datasets import load_iris


def load_data():
    for edited in pathlib.Path("edited").glob("*"):
        shutil.copy(edited, edited.name)
    iris = load_iris()
    return {"features": iris.data, "targets": iris.target}
"""
MODEL = """
import blocks
import keras


def build_model(hp, input_shape, outputs):
    layers = [keras.Input(input_shape), blocks.body(hp.Int("units", 1, 64))]
    return keras.Sequential([*layers, keras.layers.Dense(outputs, activation="softmax")])
"""
BLOCKS = """
import keras
import tensorflow as tf


@tf.function
def scaled(inputs):
    # A condition that AutoGraph turns into operations, by the source that it finds.
    if tf.reduce_max(inputs) > 1e9:
        return inputs
    return inputs * FACTOR


class Scaled(keras.layers.Layer):
    def call(self, inputs):
        return scaled(inputs)


def body(units):
    return keras.Sequential([Scaled(), keras.layers.Dense(units * WIDTH, activation="relu")])
"""


def blocks(width: int = 1) -> str:
    return f"FACTOR = 1\nWIDTH = {width}\n{BLOCKS}"


def edited_study(**changes: Any) -> dict[str, Any]:
    return {
        "study": "edited",
        "data": {"source": "python", "function": "data.py:load_data"},
        "problem": {"type": "multiclass"},
        "model": {"python": {"build": "model.py:build_model"}},
        "training": {"epochs": 2},
        "search": {"space": {"python.units": [4, 8]}},
        "resampling": {"method": "stratified", "folds": 2},
    } | changes


def write_files(folder: Path, study: dict[str, Any]) -> None:
    """Write the user's files, and what they are edited to while the study runs."""
    (folder / "data.py").write_text(DATA)
    (folder / "model.py").write_text(MODEL)
    (folder / "blocks.py").write_text(blocks())
    edited = folder / "edited"
    edited.mkdir()
    (edited / "blocks.py").write_text("\n" * 40 + blocks(width=10))
    # Not even Python any more.
    (edited / "model.py").write_text("def build_model(hp:\n")
    later = study | {"training": study["training"] | {"epochs": 7}}
    (edited / "study.yaml").write_text(yaml.safe_dump(later, sort_keys=False) + "nonsense: [\n")


def check_unedited(table: pd.DataFrame) -> None:
    """Check that all trials were trained by what the files were when the run began."""
    assert set(table["status"]) == {"finished"}
    assert set(table["epochs_trained"]) == {2}
    # Weights and biases of both layers.
    assert set(table["parameters"]) <= {units * 5 + (units + 1) * 3 for units in range(1, 65)}

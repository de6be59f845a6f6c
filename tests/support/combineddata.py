"""Real data of scikit-learn in every form that a study can read, tens of samples of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn import datasets

# Samples of tables and arrays, and those of a test set of their own.
_SAMPLES, _GIVEN_TEST = 54, 12
# Of ten classes that no one has balanced, so that half of a training part still has each of them.
_BUNDLED_DIGITS = 120
# Days of each station, and those of a window.
_STATIONS, _DAYS, _WINDOW = 6, 24, 3
_BUNDLED = {
    "multiclass": "digits",
    "binary": "breast_cancer",
    "regression": "diabetes",
    "multi_output": "linnerud",
}
_BUNDLED_SHAPES = {"digits": (8, 8, 1), "breast_cancer": (30,), "diabetes": (10,), "linnerud": (3,)}
_IMAGE = (8, 8, 1)
# Three numbers and two wards; two numbers in each row of a window.
_SHAPES = {"table": (5,), "windows": (_WINDOW, 2)}
# The columns of a table that each problem predicts.
_COLUMNS = {
    "table": {
        "multiclass": ["grade"],
        "binary": ["outcome"],
        "regression": ["smoothness"],
        "multi_output": ["smoothness", "symmetry"],
    },
    "windows": {
        "multiclass": ["level"],
        "binary": ["rising"],
        "regression": ["target"],
        "multi_output": ["target", "sugar"],
    },
    "images": {
        "multiclass": ["digit"],
        "binary": ["parity"],
        "regression": ["ink"],
        "multi_output": ["upper", "lower"],
    },
}
_ACTIVATIONS = {
    "multiclass": "softmax",
    "binary": "sigmoid",
    "regression": "linear",
    "multi_output": "sigmoid",
}


def section(name: str, combination: Mapping[str, str]) -> dict[str, Any]:
    """Return the `data` section of a study; its files are those that :func:`write` writes."""
    source, problem = combination["source"], combination["problem"]
    roles = {
        "groups": combination["resampling"] == "group",
        "weights": combination["training"] == "sample weights",
        "test": combination["test set"] == "given",
    }
    data: dict[str, Any] = {
        "arrays": _arrays,
        "bundled": _bundled,
        "table": _table,
        "images": _images,
        "function": lambda *_: {"source": "python", "function": f"{code_file(name)}:samples"},
        "windows": _windows,
    }[source](problem, roles)
    if problem in ("regression", "multi_output"):
        data["scale_targets"] = "standard" if problem == "regression" else "minmax"
    if combination["test set"] == "none":
        data["test_fraction"] = 0
    return data


def _bundled(problem: str, roles: Mapping[str, bool]) -> dict[str, Any]:
    data: dict[str, Any] = {"source": _BUNDLED[problem]}
    if problem != "multi_output":
        data["subset"] = _BUNDLED_DIGITS if problem == "multiclass" else _SAMPLES
    if roles["weights"]:
        data["weights"] = "importance"
    if roles["test"]:
        data["test_features"] = "x_test"
    return data


def _arrays(problem: str, roles: Mapping[str, bool]) -> dict[str, Any]:
    data = {"source": "npz", "path": "arrays.npz", "targets": problem}
    if roles["groups"]:
        data["groups"] = "writer"
    if roles["weights"]:
        data["weights"] = "importance"
    if roles["test"]:
        data |= {"test_features": "x_test", "test_targets": f"{problem}_test"}
    return data


def _table(problem: str, roles: Mapping[str, bool]) -> dict[str, Any]:
    data: dict[str, Any] = {
        "source": "csv",
        "path": "table.csv",
        "targets": _COLUMNS["table"][problem],
        "features": ["radius", "texture", "area", "ward"],
        "id": "patient",
        "missing": {"numbers": "median"},
    }
    if roles["groups"]:
        data["groups"] = "clinic"
    if roles["weights"]:
        data["weight"] = "importance"
    if roles["test"]:
        data["test_path"] = "table.csv"
    return data


def _windows(problem: str, roles: Mapping[str, bool]) -> dict[str, Any]:
    data: dict[str, Any] = {
        "source": "csv",
        "path": "series.csv",
        "targets": _COLUMNS["windows"][problem],
        "features": ["weight", "pressure"],
        "time": "day",
        "groups": "station",
        "sequence": {"length": _WINDOW},
    }
    if roles["weights"]:
        data["weight"] = "importance"
    if roles["test"]:
        data["test_path"] = "series.csv"
    return data


def _images(problem: str, roles: Mapping[str, bool]) -> dict[str, Any]:
    data: dict[str, Any] = {"source": "images", "color": "grayscale", "normalise": "global"}
    if problem in ("multiclass", "binary") and not (roles["groups"] or roles["weights"]):
        # A folder for each class; with more to say of an image, a list.
        data["path"] = f"images/{problem}"
        if roles["test"]:
            data["test_path"] = f"images/{problem}_test"
        return data
    data |= {"path": "images.csv", "targets": _COLUMNS["images"][problem]}
    if roles["groups"]:
        data["groups"] = "writer"
    if roles["weights"]:
        data["weight"] = "importance"
    if roles["test"]:
        data["test_path"] = "images_test.csv"
    return data


def code_file(name: str) -> str:
    """Return the file with a study's own functions."""
    return f"{name.replace('-', '_')}.py"


def _shape(combination: Mapping[str, str]) -> tuple[int, ...]:
    source = combination["source"]
    if source == "bundled":
        return _BUNDLED_SHAPES[_BUNDLED[combination["problem"]]]
    return _SHAPES.get(source, _IMAGE)


def saved_model(combination: Mapping[str, str]) -> str:
    """Return the file of a model for the samples of a combination."""
    return f"{'x'.join(map(str, _shape(combination)))}.keras"


def table_of(combination: Mapping[str, str]) -> Path | None:
    """Return the table with the raw samples of a combination, if they are in a table."""
    return {"table": Path("table.csv"), "windows": Path("series.csv")}.get(combination["source"])


def rows_of_windows(windows: Any) -> Any:
    """Return the place of windows among those that are predicted.

    Parameters
    ----------
    windows : array of int
        Places among the windows with a target: all but the last one of each station.
    """
    each = _DAYS - _WINDOW
    return windows // each * (each + 1) + windows % each


# -- files ----------------------------------------------------------------------------------------


def write(folder: Path, studies: Mapping[str, Mapping[str, str]]) -> None:
    """Write all that studies read, but their study files.

    Parameters
    ----------
    folder : Path
        The working directory of the studies.
    studies : mapping of str to combination
        By name.
    """
    _write_digits(folder)
    _tumours().to_csv(folder / "table.csv", index=False)
    _series().to_csv(folder / "series.csv", index=False)
    for name, combination in studies.items():
        (folder / code_file(name)).write_text(_code(combination))
    _write_models(folder, {_shape(c) for c in studies.values() if c["model"] == "saved"})


def _write_digits(folder: Path) -> None:
    """Write digits from 0 to 2 as arrays, as folders of images and as lists of images."""
    digits = datasets.load_digits(n_class=3)
    count = _SAMPLES + _GIVEN_TEST
    pixels = (digits.images[:count] * 15).astype(np.uint8)
    ink = pixels / np.float32(240)
    table = pd.DataFrame({"digit": digits.target[:count]})
    table["parity"] = table["digit"] % 2
    table["ink"] = ink.mean(axis=(1, 2))
    table["upper"], table["lower"] = ink[:, :4].mean(axis=(1, 2)), ink[:, 4:].mean(axis=(1, 2))
    table["writer"] = np.arange(count) // 4
    table["importance"] = np.random.default_rng(0).uniform(0.5, 2, count)
    targets = {problem: table[names].to_numpy() for problem, names in _COLUMNS["images"].items()}
    for problem in ("multiclass", "binary", "regression"):
        targets[problem] = targets[problem][:, 0]
    own = slice(_SAMPLES)
    np.savez(
        folder / "arrays.npz",
        x=pixels[own, ..., None],
        x_test=pixels[_SAMPLES:, ..., None],
        writer=table["writer"][own],
        importance=table["importance"][own],
        **{problem: values[own] for problem, values in targets.items()},
        **{f"{problem}_test": values[_SAMPLES:] for problem, values in targets.items()},
    )
    files = []
    for row in range(count):
        end = "" if row < _SAMPLES else "_test"
        for problem in ("multiclass", "binary"):
            file = Path("images", problem + end, f"is {targets[problem][row]}", f"{row:02}.png")
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[row]).save(folder / file)
        files.append(str(file))
    table.insert(0, "image", files)
    table[:_SAMPLES].to_csv(folder / "images.csv", index=False)
    table[_SAMPLES:].to_csv(folder / "images_test.csv", index=False)


def _tumours() -> pd.DataFrame:
    """Return tumours with gaps, a column of words, clinics of four patients, and four targets."""
    frame = datasets.load_breast_cancer(as_frame=True).frame
    frame = frame.sample(_SAMPLES, random_state=0).reset_index(drop=True)
    table = frame[["mean radius", "mean texture", "mean area"]].copy()
    table.columns = pd.Index(["radius", "texture", "area"])
    table.loc[::7, "radius"] = np.nan
    rows = np.arange(_SAMPLES)
    table["ward"] = np.where(rows % 2, "north", "south")
    table["patient"] = [f"p{row:02}" for row in rows]
    table["clinic"] = rows // 4
    table["importance"] = np.random.default_rng(0).uniform(0.5, 2, _SAMPLES)
    table["smoothness"], table["symmetry"] = frame["mean smoothness"], frame["mean symmetry"]
    table["outcome"] = np.where(frame["target"] == 1, "benign", "malignant")
    table["grade"] = pd.qcut(frame["mean concavity"], 3, labels=["low", "middle", "high"])
    return table


def _series() -> pd.DataFrame:
    """Return measurements day by day at some stations, in an order that mixes them."""
    frame = datasets.load_diabetes(as_frame=True).frame.head(_STATIONS * _DAYS)
    table = pd.DataFrame({"weight": frame["bmi"], "pressure": frame["bp"]})
    rows = np.arange(len(table))
    table["station"] = [f"station {row % _STATIONS}" for row in rows]
    table["day"] = (np.datetime64("2024-01-01") + rows // _STATIONS).astype(str)
    table["importance"] = np.random.default_rng(0).uniform(0.5, 2, len(table))
    table["target"], table["sugar"] = frame["target"], frame["s6"]
    table["rising"] = np.where(frame["bmi"] > 0, "yes", "no")
    table["level"] = pd.qcut(frame["target"], 3, labels=["low", "middle", "high"])
    return table.sample(frac=1, random_state=0)


def _write_models(folder: Path, shapes: set[tuple[int, ...]]) -> None:
    if shapes:
        import keras
    for shape in shapes:
        inputs = keras.Input(shape)
        hidden = keras.layers.Dense(4, activation="relu")(keras.layers.Flatten()(inputs))
        model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
        model.save(folder / f"{'x'.join(map(str, shape))}.keras")


# Of any problem, in the file below.
MEASURE = "mean_error"

_CODE = '''"""What the user of a study has written: samples, models, and a loop."""

import keras
import numpy as np


def samples():
    with np.load("arrays.npz") as arrays:
        return {{role: arrays[name] for role, name in {roles}.items()}}


def build(hp, input_shape, outputs):
    inputs = keras.Input(input_shape)
    hidden = keras.layers.Dense(hp.Int("units", 2, 16), activation="relu")
    last = keras.layers.Dense(outputs, activation="{activation}")
    return keras.Model(inputs, last(hidden(keras.layers.Flatten()(inputs))))


class Network(keras.Model):
    def __init__(self, units, outputs):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.hidden = keras.layers.Dense(units, activation="relu")
        self.last = keras.layers.Dense(outputs, activation="{activation}")

    def call(self, inputs):
        return self.last(self.hidden(self.flatten(inputs)))


def build_subclass(hp, input_shape, outputs):
    return Network(hp.Int("units", 2, 16), outputs)


def mean_error(targets, predictions):
    return abs(targets.mean() - predictions.mean())


def train(trial):
    keras.utils.set_random_seed(trial.seed)
    model = build(trial.hp, trial.input_shape, trial.outputs)
    rate = trial.settings["training"]["learning_rate"]
    model.compile(keras.optimizers.SGD(rate), trial.settings["problem"]["loss"])
    file = trial.folder / "mine.weights.h5"
    if file.exists():
        model.load_weights(file)
    features, targets, *weights = trial.training_data
    for epoch in range(len(trial.history) + 1, trial.epochs + 1):
        fit = model.fit(
            features, targets, sample_weight=next(iter(weights), None), batch_size=8, verbose=0
        )
        model.save_weights(file)
        trial.report(epoch, loss=fit.history["loss"][0])
    return model
'''


def _code(combination: Mapping[str, str]) -> str:
    problem = combination["problem"]
    roles = {"features": "x", "targets": problem}
    if combination["resampling"] == "group":
        roles["groups"] = "writer"
    if combination["training"] == "sample weights":
        roles["weights"] = "importance"
    if combination["test set"] == "given":
        roles |= {"test_features": "x_test", "test_targets": f"{problem}_test"}
    return _CODE.format(roles=roles, activation=_ACTIVATIONS[problem])

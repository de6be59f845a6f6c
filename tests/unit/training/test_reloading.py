"""Models that can't be loaded from their files are refused in the first trial, and in no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest
from workbench import Bench, prepare_bench

from gridfold.training.loading import load_model
from gridfold.usercode.functions import own_objects

MODELS = """
import beside
import keras
import numpy as np
from keras import layers


def head(*body):
    return keras.Sequential([*body, layers.Dense(3, activation="softmax")])


def anonymous(hp):
    return head(layers.Lambda(lambda x: 2 * x), layers.Dense(4))


class Forgetful(layers.Layer):
    def __init__(self, factors, **options):
        super().__init__(**options)
        self.factors = factors

    def call(self, inputs):
        return self.factors * inputs


class Block(layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.dense, self.norm = layers.Dense(units), layers.LayerNormalization()

    def call(self, inputs):
        return self.norm(self.dense(inputs))


class Twice(layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def halved(inputs):
    return inputs / 2


def unregistered(hp):
    return head(Twice(), beside.Thrice(), Block(6), layers.Lambda(halved), layers.Dense(4, halved))


def hidden(hp):
    class Inner(layers.Layer):
        def call(self, inputs):
            return inputs

    return head(Inner())


def forgetful(hp):
    return head(Forgetful(np.arange(4.0)))


@keras.saving.register_keras_serializable("gridfold tests of files")
class Counting(layers.Layer):
    made = 0

    def __init__(self, **options):
        super().__init__(**options)
        Counting.made += 1
        self.factor = float(Counting.made)

    def call(self, inputs):
        return self.factor * inputs


def counting(hp):
    return head(Counting())


@keras.saving.register_keras_serializable("gridfold tests of files")
def doubled(inputs):
    return 2 * inputs


@keras.saving.register_keras_serializable("gridfold tests of files")
class Remembering(layers.Layer):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units
        self.dense = layers.Dense(units)

    def call(self, inputs):
        return self.dense(inputs)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def named(hp):
    return head(layers.Lambda(doubled), Remembering(4), layers.BatchNormalization())


class Plain(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.hidden, self.end = layers.Dense(units), layers.Dense(3, activation="softmax")

    def call(self, inputs):
        return self.end(self.hidden(inputs))


def plain(hp):
    return Plain(4)


def loop(trial):
    model = anonymous(None)
    model.compile("adam", "sparse_categorical_crossentropy")
    for epoch in range(len(trial.history) + 1, trial.epochs + 1):
        history = model.fit(*trial.training_data, verbose=0)
        trial.report(epoch, loss=history.history["loss"][0])
    return model
"""


BESIDE = """
from keras import layers


class Thrice(layers.Layer):
    def call(self, inputs):
        return 3 * inputs
"""


def bench(folder: Path, model: dict[str, Any], **sections: Any) -> Bench:
    """Prepare a study with a model of the user."""
    file = folder / "models.py"
    folder.mkdir(exist_ok=True)
    file.write_text(MODELS)
    (folder / "beside.py").write_text(BESIDE)
    ((family, options),) = model.items()
    key = "build" if family == "python" else "train"
    return prepare_bench(
        folder,
        {
            "study": "files",
            "data": {"source": "iris", "normalise": "standard"},
            "problem": {"type": "multiclass"},
            "model": {family: {key: f"{file}:{options}"}},
            "training": {"epochs": 1},
            "resampling": {"method": "stratified", "folds": 2},
            **sections,
        },
    )


def failures(found: Bench, split: str) -> list[str]:
    return [
        event.failure.reason
        for event in found.train(found.work(split=split))
        if event.failure is not None
    ]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"python": "anonymous"}, "is a Python lambda; "),
        ({"python": "hidden"}, "Could not locate class 'Inner'; "),
        ({"python": "forgetful"}, "Object Forgetful was created by passing non-serializable"),
        ({"python": "counting"}, "answers otherwise when it is loaded again"),
        ({"custom": "loop"}, "is a Python lambda; "),
    ],
)
def test_what_can_not_be_loaded_fails_the_first_split(
    tmp_path: Path, model: dict[str, str], said: str
) -> None:
    found = bench(tmp_path, model)
    (reason,) = failures(found, "r0f0")
    assert said in reason
    assert "at the top level of their file" in reason
    assert "final.loadable: false" in reason
    assert failures(found, "r0f1") == []


def test_a_study_may_do_without_a_model_that_can_be_used(tmp_path: Path) -> None:
    refused = bench(tmp_path, {"python": "anonymous"})
    assert failures(refused, "r0f0")
    allowed = bench(tmp_path, {"python": "anonymous"}, final={"loadable": False})
    # What was trained before the refusal is kept.
    events = allowed.train(allowed.work())
    assert [event.kind for event in events] == ["started", "finished"]
    assert allowed.plan.configurations[0].id == refused.plan.configurations[0].id


@pytest.mark.parametrize("model", ["named", "plain", "unregistered"])
def test_what_can_be_loaded_trains(tmp_path: Path, model: str) -> None:
    assert failures(bench(tmp_path, {"python": model}), "r0f0") == []


OWN = """
import keras


class Frozen(keras.layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.dense = keras.layers.Dense(units)

    def call(self, inputs):
        return self.dense(inputs)

    def get_config(self):
        return {**super().get_config(), "units": self.dense.units}


class Named(keras.layers.Layer):
    def __init__(self, name):
        super().__init__(name=name)

    def call(self, inputs):
        return inputs


class Own(keras.layers.Layer):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def call(self, inputs):
        return self.size * inputs

    def get_config(self):
        return {"size": self.size}

    @classmethod
    def from_config(cls, config):
        return cls(config["size"] + 1)
"""


def test_layers_are_loaded_with_what_their_classes_do_not_take(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    frozen, named, own = own_objects([tmp_path / "own.py"])
    layers = [frozen(3), named("here"), own(4)]
    layers[0].trainable = False
    layers[0].name = "kept"
    layers[0].dtype_policy = keras.dtype_policies.get("mixed_bfloat16")
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras", tmp_path / "own.py")
    first, second, third = loaded.layers
    assert (first.name, first.trainable, first.dtype_policy.name) == (
        *("kept", False, "mixed_bfloat16"),
    )
    assert second.name == "here"
    # A class that makes itself of its configuration does so.
    assert third.size == 5
    with pytest.raises(TypeError, match="deserialized"):
        load_model(tmp_path / "model.keras")


def test_a_lambda_that_a_file_brings_is_never_run(tmp_path: Path) -> None:
    inputs = keras.Input((2,))
    file = tmp_path / "model.keras"
    outputs = keras.layers.Lambda(lambda x: x, output_shape=(2,))(inputs)
    keras.Model(inputs, outputs).save(file)
    with pytest.raises(ValueError, match="safe_mode"):
        load_model(file)

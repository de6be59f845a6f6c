"""Looking inside real models: found by type, whoever built them, and true to what they compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from recorded import model_card, selected
from scipy.signal import correlate
from synthetic import importance
from workbench import Bench, prepare_bench

from gridfold.data.dataset import Dataset
from gridfold.data.manifest import Manifest
from gridfold.data.splits import FINAL, Splits
from gridfold.figures import model as modelfigures
from gridfold.final.inside import Inside
from gridfold.final.inspection import exemplars, inspect
from gridfold.jobs.work import final_work
from gridfold.plan.job_requests import JobRequests
from gridfold.training.trial import Fitted, fit

MODELS = """
import keras
from keras import layers


def sequential(hp):
    return keras.Sequential([
        layers.Input((8, 8, 1)),
        layers.Conv2D(4, 3, activation="relu", name="look"),
        layers.AveragePooling2D(2),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, activation="softmax"),
    ])


def residual(hp):
    inputs = keras.Input((8, 8, 1))
    first = layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    second = layers.Conv2D(4, 3, padding="same", name="second")(layers.ReLU(name="act")(first))
    body = layers.Add(name="sum")([first, second])
    outputs = layers.Dense(10, activation="softmax")(layers.Flatten()(body))
    return keras.Model(inputs, outputs)


def nested(hp):
    backbone = keras.Sequential(name="backbone")
    backbone.add(layers.Input((8, 8, 1)))
    backbone.add(layers.Conv2D(4, 3, name="inner"))
    backbone.add(layers.MaxPooling2D(name="pool"))
    backbone.trainable = False
    inputs = keras.Input((8, 8, 1))
    body = layers.BatchNormalization(name="norm")(backbone(inputs))
    outputs = layers.Dense(10, activation="softmax")(layers.Flatten()(body))
    return keras.Model(inputs, outputs)


@keras.saving.register_keras_serializable("gridfold tests")
class Written(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.look = layers.Conv2D(4, 5, name="look")
        self.flat = layers.Flatten(name="flat")
        self.unused = layers.Dropout(0.5, name="unused")
        self.say = layers.Dense(10, activation="softmax", name="say")

    def call(self, inputs):
        return self.say(self.flat(self.look(inputs)))


def subclassed(hp):
    model = Written()
    model(keras.ops.zeros((1, 8, 8, 1)))
    return model


def recurrent(hp):
    return keras.Sequential([
        layers.Input((8, 8, 1)),
        layers.Reshape((8, 8)),
        layers.LSTM(4),
        layers.Dense(10, activation="softmax"),
    ])
"""
CNN = {"filters": [6, 12], "blocks": 2, "padding": "same", "dense_units": 16}
BUILT_IN: dict[str, dict[str, Any]] = {
    "cnn3": {"cnn": {**CNN, "filter_size": 3}},
    "cnn9": {"cnn": {**CNN, "filter_size": 9}},
    "mlp": {"mlp": {"units": 20, "batch_norm": True}},
}

Look = tuple[Fitted, Inside, Bench]


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Look]:
    """Train a model on digits for an epoch and look inside, each model once."""
    folder = tmp_path_factory.mktemp("models")
    file = folder / "models.py"
    file.write_text(MODELS)
    known: dict[str, Look] = {}

    def trained(name: str) -> Look:
        if name not in known:
            model = BUILT_IN.get(name, {"python": {"build": f"{file}:{name}"}})
            known[name] = _trained(folder / name, model)
        return known[name]

    return trained


def _trained(folder: Path, model: dict[str, Any]) -> Look:
    bench = prepare_bench(
        folder,
        {
            "study": "inside",
            "data": {"source": "digits", "subset": 300, "normalise": "global"},
            "problem": {"type": "multiclass"},
            "model": model,
            "training": {"epochs": 1},
            "resampling": {"method": "stratified", "folds": 2},
        },
    )
    configuration = bench.plan.configurations[0]
    selection = selected(configuration.id)
    request = JobRequests(bench.plan).final()
    task = final_work(request, selection, bench.plan.paths, 0).task
    dataset = Dataset.load(bench.plan.paths.data)
    splits = Splits.load(bench.plan.paths.splits, FINAL)
    final = splits.by_name[FINAL]
    fitted = fit(task, dataset, final.training, final.validation, lambda row: None)
    return fitted, inspect(fitted, dataset, splits), bench


def scaled_images(look: Look) -> np.ndarray[Any, Any]:
    fitted, inside, bench = look
    features = Dataset.load(bench.plan.paths.data).features[inside.samples]
    return fitted.features.apply(features)


@pytest.mark.parametrize(("name", "size"), [("cnn3", 3), ("cnn9", 9)])
def test_filters_answer_what_a_correlation_with_their_weights_gives(
    look: Callable[[str], Look], name: str, size: int
) -> None:
    fitted, inside, _ = found = look(name)
    assert inside.filters.shape == (size, size, 1, 6)
    assert inside.filters_of == f"Conv2D {size}×{size}"
    bias = fitted.model.layers[1].get_weights()[1]
    for sample, image in enumerate(scaled_images(found)):
        for number in range(6):
            kernel = inside.filters[:, :, 0, number]
            expected = correlate(np.pad(image[..., 0], size // 2), kernel, "valid") + bias[number]
            np.testing.assert_allclose(inside.responses[sample, ..., number], expected, atol=1e-4)


def test_stages_hold_activations_and_their_maxima_over_pools(look: Callable[[str], Look]) -> None:
    _, inside, _ = look("cnn3")
    assert [stage.name for stage in inside.stages] == [
        "Conv2D 3×3 + relu",
        "MaxPooling2D 2×2",
        "Conv2D 3×3 + relu",
        "MaxPooling2D 2×2",
    ]
    first, pooled = inside.stages[0].maps, inside.stages[1].maps
    np.testing.assert_allclose(first, np.maximum(inside.responses, 0), atol=1e-6)
    np.testing.assert_array_equal(pooled, first.reshape(-1, 4, 2, 4, 2, 6).max(axis=(2, 4)))


def test_looking_changes_nothing(look: Callable[[str], Look]) -> None:
    fitted, inside, bench = look("cnn3")
    features = Dataset.load(bench.plan.paths.data).features[inside.samples]
    np.testing.assert_array_equal(
        fitted.predict(features, np.arange(len(features))), inside.predictions
    )
    assert not any("call" in vars(layer) for layer in fitted.model.layers)


def test_weights_of_a_dense_layer_are_filters_as_large_as_the_image(
    look: Callable[[str], Look],
) -> None:
    fitted, inside, _ = look("mlp")
    assert inside.filters.shape == (8, 8, 1, 20)
    assert not inside.responses.size
    dense = next(x for x in fitted.model.layers if isinstance(x, keras.layers.Dense))
    unit = dense.get_weights()[0][:, 7].reshape(8, 8)
    np.testing.assert_array_equal(inside.filters[:, :, 0, 7], unit)


@pytest.mark.parametrize(
    "name", ["cnn3", "mlp", "sequential", "residual", "nested", "subclassed", "recurrent"]
)
def test_parameters_of_the_layers_add_up_to_those_of_the_model(
    look: Callable[[str], Look], name: str
) -> None:
    fitted, inside, _ = look(name)
    own = [layer for layer in inside.layers if layer.depth == 0]
    trainable = sum(int(np.prod(w.shape)) for w in fitted.model.trainable_weights)
    assert sum(layer.parameters for layer in own) == fitted.model.count_params()
    assert sum(layer.trainable for layer in own) == trainable
    assert own[-1].output_shape == (10,)


def test_connections_that_skip_layers_are_found(look: Callable[[str], Look]) -> None:
    layers = {layer.name: layer for layer in look("residual")[1].layers}
    assert layers["first"].sources == ("",)
    assert layers["sum"].sources == ("first", "second")


def test_models_in_models_are_looked_into(look: Callable[[str], Look]) -> None:
    inside = look("nested")[1]
    layers = {layer.name: layer for layer in inside.layers}
    assert list(layers)[:3] == ["backbone", "backbone/inner", "backbone/pool"]
    assert layers["backbone"].parameters == layers["backbone/inner"].parameters == 40
    assert layers["backbone/inner"].trainable == 0, "frozen"
    assert (layers["norm"].parameters, layers["norm"].trainable) == (16, 8)
    assert layers["backbone/pool"].sources == ("backbone/inner",)
    assert inside.filters_of == "Conv2D 3×3"
    assert [stage.shape for stage in inside.stages] == [(6, 6, 4), (3, 3, 4)]


def test_models_whose_call_is_python_are_listened_to(look: Callable[[str], Look]) -> None:
    inside = look("subclassed")[1]
    layers = {layer.name: layer for layer in inside.layers}
    assert inside.responses.shape == (3, 4, 4, 4)
    assert layers["flat"].output_shape == (64,)
    assert layers["unused"].output_shape is None
    assert not any(layer.sources for layer in inside.layers)


def test_models_without_filters_say_why(look: Callable[[str], Look]) -> None:
    inside = look("recurrent")[1]
    assert not inside.filters.size
    assert inside.filters_of == "The model has no layer of filters that look at the image itself."
    assert not inside.stages


@pytest.mark.parametrize("name", ["cnn9", "mlp", "residual", "nested", "subclassed", "recurrent"])
def test_what_was_found_survives_the_file_and_can_be_drawn(
    look: Callable[[str], Look], name: str, tmp_path: Path
) -> None:
    _, inside, bench = look(name)
    inside.save(tmp_path / "inside.npz")
    loaded = Inside.load(tmp_path / "inside.npz")
    assert loaded.layers == inside.layers
    assert [s.name for s in loaded.stages] == [s.name for s in inside.stages]
    np.testing.assert_array_equal(loaded.filters, inside.filters)
    dataset = Dataset.load(bench.plan.paths.data)
    best = selected(bench.plan.configurations[0].id)
    drawn = modelfigures.draw_model(
        loaded,
        importance(),
        model_card(best, {}, "0" * 64, test=None),
        features=dataset.features,
        targets=dataset.targets,
        manifest=Manifest.read(bench.plan.paths.manifest),
    )
    own = [layer for layer in inside.layers if layer.depth == 0]
    alt = drawn["architecture"].alt
    assert f"{sum(layer.parameters for layer in own):,} parameters" in alt
    assert ("call` is Python code" in drawn["architecture"].caption) == (name == "subclassed")
    assert ("no layer of filters" in drawn["filters"].alt) == (name == "recurrent")
    images = [a for a in drawn["filters"].figure.axes if a.images]
    if name == "cnn9":
        assert len(images) == 3 + 6 * 4, "three samples; six filters with three answers each"


def test_samples_to_look_at_differ_in_class_or_lie_far_apart() -> None:
    assert exemplars(np.array([2, 2, 0, 1, 0, 2])).tolist() == [2, 3, 0]
    assert exemplars(np.array([1, 1])).tolist() == [0]
    assert exemplars(np.array([[3.0], [1.0], [2.0], [9.0], [5.0]])).tolist() == [1, 0, 3]

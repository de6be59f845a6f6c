"""Models that begin with weights from a file: backbones of Keras, and saved models."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from gridfold.errors import TrialFailure, summary_of
from gridfold.training import answers
from gridfold.training.loading import load_model
from gridfold.usercode.functions import own_code
from gridfold.usercode.sources import require_unchanged

Shape = tuple[int, ...]
_BACKBONE = "backbone"


def application(settings: Mapping[str, Any], input_shape: Shape, outputs: int) -> keras.Model:
    """Build a backbone with a new head; see :func:`gridfold.training.models.build`."""
    model = settings["model"]
    if model["weights"] is not None:
        require_unchanged(Path(model["weights"]))
    if len(input_shape) != 3 or input_shape[-1] not in (1, 3):
        raise TrialFailure(
            "error",
            f"{model['backbone']} needs images (height, width, 1 or 3 channels), not samples of "
            f"shape {input_shape}; set data.reshape",
        )
    inputs = keras.Input(input_shape, name="features")
    tensor = inputs
    if input_shape[-1] == 1:
        tensor = keras.layers.Concatenate()([tensor] * 3)
    if model["image_size"]:
        tensor = keras.layers.Resizing(model["image_size"], model["image_size"])(tensor)
    tensor = _module_of(model["backbone"]).preprocess_input(tensor)
    # Statistics of batch normalisation stay those of the weights, as Keras' guide advises.
    tensor = _backbone(model, tuple(tensor.shape[1:]))(tensor, training=False)
    if model["dense_units"]:
        tensor = keras.layers.Dense(model["dense_units"], activation="relu")(tensor)
    if model["dropout"]:
        tensor = keras.layers.Dropout(model["dropout"])(tensor)
    return keras.Model(inputs, head(settings, outputs)(tensor), name="application")


def head(settings: Mapping[str, Any], outputs: int) -> keras.layers.Layer:
    """Return the output layer of a problem, in 32 bit under mixed precision."""
    activation = settings["problem"]["output_activation"]
    return keras.layers.Dense(outputs, activation=activation, dtype="float32", name="prediction")


def _backbone(model: Mapping[str, Any], shape: Shape) -> keras.Model:
    kind = getattr(keras.applications, model["backbone"])
    try:
        built = kind(
            include_top=False,
            weights=model["weights"],
            input_shape=shape,
            pooling=model["pooling"],
            **model["arguments"],
        )
    except (TypeError, ValueError, OSError) as error:
        raise TrialFailure("error", f"{model['backbone']}: {summary_of(error)}") from error
    built.name = _BACKBONE
    return built


def _module_of(backbone: str) -> ModuleType:
    """Return the module of `keras.applications` with the backbone's own preprocessing."""
    modules = [m for m in vars(keras.applications).values() if isinstance(m, ModuleType)]
    for module in modules:
        if hasattr(module, backbone) and hasattr(module, "preprocess_input"):
            return module
    # Both sizes share one module, which has the function alone.
    assert backbone.startswith("MobileNetV3")
    module = keras.applications.mobilenet_v3
    assert isinstance(module, ModuleType)
    return module


def saved(settings: Mapping[str, Any], input_shape: Shape, outputs: int) -> keras.Model:
    """Load a model from a file; see :func:`gridfold.training.models.build`."""
    model = settings["model"]
    path = model["path"]
    require_unchanged(Path(path))
    try:
        loaded = load_model(path, *own_code(model))
    except (TypeError, ValueError, OSError, ImportError) as error:
        hint = "; layers of its own must be defined in the file model.saved.objects"
        raise TrialFailure("error", f"{path}: {summary_of(error)}{hint}") from error
    if model["head"] == "new":
        tensor = loaded.layers[-2].output
        loaded = keras.Model(loaded.inputs, head(settings, outputs)(tensor), name=loaded.name)
    for what, has, needed in (
        ("takes samples", loaded.input_shape, input_shape),
        ("gives outputs", loaded.output_shape, (outputs,)),
    ):
        if not _fits(has, needed):
            raise TrialFailure(
                "error",
                f"{path} {what} of shape {has}, the study has {needed}"
                + ("; `head: new` gives it other outputs" if needed == (outputs,) else ""),
            )
    return loaded if model["head"] == "new" else _answering(loaded, settings, path, outputs)


def _answering(
    loaded: keras.Model, settings: Mapping[str, Any], path: str, outputs: int
) -> keras.Model:
    """Let a model that was saved with a loss of logits end in probabilities, as ours want them."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    loss = (config.get("compile_config") or {}).get("loss")
    if loss is None:
        return loaded
    link = answers.saved_link(loaded, loss, settings["problem"]["type"], outputs)
    if link == "linear":
        return loaded
    layer = keras.layers.Activation(link, dtype="float32", name="probabilities")
    return keras.Model(loaded.inputs, layer(loaded.outputs[0]), name=loaded.name)


def _fits(shape: Any, needed: Shape) -> bool:
    if not isinstance(shape, tuple) or len(shape) != len(needed) + 1:
        return False
    return all(size in (None, n) for size, n in zip(shape[1:], needed, strict=True))


def set_trainable(model: keras.Model, settings: Mapping[str, Any], *, is_frozen: bool) -> None:
    """Freeze the layers that a phase keeps, or let all be trained.

    Raises
    ------
    TrialFailure
        When a pattern fits no layer.
    """
    chosen = settings["model"]
    if chosen["family"] == "application":
        backbone = model.get_layer(_BACKBONE)
        backbone.trainable = not is_frozen
        if not is_frozen and chosen["frozen_epochs"] and chosen["fine_tune_layers"] != "all":
            for layer in backbone.layers[: -chosen["fine_tune_layers"]]:
                layer.trainable = False
    if chosen["family"] == "saved":
        layers = list(_all_layers(model))
        for pattern in chosen["freeze"]:
            fitting = [layer for layer in layers if fnmatchcase(layer.name, pattern)]
            if not fitting:
                names = ", ".join(layer.name for layer in layers)
                raise TrialFailure(
                    "error", f"no layer is called `{pattern}` (model.saved.freeze); layers: {names}"
                )
            for layer in fitting:
                layer.trainable = not is_frozen


def _all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)

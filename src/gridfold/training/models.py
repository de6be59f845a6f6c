"""Keras models from the settings of a configuration."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner

from gridfold.errors import TrialFailure, summary_of
from gridfold.study.sections.model import widths
from gridfold.training import multi_input, pretrained
from gridfold.usercode import functions

Shape = tuple[int, ...]


def build(
    settings: Mapping[str, Any],
    input_shape: Shape,
    outputs: int,
    positions: Mapping[str, list[int]] | None = None,
) -> keras.Model:
    """Build the model of a configuration, with fresh weights or those of a file.

    Parameters
    ----------
    settings : mapping
        The settings of a configuration.
    input_shape : tuple of int
        Shape of one sample.
    outputs : int
        Units of the output layer.
    positions : mapping, optional
        Where the features of each column of a table are in a sample.

    Returns
    -------
    keras.Model
        Not compiled, unless the user's own function compiled it.

    Raises
    ------
    TrialFailure
        When the settings and the data allow no model.
    """
    model = settings["model"]
    if model["family"] == "python":
        built = _user_model(model, input_shape, outputs)
        return multi_input.joined(built, model, input_shape, positions or {})
    if model["family"] == "application":
        return pretrained.application(settings, input_shape, outputs)
    if model["family"] == "saved":
        return pretrained.saved(settings, input_shape, outputs)
    inputs = keras.Input(input_shape, name="features")
    body = _cnn(model, inputs) if model["family"] == "cnn" else _mlp(model, inputs)
    # The output stays in 32 bit under mixed precision, so that the loss is computed exactly.
    output = keras.layers.Dense(
        outputs,
        activation=settings["problem"]["output_activation"],
        kernel_initializer=_output_initializer(model),
        dtype="float32",
        name="prediction",
    )(body)
    return keras.Model(inputs, output, name=model["family"])


def _mlp(model: Mapping[str, Any], inputs: Any) -> Any:
    tensor = keras.layers.Flatten()(inputs)
    for units in widths(model["units"], model["layers"]):
        tensor = _dense(model, units, tensor)
    return tensor


def _cnn(model: Mapping[str, Any], inputs: Any) -> Any:
    if len(inputs.shape) != 4:
        raise TrialFailure(
            "error",
            f"cnn needs images (height, width, channels), not samples of shape "
            f"{tuple(inputs.shape[1:])}; set data.reshape, or use mlp",
        )
    tensor = inputs
    for filters in widths(model["filters"], model["blocks"]):
        for _ in range(model["convolutions"]):
            tensor = keras.layers.Conv2D(
                filters,
                model["filter_size"],
                strides=model["stride"],
                padding=model["padding"],
                use_bias=not model["batch_norm"],
                **_weights(model),
            )(tensor)
            tensor = _activated(model, tensor)
        if model["pooling"] != "none":
            pooling = {
                "max": keras.layers.MaxPooling2D,
                "average": keras.layers.AveragePooling2D,
            }[model["pooling"]]
            tensor = pooling(model["pool_size"], padding="same")(tensor)
    tensor = keras.layers.Flatten()(tensor)
    dense = model["dense_units"]
    for units in dense if isinstance(dense, list) else [dense] * bool(dense):
        tensor = _dense(model, units, tensor)
    return tensor


def _dense(model: Mapping[str, Any], units: int, tensor: Any) -> Any:
    tensor = keras.layers.Dense(units, use_bias=not model["batch_norm"], **_weights(model))(tensor)
    tensor = _activated(model, tensor)
    if model["dropout"]:
        tensor = keras.layers.Dropout(model["dropout"])(tensor)
    return tensor


def _activated(model: Mapping[str, Any], tensor: Any) -> Any:
    if model["batch_norm"]:
        tensor = keras.layers.BatchNormalization()(tensor)
    return keras.layers.Activation(model["activation"])(tensor)


def _weights(model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kernel_initializer": model["initializer"],
        "kernel_regularizer": keras.regularizers.L2(model["l2"]) if model["l2"] else None,
    }


def _output_initializer(model: Mapping[str, Any]) -> str:
    # He's variance suits ReLU; before a saturating output Glorot's keeps the first gradients alive.
    name: str = model["initializer"]
    return "glorot_uniform" if name.startswith("he_") else name


def _user_model(model: Mapping[str, Any], input_shape: Shape, outputs: int) -> keras.Model:
    """Call the user's function with `hp` as Keras Tuner would, the configuration's values set."""
    function = functions.load(model["build"])
    hp = hyperparameters(model)
    arguments: tuple[Any, ...] = (hp,)
    if len(inspect.signature(function).parameters) >= 3:
        arguments = (hp, input_shape, outputs)
    built = function(*arguments)
    if not isinstance(built, keras.Model):
        raise TrialFailure(
            "error", f"{model['build']} returned {type(built).__name__}, not a keras.Model"
        )
    refuse_unasked(model["build"], model, hp)
    _create_variables(built, model, input_shape)
    return built


def _create_variables(built: keras.Model, model: Mapping[str, Any], input_shape: Shape) -> None:
    """Let a model create its variables, which an optimiser must know before the first step."""
    if built.built or model.get("inputs"):
        # Several inputs are joined first, which calls the model.
        return
    if isinstance(built, keras.Sequential):
        built.build((None, *input_shape))
    else:
        # Keras can't build a model that has a `call` and nothing else.
        built(keras.ops.zeros((1, *input_shape)), training=False)
        # Better known now than after the last trial.
        storable(built, keras.Input(input_shape))


def storable(model: keras.Model, inputs: Any) -> Any:
    """Return the outputs of a model as a part of another one that can be saved.

    A class without `get_config` can't; the layers that its `call` puts together can.

    Raises
    ------
    TrialFailure
        When the final model of such a class could not be saved.
    """
    try:
        model.get_config()
    except NotImplementedError:
        try:
            return model.call(inputs)
        except Exception as error:
            raise TrialFailure(
                "error",
                f"{type(model).__name__} can't be saved, for it has no get_config and its call is "
                f"more than Keras layers and operations ({summary_of(error)}); give it a "
                "get_config, and register it",
            ) from error
    return model(inputs)


def hyperparameters(model: Mapping[str, Any]) -> keras_tuner.HyperParameters:
    """Return `hp` with the values of a configuration, for a function of the user."""
    hp = keras_tuner.HyperParameters()
    hp.values = dict(model["hp"])
    return hp


def refuse_unasked(
    reference: str, model: Mapping[str, Any], hp: keras_tuner.HyperParameters
) -> None:
    """Refuse values that the user's function has not asked for.

    Raises
    ------
    TrialFailure
        When there are any: the axis would have no effect.
    """
    asked = {parameter.name for parameter in hp.space}
    unasked = sorted(set(model["hp"]) - asked)
    if unasked:
        raise TrialFailure(
            "error",
            f"{reference} never asks hp for {', '.join(unasked)}; "
            f"it asks for {', '.join(sorted(asked)) or 'nothing'}",
        )

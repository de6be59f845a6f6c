"""Whether epochs are compiled: as the configuration asks, or where that pays, by its shape alone.

One program of XLA for all steps of an epoch saves what TensorFlow takes for each of its operations,
which in small dense layers is most of a step, and costs a second or two of compiling. What it pays
is measured in `benchmarks/compiled_epochs.py`. No clock decides, and not the number of epochs, so
that a training that goes on later, or in another rung of a search, comes to the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from gridfold.study.sections.training import AUTO, EPOCH

# Steps of an epoch from which compiling pays within some dozen epochs.
_LEAST_STEPS = 200
# Samples of a batch times units of a layer above which the multiplication is most of a step.
_MOST_PRODUCT = 2**15

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3D,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


def compiles_epochs(settings: Mapping[str, Any], model: keras.Model, steps: int) -> bool:
    """Tell whether the epochs of a configuration are compiled.

    Parameters
    ----------
    settings : mapping
        Of the configuration.
    model : keras.Model
    steps : int
        Of an epoch.
    """
    options = settings["training"]
    if options["jit_compile"] != AUTO:
        return bool(options["jit_compile"] == EPOCH)
    parallel = options.get("distribution")
    if parallel and parallel["world_size"] > 1:
        return False
    if settings["model"]["family"] != "mlp" or has_gpu():
        return False
    dense = (layer for layer in model.layers if isinstance(layer, keras.layers.Dense))
    widest = max(layer.units for layer in dense)
    return steps >= _LEAST_STEPS and options["batch_size"] * widest <= _MOST_PRODUCT


def convolutions_of(model: keras.Model) -> list[str]:
    """Return the names of a model's convolutions, which XLA computes slowly on CPUs."""
    layers = model._flatten_layers()
    return [layer.name for layer in layers if isinstance(layer, _CONVOLUTIONS)]


def has_gpu() -> bool:
    """Tell whether this process trains on a GPU."""
    return bool(tf.config.list_logical_devices("GPU"))

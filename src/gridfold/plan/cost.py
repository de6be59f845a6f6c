"""What a study costs, estimated before anything runs and without importing TensorFlow.

A rough model (floating-point operations over a typical speed), good to a factor of two or three;
once trials are finished, their own times replace it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from gridfold.data.shapes import sample_shape
from gridfold.space.space import Configuration
from gridfold.study import Study
from gridfold.study.sections.model import widths

# Measured with TensorFlow 2.21 on one core of a 2023 server CPU.
_FLOPS_PER_SECOND = 6e9
_SECONDS_PER_STEP = 4e-4
_SECONDS_PER_EPOCH = 0.02
_SECONDS_PER_TRIAL = 1.5
# Forward pass, gradients of activations, gradients of weights.
_TRAINING_PASSES = 3
SECONDS_PER_BASELINE = 30.0
"""That fitting one baseline on all splits may take, of one core; by sizes, not by the clock."""
MOST_BASELINE_NUMBERS = 100_000_000
"""Features of all samples together that a baseline is fitted on."""


@dataclass(frozen=True)
class LayerCost:
    """What a layer with weights costs.

    Attributes
    ----------
    weights : int
        Trainable numbers, biases left out.
    uses : int
        Times each weight is used for one sample: once, or once for each pixel.
    outputs : int
        Numbers that the layer hands on for one sample.
    """

    weights: int
    uses: int
    outputs: int


def layers(settings: dict[str, Any], shape: tuple[int, ...]) -> list[LayerCost]:
    """Return the layers of a model, roughly: with ten outputs, and one for a user's own model.

    Parameters
    ----------
    settings : dict
        The ``model`` part of a configuration.
    shape : tuple of int
        Shape of one sample.
    """
    found: list[LayerCost] = []
    size = math.prod(shape)
    if settings["family"] == "mlp":
        dense = widths(settings["units"], settings["layers"])
    elif settings["family"] == "cnn" and len(shape) == 3:
        height, width, channels = shape
        for filters in widths(settings["filters"], settings["blocks"]):
            for _ in range(settings["convolutions"]):
                height = max(1, height // settings["stride"])
                width = max(1, width // settings["stride"])
                pixels = height * width
                weights = settings["filter_size"] ** 2 * channels * filters
                found.append(LayerCost(weights, pixels, pixels * filters))
                channels = filters
            if settings["pooling"] != "none":
                height = max(1, height // settings["pool_size"])
                width = max(1, width // settings["pool_size"])
        size = height * width * channels
        units = settings["dense_units"]
        dense = units if isinstance(units, list) else [units] * bool(units)
    else:
        return [LayerCost(size * 128, 1, 128)]
    sizes = [size, *dense, 10]
    return found + [LayerCost(a * b, 1, b) for a, b in pairwise(sizes)]


def flops_per_sample(settings: dict[str, Any], shape: tuple[int, ...]) -> float:
    """Return the floating-point operations of one forward pass of one sample.

    Parameters
    ----------
    settings : dict
        The ``model`` part of a configuration.
    shape : tuple of int
        Shape of one sample.
    """
    return sum(2.0 * layer.weights * layer.uses for layer in layers(settings, shape))


def seconds_per_trial(study: Study, configuration: Configuration) -> float:
    """Return the estimated seconds of one trial on one worker."""
    count, *shape = sample_shape(study)
    samples = count * (1 - study.data.test_fraction)
    folds = study.resampling.folds
    training = samples * (1 - 1 / folds) if folds > 1 else 0.8 * samples
    settings = configuration.settings
    flops = flops_per_sample(settings["model"], tuple(shape)) * _TRAINING_PASSES * training
    steps = math.ceil(training / settings["training"]["batch_size"])
    epoch = flops / _FLOPS_PER_SECOND + steps * _SECONDS_PER_STEP + _SECONDS_PER_EPOCH
    return float(_SECONDS_PER_TRIAL + configuration.epochs * epoch)

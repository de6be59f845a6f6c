"""What a study costs, estimated before anything runs and without importing TensorFlow.

A rough model (floating-point operations over a typical speed), good to a factor of two or three;
once trials are finished, their own times replace it.
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.space import Configuration
from gridfold.study import Study
from gridfold.study.data import EMBEDDED_SHAPES
from gridfold.study.model import widths

# Measured with TensorFlow 2.21 on one core of a 2023 server CPU.
_FLOPS_PER_SECOND = 6e9
_SECONDS_PER_STEP = 4e-4
_SECONDS_PER_EPOCH = 0.02
_SECONDS_PER_TRIAL = 1.5
# Forward pass, gradients of activations, gradients of weights.
_TRAINING_PASSES = 3
_UNKNOWN_SHAPE = (10_000, 100)


def sample_shape(study: Study) -> tuple[int, ...]:
    """Return (samples, *features) as far as it can be known without reading the data.

    Headers and file sizes only; a source that tells nothing counts as 10,000 samples of 100
    features.
    """
    data = study.data
    shape = EMBEDDED_SHAPES.get(data.source)
    if shape is None and data.source == "npz":
        shape = _npz_shape(Path(data.path), data.features)
    if shape is None and data.source in ("csv", "parquet"):
        shape = _table_shape(
            Path(data.path),
            len(data.features or ()) or None,
            len(data.targets) + bool(data.groups),
            getattr(data, "separator", ","),
        )
    if shape is None:
        shape = _UNKNOWN_SHAPE
    if data.reshape:
        shape = (shape[0], *data.reshape)
    return (min(shape[0], data.subset or shape[0]), *shape[1:])


def _npz_shape(file: Path, name: str) -> tuple[int, ...] | None:
    try:
        with zipfile.ZipFile(file) as archive, archive.open(f"{name}.npy") as stream:
            version = np.lib.format.read_magic(stream)
            read = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
            shape: tuple[int, ...] = read(stream)[0]
            return shape
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None


def _table_shape(
    file: Path, columns: int | None, others: int, separator: str
) -> tuple[int, ...] | None:
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            head = stream.read(65536)
    except OSError:
        return None
    lines = head.count(b"\n")
    if head.startswith(b"PAR1") or not lines:
        return (max(1, size // (8 * (columns or 20))), columns or 20)
    header = head.split(b"\n")[0].count(separator.encode()) + 1
    return (max(1, size * lines // len(head) - 1), columns or max(1, header - others))


@dataclass(frozen=True)
class Layer:
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


def layers(settings: dict[str, Any], shape: tuple[int, ...]) -> list[Layer]:
    """Return the layers of a model, roughly: with ten outputs, and one for a user's own model.

    Parameters
    ----------
    settings : dict
        The ``model`` part of a configuration.
    shape : tuple of int
        Shape of one sample.
    """
    found: list[Layer] = []
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
                found.append(Layer(weights, pixels, pixels * filters))
                channels = filters
            if settings["pooling"] != "none":
                height = max(1, height // settings["pool_size"])
                width = max(1, width // settings["pool_size"])
        size = height * width * channels
        units = settings["dense_units"]
        dense = units if isinstance(units, list) else [units] * bool(units)
    else:
        return [Layer(size * 128, 1, 128)]
    sizes = [size, *dense, 10]
    return found + [Layer(a * b, 1, b) for a, b in pairwise(sizes)]


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


def format_seconds(seconds: float) -> str:
    """Return a duration as people say it: ``45 s``, ``12 min``, ``3.5 h``, ``2.1 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"

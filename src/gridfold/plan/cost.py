"""What a study costs, estimated before anything runs and without importing TensorFlow.

A rough model (floating-point operations over a typical speed), good to a factor of two or three.
Times of finished trials correct it (:mod:`gridfold.plan.measured`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from gridfold.data.shapes import sample_shape
from gridfold.space.space import Configuration
from gridfold.study import Study
from gridfold.study.sections.model import widths
from gridfold.study.sections.resampling import share_of

# Measured with TensorFlow 2.21 on one core of a 2023 server CPU.
_FLOPS_PER_SECOND = 6e9
_SECONDS_PER_STEP = 4e-4
_SECONDS_PER_EPOCH = 0.02
_SECONDS_PER_TRIAL = 1.5
# Forward pass, gradients of activations, gradients of weights.
_TRAINING_PASSES = 3
# How `resampling` names the splits of a confirmation.
_CONFIRMING = "c"
# Of a hold-out whose share nobody has said.
_HOLDOUT = 0.8
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


def layers(settings: Mapping[str, Any], shape: tuple[int, ...]) -> list[LayerCost]:
    """Return the layers of a model, roughly: with ten outputs, and one for a user's own model.

    Parameters
    ----------
    settings : mapping
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


def flops_per_sample(settings: Mapping[str, Any], shape: tuple[int, ...]) -> float:
    """Return the floating-point operations of one forward pass of one sample.

    Parameters
    ----------
    settings : mapping
        The ``model`` part of a configuration.
    shape : tuple of int
        Shape of one sample.
    """
    return sum(2.0 * layer.weights * layer.uses for layer in layers(settings, shape))


@dataclass(frozen=True)
class CostModel:
    """What trainings of a study cost by the rough model.

    Attributes
    ----------
    training : float
        Samples of the training part of a split of the search.
    confirming : float
        The same of a split of `search.confirm`.
    shape : tuple of int
        Of one sample.
    """

    training: float
    confirming: float
    shape: tuple[int, ...]

    @classmethod
    def of(cls, study: Study) -> CostModel:
        """Return the model of a study; of its data, no more than headers are read."""
        count, *shape = sample_shape(study)
        samples = count * (1 - study.data.test_fraction)
        confirm, folds = study.search.confirm, study.resampling.folds
        confirmed = folds if confirm is None or confirm.folds is None else confirm.folds
        return cls(samples * _part(folds), samples * _part(confirmed), tuple(shape))

    def seconds(self, settings: Mapping[str, Any], epochs: int, split: str = "") -> float:
        """Return the seconds of training so many epochs, on one worker.

        Parameters
        ----------
        settings : mapping
            Of the configuration.
        epochs : int
        split : str, optional
            Its name says whether it is one of `search.confirm`, and which share of its training
            part is used; left out, a whole one of the search.
        """
        training = self.confirming if split.startswith(_CONFIRMING) else self.training
        training *= share_of(split)
        flops = flops_per_sample(settings["model"], self.shape) * _TRAINING_PASSES * training
        steps = math.ceil(training / settings["training"]["batch_size"])
        epoch = flops / _FLOPS_PER_SECOND + steps * _SECONDS_PER_STEP + _SECONDS_PER_EPOCH
        return float(_SECONDS_PER_TRIAL + epochs * epoch)

    def mean_seconds(
        self, configurations: Sequence[Configuration], epochs: int | None = None, split: str = ""
    ) -> float:
        """Return the mean seconds of one trial of some configurations, on one worker.

        Parameters
        ----------
        configurations : sequence of Configuration
            At least one.
        epochs : int, optional
            Of each; when left out, each has its own.
        split : str, optional
            As for :meth:`seconds`.
        """
        return fmean(
            self.seconds(c.settings, c.epochs if epochs is None else epochs, split)
            for c in configurations
        )


def _part(folds: int) -> float:
    """Return the share of the samples that a split trains on."""
    return 1 - 1 / folds if folds > 1 else _HOLDOUT

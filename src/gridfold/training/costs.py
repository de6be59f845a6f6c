"""Measures what a trained model costs: its weights, and the time of a prediction."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from statistics import median

import keras

from gridfold.arrays import Array

MOST_SAMPLES = 256
"""Samples that are predicted at once to take the time."""
# Predictions that are timed: so many at least, and for so long.
_FEWEST_PREDICTIONS, _SECONDS = 10, 0.1


def measured(names: Iterable[str], model: keras.Model, samples: Array) -> dict[str, float]:
    """Return what a trained model costs.

    Parameters
    ----------
    names : iterable of str
        Of :data:`gridfold.objectives.COSTS`.
    model : keras.Model
    samples : array of float32
        As the model takes them.
    """
    found: dict[str, float] = {}
    for name in names:
        if name == "parameters":
            found[name] = sum(math.prod(weights.shape) for weights in model.weights)
        elif name == "seconds_per_sample":
            found[name] = seconds_per_sample(model, samples)
    return found


def seconds_per_sample(model: keras.Model, samples: Array) -> float:
    """Return the median time of a prediction of `samples`, by sample.

    By :meth:`keras.Model.predict_on_batch`, which compiles what it can; the first call, which does
    so, is not counted. It is the time of the model alone on the threads or the GPU that the trial
    has, while other trials run beside it.
    """
    model.predict_on_batch(samples)
    times: list[float] = []
    while len(times) < _FEWEST_PREDICTIONS or sum(times) < _SECONDS:
        started = time.perf_counter()
        model.predict_on_batch(samples)
        times.append(time.perf_counter() - started)
    return median(times) / len(samples)

"""Measures that are means over samples, before the mean: what is drawn again needs no new score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gridfold.data import Array
from gridfold.predictions import classes_of
from gridfold.statistics import Scores


def _log_losses(targets: Array, prediction: Array) -> Scores:
    chances = prediction.astype(np.float64)
    if chances.shape[1] == 1:
        chances = np.hstack([1 - chances, chances])
    chances = np.clip(chances, 1e-15, None)
    chances /= chances.sum(axis=1, keepdims=True)
    return np.asarray(-np.log(chances[np.arange(len(targets)), targets]))


def _errors(targets: Array, prediction: Array) -> Scores:
    return np.asarray(prediction.astype(np.float64) - targets.reshape(prediction.shape))


# Each of shape (samples,), from targets and predictions as in `measures.score`; its mean is the
# measure.
SAMPLE_LOSSES: dict[str, Callable[[Array, Array], Scores]] = {
    "accuracy": lambda y, p: (classes_of(p) == y).astype(np.float64),
    "mse": lambda y, p: np.square(_errors(y, p)).mean(axis=1),
    "mae": lambda y, p: np.abs(_errors(y, p)).mean(axis=1),
    "log_loss": _log_losses,
}

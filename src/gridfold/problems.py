"""The kinds of problems and the measures that go with each; plain data, light to import."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class ProblemKind:
    """What follows from the type of a problem.

    Attributes
    ----------
    activation, loss : str
        Defaults of the output layer and the training loss (Keras names).
    losses : tuple of str
        The losses that make sense with it.
    measures : tuple of str
        All measures that every trial of this kind is scored with, the default one first.
    metric : str
        The cheap Keras metric followed during training.
    """

    activation: str
    loss: str
    activations: tuple[str, ...]
    losses: tuple[str, ...]
    measures: tuple[str, ...]
    metric: str


_REAL_LOSSES = ("mse", "mae", "huber", "log_cosh")
_REAL_MEASURES = ("mse", "rmse", "mae", "r2")

PROBLEM_KINDS: dict[str, ProblemKind] = {
    "regression": ProblemKind(
        "linear",
        "mse",
        ("linear", "relu", "softplus", "sigmoid", "tanh"),
        _REAL_LOSSES,
        _REAL_MEASURES,
        "mae",
    ),
    "multi_output": ProblemKind(
        "sigmoid",
        "mse",
        ("sigmoid", "linear", "relu"),
        (*_REAL_LOSSES, "binary_crossentropy"),
        _REAL_MEASURES,
        "mae",
    ),
    "binary": ProblemKind(
        "sigmoid",
        "binary_crossentropy",
        ("sigmoid",),
        ("binary_crossentropy", "binary_focal_crossentropy", "mse"),
        ("accuracy", "balanced_accuracy", "roc_auc", "f1", "log_loss"),
        "accuracy",
    ),
    "multiclass": ProblemKind(
        "softmax",
        "sparse_categorical_crossentropy",
        ("softmax",),
        ("sparse_categorical_crossentropy",),
        ("accuracy", "balanced_accuracy", "roc_auc", "f1", "log_loss"),
        "accuracy",
    ),
}

# Measures of which less is better; all others are better when larger.
LOWER_IS_BETTER = frozenset({"mse", "rmse", "mae", "log_loss"})

# Measures that count samples: one sample more or less is a step of about one over their number.
COUNTED_MEASURES = frozenset({"accuracy", "balanced_accuracy", "f1"})

# Measures that are not defined on samples of a single class.
NEED_TWO_CLASSES = frozenset({"roc_auc"})

# Smallest and largest possible value of each measure; no interval reaches beyond them.
MEASURE_RANGES: dict[str, tuple[float, float]] = {
    "mse": (0.0, math.inf),
    "rmse": (0.0, math.inf),
    "mae": (0.0, math.inf),
    "r2": (-math.inf, 1.0),
    "accuracy": (0.0, 1.0),
    "balanced_accuracy": (0.0, 1.0),
    "roc_auc": (0.0, 1.0),
    "f1": (0.0, 1.0),
    "log_loss": (0.0, math.inf),
}

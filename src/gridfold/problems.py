"""The kinds of problems and the measures that go with each; plain data, light to import."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal


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


@dataclass(frozen=True)
class Measure:
    """A measure of how good predictions are, and which end of it is the good one.

    Attributes
    ----------
    name : str
        In studies and in tables.
    low, high : float
        Smallest and largest possible value; no interval reaches beyond them.
    lower_is_better : bool
    counts : {"samples", "pairs", ""}
        What it counts, so that its values are steps apart: one sample more or less is a step of
        about one over their number; pairs are of a positive and a negative sample.
    needs_two_classes : bool
        Whether it is not defined on samples of a single class.
    """

    name: str
    low: float
    high: float
    lower_is_better: bool = False
    counts: Literal["samples", "pairs", ""] = ""
    needs_two_classes: bool = False

    @classmethod
    def of(cls, name: str) -> Measure:
        """Return the measure of this name.

        Raises
        ------
        KeyError
            When there is none.
        """
        return MEASURES[name]

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest possible value."""
        return self.low, self.high

    @property
    def sign(self) -> int:
        """1 where larger scores are better, else -1: scores times it are better when larger."""
        return -1 if self.lower_is_better else 1

    @property
    def direction(self) -> Literal["min", "max"]:
        """Which end is the good one."""
        return "min" if self.lower_is_better else "max"

    def is_better(self, score: float, other: float) -> bool:
        """Return whether a score is better than another one; never where one is NaN."""
        return score < other if self.lower_is_better else score > other

    def best_of(self, scores: Any) -> Any:
        """Return the best of scores: of a Series or an array, or of each group of a grouping."""
        return scores.min() if self.lower_is_better else scores.max()

    def place_of_best(self, scores: Any) -> Any:
        """Return the label of the best score in a Series, the first of equals."""
        return scores.idxmin() if self.lower_is_better else scores.idxmax()


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("mse", 0.0, math.inf, lower_is_better=True),
        Measure("rmse", 0.0, math.inf, lower_is_better=True),
        Measure("mae", 0.0, math.inf, lower_is_better=True),
        Measure("r2", -math.inf, 1.0),
        Measure("accuracy", 0.0, 1.0, counts="samples"),
        Measure("balanced_accuracy", 0.0, 1.0, counts="samples"),
        Measure("roc_auc", 0.0, 1.0, counts="pairs", needs_two_classes=True),
        Measure("f1", 0.0, 1.0, counts="samples"),
        Measure("log_loss", 0.0, math.inf, lower_is_better=True),
    )
}
"""All measures by their names, in the order of the documentation."""

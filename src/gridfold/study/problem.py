"""The `problem` section: what is predicted, with what loss, judged by which measure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from gridfold.study.base import Section, without_effect

ProblemType = Literal["regression", "multi_output", "binary", "multiclass"]


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

_MEASURES = Literal[
    "mse", "rmse", "mae", "r2", "accuracy", "balanced_accuracy", "roc_auc", "f1", "log_loss"
]


class ProblemSection(Section):
    """What is predicted; output activation, loss and measures follow from the type."""

    type: ProblemType = Field(description="Kind of problem.")
    output_activation: str | None = Field(
        None, description="Activation of the output layer; follows the type when left out."
    )
    loss: str | None = Field(None, description="Keras loss; follows the type when left out.")
    measure: _MEASURES | None = without_effect(
        None, description="Measure that ranks configurations; follows the type when left out."
    )

    @model_validator(mode="after")
    def _fits_the_type(self) -> Self:
        kind = self.kind
        for name, value, allowed in (
            ("output_activation", self.output_activation, kind.activations),
            ("loss", self.loss, kind.losses),
            ("measure", self.measure, kind.measures),
        ):
            if value is not None and value not in allowed:
                raise ValueError(
                    f"`{name}: {value}` does not fit `type: {self.type}`; "
                    f"allowed: {', '.join(allowed)}"
                )
        return self

    @property
    def kind(self) -> ProblemKind:
        """What follows from the type."""
        return PROBLEM_KINDS[self.type]

    @property
    def is_classification(self) -> bool:
        """Whether targets are classes."""
        return self.type in ("binary", "multiclass")

    @property
    def ranking_measure(self) -> str:
        """The measure that ranks configurations."""
        return self.measure or self.kind.measures[0]

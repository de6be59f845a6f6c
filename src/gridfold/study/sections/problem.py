"""The `problem` section: what is predicted, with what loss, judged by which measure."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from gridfold.problems import PROBLEM_KINDS, ProblemKind
from gridfold.study.sections.base import Section, without_effect

ProblemType = Literal["regression", "multi_output", "binary", "multiclass"]


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
        if self.loss == "binary_crossentropy" and self.output_activation in ("linear", "relu"):
            raise ValueError(
                f"`loss: binary_crossentropy` with `output_activation: {self.output_activation}`, "
                "whose outputs are no probabilities; allowed: sigmoid, or another loss"
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

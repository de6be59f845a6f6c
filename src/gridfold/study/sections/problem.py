"""The `problem` section: what is predicted, with what loss, judged by which measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gridfold.problems import PROBLEM_KINDS, USUAL_THRESHOLD, ProblemKind
from gridfold.study.sections.base import (
    MeasureName,
    OwnMeasureName,
    PythonReference,
    Section,
    without_effect,
)
from gridfold.usercode.functions import split_reference

ProblemType = Literal["regression", "multi_output", "binary", "multiclass"]
_Threshold = Annotated[float, Field(gt=0, lt=1)]


class ProblemSection(Section):
    """What is predicted; output activation, loss and measures follow from the type."""

    type: ProblemType = Field(description="Kind of problem.")
    output_activation: str | None = Field(
        None, description="Activation of the output layer; follows the type when left out."
    )
    loss: str | None = Field(None, description="Keras loss; follows the type when left out.")
    positive: str | int | float | bool | None = without_effect(
        None,
        description="`binary`: label of the positive class, whose probability the model gives; "
        "the second in their order when left out. Data are prepared anew, and so trained anew, "
        "when it is the other one.",
    )
    threshold: _Threshold | None = without_effect(
        None,
        description="`binary`: from which probability of the positive class on a sample is "
        f"predicted as positive; {USUAL_THRESHOLD} when left out. Another one trains only what is "
        "stopped or searched by a measure of predicted classes.",
    )
    measure: MeasureName | OwnMeasureName | None = without_effect(
        None,
        description="Measure that ranks configurations; follows the type when left out. One of "
        "your own has the name of its function.",
    )
    measures: list[MeasureName | PythonReference] = without_effect(
        default_factory=list,
        description="Measures that tables and the report show beside those of the type, and "
        "measures of your own, as `file.py:function`, called with targets and predictions. Naming "
        "one trains nothing.",
    )

    @model_validator(mode="after")
    def _fits_the_type(self) -> Self:
        kind = self.kind
        for name, value, allowed in (
            ("output_activation", self.output_activation, kind.activations),
            ("loss", self.loss, kind.losses),
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
    def other_threshold(self) -> float | None:
        """The threshold, where it is another one than the usual."""
        return None if self.threshold == USUAL_THRESHOLD else self.threshold

    @property
    def ranking_measure(self) -> str:
        """The measure that ranks configurations."""
        return self.measure or self.kind.measures[0]

    @property
    def own_measures(self) -> dict[str, str]:
        """The measures of the user's own: the reference of each by its name."""
        return {split_reference(m)[1]: m for m in self.measures if ":" in m}

    @property
    def own_code(self) -> list[Path]:
        """The files of these measures, without the modules beside them."""
        return [split_reference(reference)[0] for reference in self.own_measures.values()]

    @property
    def further_measures(self) -> tuple[str, ...]:
        """The measures that tables show because the study names them."""
        named = [split_reference(measure)[1] for measure in self.measures]
        names = dict.fromkeys((*named, self.ranking_measure))
        return tuple(name for name in names if name not in self.kind.measures)

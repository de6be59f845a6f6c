"""The `training` section: how a trial is optimised. Every value may be an axis of the space."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gridfold.study.base import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
    without_effect,
)


class ConstantSchedule(Section):
    """The learning rate stays as it is."""

    kind: Literal["constant"] = "constant"


class CosineSchedule(Section):
    """Cosine decay over all epochs (Loshchilov & Hutter, 2017), without restarts."""

    kind: Literal["cosine"]
    final_fraction: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="Learning rate at the end, as a fraction of the initial one."
    )


class ExponentialSchedule(Section):
    """Multiplied by `rate` once an epoch, smoothly."""

    kind: Literal["exponential"]
    rate: Annotated[float, Field(gt=0, le=1)] = Field(description="Factor for each epoch.")


class StepSchedule(Section):
    """Multiplied by `factor` after each of the epochs in `at`."""

    kind: Literal["step"]
    at: list[PositiveInt] = Field(min_length=1, description="Epochs, ascending.")
    factor: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="Factor at each.")

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.at != sorted(set(self.at)):
            raise ValueError(f"`at: {self.at}`; allowed: ascending epochs, each once")
        return self


Schedule = Annotated[
    ConstantSchedule | CosineSchedule | ExponentialSchedule | StepSchedule,
    Field(discriminator="kind"),
]


class EarlyStopping(Section):
    """Stop when the validation score no longer improves."""

    monitor: Literal["val_loss", "val_metric"] = Field(
        "val_loss",
        description="`val_loss`, or `val_metric`: accuracy for classes, MAE for numbers.",
    )
    patience: PositiveInt = Field(10, description="Epochs without improvement before stopping.")
    min_delta: NonNegativeFloat = Field(0.0, description="Smaller changes do not count.")
    restore_best: bool = Field(True, description="Score the weights of the best epoch.")


class Training(Section):
    """How a trial is optimised."""

    epochs: PositiveInt = without_effect(
        20,
        description="Passes over the training part. Raising it continues finished trials "
        "from their checkpoint.",
    )
    batch_size: PositiveInt = Field(32, description="Samples of one optimiser step.")
    optimizer: Literal["adam", "adamw", "nadam", "rmsprop", "sgd"] = Field(
        "adam", description="Keras optimiser."
    )
    learning_rate: PositiveFloat = Field(1e-3, description="Initial learning rate.")
    momentum: Fraction = Field(0.0, description="Momentum, for `sgd` and `rmsprop`.")
    weight_decay: NonNegativeFloat = Field(0.0, description="Decoupled weight decay.")
    clipnorm: PositiveFloat | None = Field(None, description="Clip the global gradient norm.")
    schedule: Schedule = Field(
        default_factory=ConstantSchedule, description="Learning rate over time."
    )
    warmup_epochs: NonNegativeInt = Field(
        0, description="Epochs of linear warm-up from 0 before the schedule begins."
    )
    early_stopping: EarlyStopping | None = Field(
        None,
        description="Stop when the validation score no longer improves; left out, all epochs are "
        "trained.",
    )
    class_weights: Literal["none", "balanced"] | dict[str, NonNegativeFloat] = Field(
        "none", description="`balanced`, or a weight for each class label."
    )
    mixed_precision: bool = Field(
        False, description="Compute in 16 bit where safe: bfloat16 on CPU, float16 on GPU."
    )
    jit_compile: bool = Field(False, description="Compile with XLA; pays off on large models.")
    deterministic: bool = Field(
        True, description="Same numbers in every run, at some cost in speed on GPUs."
    )
    seed: NonNegativeInt = Field(0, description="Root of the seed of every trial.")
    steps_per_execution: Literal["auto"] | PositiveInt = without_effect(
        "auto", description="Optimiser steps between returns to Python; `auto` is one epoch."
    )
    checkpoint_every: PositiveInt = without_effect(
        1, description="Epochs between checkpoints; more than 1 can lose that many epochs."
    )

    @model_validator(mode="after")
    def _options_agree(self) -> Self:
        if self.momentum and self.optimizer not in ("sgd", "rmsprop"):
            raise ValueError(
                f"`momentum: {self.momentum}` has no effect with `optimizer: {self.optimizer}`; "
                "allowed: leave it out, or optimizer sgd or rmsprop"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"`warmup_epochs: {self.warmup_epochs}` leaves no epoch of `epochs: "
                f"{self.epochs}`; allowed: fewer warm-up epochs than epochs"
            )
        return self

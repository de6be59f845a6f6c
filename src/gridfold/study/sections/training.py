"""The `training` section: how a trial is optimised. Every value may be an axis of the space."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from gridfold.study.sections.base import (
    MOST_EPOCHS,
    BatchSize,
    EpochCount,
    Fraction,
    MeasureName,
    NonNegativeFloat,
    NonNegativeInt,
    OwnMeasureName,
    PositiveFloat,
    PositiveInt,
    ProcessCount,
    Section,
    late_addition,
    without_effect,
)

# Values of `jit_compile`: an epoch is one program; where that pays.
EPOCH, AUTO = "epoch", "auto"
# What decides whether a trial is compiled with XLA.
XLA_AXES = frozenset({"training.jit_compile", "training.deterministic"})


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


OpenFraction = Annotated[float, Field(gt=0, lt=1)]
_Followed = Annotated[str, Field(json_schema_extra={"enum": ["val_loss", "val_metric"]})]


class EarlyStopping(Section):
    """Stop when the validation score no longer improves."""

    monitor: _Followed | MeasureName | OwnMeasureName = Field(
        "val_loss",
        description="`val_loss`; `val_metric`: accuracy for classes, MAE for numbers; or a measure "
        "of the problem, of your own too, for which the validation part is predicted after each "
        "epoch.",
    )
    patience: PositiveInt = Field(10, description="Epochs without improvement before stopping.")
    min_delta: NonNegativeFloat = Field(0.0, description="Smaller changes do not count.")
    restore_best: bool = Field(True, description="Score the weights of the best epoch.")
    on: Literal["validation", "inner"] = late_addition(
        "validation",
        description="`inner`: look at a part of the training part, which is not trained on, so "
        "that the score is of samples that took no part in the training; `validation`: look at "
        "the very samples that are scored, which makes scores too good.",
    )
    inner_fraction: OpenFraction = late_addition(
        0.2,
        description="Share of the training part for `on: inner`, drawn as the splits are: by "
        "class, by group, or the last stretch of time. No axis.",
    )


class Distribution(Section):
    """Data-parallel training: copies of the model (replicas) share the samples of each batch."""

    backend: Literal["single", "mirrored", "horovod"] = Field(
        "single",
        description="`horovod`: one process for each replica, on one or many machines; "
        "`mirrored`: several GPUs of one machine in one process; `single`: one device.",
    )
    world_size: ProcessCount = Field(
        1, description="Replicas. With 1, every backend is the same training on one device."
    )
    batch: Literal["global", "per_replica"] = Field(
        "global",
        description="What `training.batch_size` counts: the samples of a step over all replicas, "
        "or those of each replica, so that a step takes `world_size` times as many.",
    )
    learning_rate_scaling: Literal["none", "linear", "sqrt"] = Field(
        "none",
        description="With `batch: per_replica`, multiply the learning rate by `world_size` or its "
        "root (Goyal et al., 2017); use it with `warmup_epochs`.",
    )
    reduction: Literal["average", "sum", "adasum"] = Field(
        "average",
        description="How Horovod combines gradients; `adasum` (Maleki et al., 2020) needs MPI.",
    )
    compression: Literal["none", "fp16"] = Field(
        "none", description="`fp16`: Horovod sends gradients in 16 bit."
    )

    @field_validator("backend", mode="before")
    @classmethod
    def _is_supported(cls, value: Any) -> Any:
        if value == "multiworker":
            raise ValueError(
                '"multiworker": Keras 3 does not support TensorFlow\'s MultiWorkerMirroredStrategy '
                "(keras issue 20585); allowed: `backend: horovod`, which spans machines too"
            )
        return value

    @model_validator(mode="after")
    def _options_agree(self) -> Self:
        n = self.world_size
        if n == 1:
            return self
        if self.backend == "single":
            raise ValueError(
                f"`world_size: {n}` with `backend: single`; allowed: backend horovod or mirrored, "
                "or world_size 1"
            )
        if self.backend == "mirrored" and (self.reduction, self.compression) != ("average", "none"):
            raise ValueError(
                f"`reduction: {self.reduction}` and `compression: {self.compression}` with "
                "`backend: mirrored`; allowed: average and none, or backend horovod"
            )
        if self.batch == "global" and self.learning_rate_scaling != "none":
            raise ValueError(
                f"`learning_rate_scaling: {self.learning_rate_scaling}` with `batch: global`, "
                "where a step has the same samples whatever the world size; allowed: none, or "
                "batch per_replica"
            )
        if self.reduction == "adasum" and n & (n - 1):
            raise ValueError(
                f"`reduction: adasum` with `world_size: {n}`; allowed: a power of 2, or another "
                "reduction"
            )
        return self


class Augmentation(Section):
    """Training images are changed at random, another way in each epoch."""

    flip: Literal["none", "horizontal", "vertical", "both"] = Field(
        "none", description="Mirror half of the images; `both` mirrors in each direction."
    )
    rotation: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0, description="Turn by up to this fraction of a full turn, either way."
    )
    translation: Fraction = Field(
        0.0, description="Shift by up to this fraction of height and of width."
    )
    zoom: Fraction = Field(0.0, description="Enlarge or shrink by up to this fraction.")
    contrast: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="Multiply the difference of each pixel from its channel's mean by up to this "
        "fraction more or less.",
    )
    fill: Literal["reflect", "wrap", "constant", "nearest"] = Field(
        "nearest",
        description="What appears at the edges; `constant` is 0 on the scale of training.",
    )


class Training(Section):
    """How a trial is optimised."""

    epochs: EpochCount = without_effect(
        20,
        description="Passes over the training part. Raising it continues finished trials "
        "from their checkpoint.",
    )
    batch_size: BatchSize = Field(32, description="Samples of one optimiser step.")
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
    warmup_epochs: Annotated[int, Field(ge=0, le=MOST_EPOCHS)] = Field(
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
    mixed_precision: bool | Literal["float16", "bfloat16"] = Field(
        False,
        description="Compute in 16 bit where safe; `true` is bfloat16 on CPU and float16 (with "
        "loss scaling) on GPU.",
    )
    jit_compile: bool | Literal["epoch", "auto"] = Field(
        False,
        description="Compile with XLA: each step (`true`; needs `deterministic: false`), which "
        "pays off on large models, or whole epochs (`epoch`), which pays off with small dense "
        "layers and many steps on CPUs; `auto` does so where it pays.",
    )
    deterministic: bool = Field(
        True, description="Same numbers in every run, at some cost in speed on GPUs."
    )
    seed: NonNegativeInt = Field(0, description="Root of the seed of every trial.")
    gradient_accumulation_steps: PositiveInt = late_addition(
        1,
        description="Steps whose gradients are averaged before the weights change, as if the batch "
        "were so many times larger.",
    )
    distribution: Distribution = late_addition(
        default_factory=Distribution, description=Distribution.__doc__
    )
    augmentation: Augmentation = late_addition(
        default_factory=Augmentation, description=Augmentation.__doc__
    )
    shuffle_block: Annotated[int, Field(ge=2)] | None = late_addition(
        None,
        description="For samples that are read from a slow disk: an epoch takes blocks of so many "
        "neighbouring samples in random order, ten blocks at a time, and the samples of these ten "
        "in random order. Left out, any sample may come next.",
    )
    steps_per_execution: Literal["auto"] | PositiveInt = without_effect(
        "auto", description="Optimiser steps between returns to Python; `auto` is one epoch."
    )
    checkpoint_every: Literal["auto"] | PositiveInt = without_effect(
        "auto",
        description="Epochs between checkpoints; `auto`: at least a second, and so long that "
        "writing them takes at most a twentieth of the time. What was trained since the last "
        "one is lost where a job is killed.",
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
        parallel = self.distribution
        if parallel.world_size > 1 and self.jit_compile not in (False, AUTO):
            raise ValueError(
                f"`jit_compile: {self._jit}` with a world size of {parallel.world_size}: the "
                "operations "
                "that combine gradients can't be compiled; allowed: jit_compile false, or "
                "world_size 1"
            )
        if self.jit_compile in (EPOCH, AUTO) and self.steps_per_execution != "auto":
            raise ValueError(
                f"`steps_per_execution: {self.steps_per_execution}` with `jit_compile: "
                f"{self._jit}`, where all steps of an epoch are one program; allowed: auto"
            )
        if (
            parallel.world_size > 1
            and parallel.backend == "mirrored"
            and self.gradient_accumulation_steps > 1
        ):
            raise ValueError(
                f"`gradient_accumulation_steps: {self.gradient_accumulation_steps}` with `backend: "
                "mirrored`: Keras can't accumulate gradients under MirroredStrategy; allowed: 1, "
                "or backend horovod"
            )
        if parallel.batch == "global" and self.batch_size < parallel.world_size:
            raise ValueError(
                f"`batch_size: {self.batch_size}` for {parallel.world_size} replicas; allowed: at "
                "least one sample for each, or `distribution.batch: per_replica`"
            )
        return self

    @property
    def _jit(self) -> str:
        return str(self.jit_compile).lower()

    @property
    def unmet_request(self) -> tuple[str, str] | None:
        """What can't be had together, and what is allowed; None where everything can be.

        Not a rule of the section: with axes, only whole combinations tell.
        """
        if self.jit_compile is True and self.deterministic:
            return (
                "`jit_compile: true` with `deterministic: true`, which makes Keras train without "
                "XLA",
                "allowed: deterministic false, or jit_compile false, epoch or auto",
            )
        return None

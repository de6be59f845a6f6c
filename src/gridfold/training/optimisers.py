"""Optimiser, learning-rate schedule and early stopping of a configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras

from gridfold.problems import Measure

FOLLOWED_ANYWAY = ("val_loss", "val_metric")
"""What early stopping can look at that no prediction of its own is made for."""


@keras.saving.register_keras_serializable(package="gridfold")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Linear rise from 0 over `steps` optimiser steps, then `schedule` from its beginning.

    Goyal et al. (2017), section 2.2.

    Parameters
    ----------
    schedule : LearningRateSchedule
    steps : int
    """

    def __init__(
        self, schedule: keras.optimizers.schedules.LearningRateSchedule, steps: int
    ) -> None:
        self.schedule = schedule
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of optimiser step `step` (from 0)."""
        step = keras.ops.cast(step, "float32")
        warm = self.schedule(keras.ops.zeros_like(step)) * (step + 1) / self.steps
        return keras.ops.where(
            step < self.steps, warm, self.schedule(keras.ops.maximum(step - self.steps, 0.0))
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, as Keras' serialisation wants them."""
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "steps": self.steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmUp:
        """Return the schedule of :meth:`get_config`."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["steps"])


def learning_rate(training: Mapping[str, Any], steps_per_epoch: int) -> Any:
    """Return the learning rate of a configuration: a number, or a schedule over steps."""
    # Canonical settings spell 1.0 as 1, which Keras does not take for a learning rate.
    initial, schedule = float(training["learning_rate"]), training["schedule"]
    initial *= _scaling(training.get("distribution"))
    warmup_steps = training["warmup_epochs"] * steps_per_epoch
    schedules = keras.optimizers.schedules
    if schedule["kind"] == "cosine":
        decayed = schedules.CosineDecay(
            initial,
            max(1, schedule["epochs"] * steps_per_epoch - warmup_steps),
            alpha=schedule["final_fraction"],
        )
    elif schedule["kind"] == "exponential":
        decayed = schedules.ExponentialDecay(initial, steps_per_epoch, schedule["rate"])
    elif schedule["kind"] == "step":
        factors = [schedule["factor"] ** i for i in range(len(schedule["at"]) + 1)]
        decayed = schedules.PiecewiseConstantDecay(
            # Keras keeps the old value at the boundary itself; the step after epoch `at` is one on.
            [epoch * steps_per_epoch - 1 for epoch in schedule["at"]],
            [initial * factor for factor in factors],
        )
    elif warmup_steps:
        decayed = schedules.PiecewiseConstantDecay([1], [initial, initial])
    else:
        return initial
    return WarmUp(decayed, warmup_steps) if warmup_steps else decayed


def _scaling(distribution: Mapping[str, Any] | None) -> float:
    """Return the factor of the learning rate for the larger batch of several replicas.

    Linear: Goyal et al. (2017), section 2.1. Root: Krizhevsky (2014), section 5.
    """
    if distribution is None:
        return 1.0
    world_size = distribution["world_size"]
    return {"none": 1.0, "linear": float(world_size), "sqrt": math.sqrt(world_size)}[
        distribution["learning_rate_scaling"]
    ]


def optimizer(training: Mapping[str, Any], steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Return the optimiser of a configuration."""
    kind = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "nadam": keras.optimizers.Nadam,
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": keras.optimizers.SGD,
    }[training["optimizer"]]
    options: dict[str, Any] = {"learning_rate": learning_rate(training, steps_per_epoch)}
    if training["momentum"]:
        options["momentum"] = training["momentum"]
    # AdamW has a decay of its own by default; here a study that says nothing gets none.
    if training["weight_decay"] or training["optimizer"] == "adamw":
        options["weight_decay"] = training["weight_decay"]
    if training["clipnorm"]:
        options["global_clipnorm"] = training["clipnorm"]
    if training.get("gradient_accumulation_steps"):
        options["gradient_accumulation_steps"] = training["gradient_accumulation_steps"]
    return kind(**options)


class ResumableEarlyStopping(keras.callbacks.EarlyStopping):
    """Keras' early stopping with a state that survives the process.

    Keras forgets everything when training begins; :meth:`restore` brings it back.
    """

    def __init__(self, options: Mapping[str, Any], metric: str) -> None:
        wanted = options["monitor"]
        measure = {"val_loss": "loss", "val_metric": metric}.get(wanted, wanted)
        super().__init__(
            monitor=f"val_{measure}",
            patience=options["patience"],
            min_delta=options["min_delta"],
            mode="min" if measure == "loss" else Measure.of(measure).direction,
            restore_best_weights=options["restore_best"],
        )
        self._restored: dict[str, Any] | None = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Start from the restored state, if there is one."""
        super().on_train_begin(logs)
        for name, value in (self._restored or {}).items():
            setattr(self, name, value)

    def state(self) -> dict[str, Any]:
        """Return what must be remembered besides the best weights; JSON-like."""
        return {
            "wait": int(self.wait),
            "best": None if self.best is None else float(self.best),
            "best_epoch": int(self.best_epoch),
            "stopped_epoch": int(self.stopped_epoch),
        }

    def restore(self, state: Mapping[str, Any], best_weights: list[Any] | None) -> None:
        """Take over the state of an earlier process."""
        self._restored = {**state, "best_weights": best_weights}

"""Whether what a configuration asks for is in force; Keras may leave it out in silence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras
from tensorflow.python.framework import config as tf_config

from gridfold.errors import TrialFailure
from gridfold.problems import PROBLEM_KINDS
from gridfold.study.sections.training import EPOCH, Training
from gridfold.training.compilation import convolutions_of, has_gpu

_NAMED = 5
_BROUGHT = ("python", "saved")
# Settings of `training` that are those of an optimiser.
_OF_THE_OPTIMISER = (
    "optimizer",
    "learning_rate",
    "momentum",
    "weight_decay",
    "clipnorm",
    "schedule",
    "warmup_epochs",
    "gradient_accumulation_steps",
)


def check(model: keras.Model, family: str, options: Mapping[str, Any]) -> None:
    """Refuse a compiled model that will not be trained as its configuration says.

    Parameters
    ----------
    model : keras.Model
    family : str
        Of the model; what the user brings may have precisions of its own.
    options : mapping
        The ``training`` settings.

    Raises
    ------
    TrialFailure
        When XLA or mixed precision were asked for and are off.
    """
    if options["jit_compile"] is True and not model.jit_compile:
        raise TrialFailure("error", f"training.jit_compile has no effect: {_why_no_xla(model)}")
    if options["jit_compile"] == EPOCH and (reason := _why_no_epochs(model)):
        raise TrialFailure("error", f"training.jit_compile: epoch can't be had: {reason}")
    policy = keras.config.dtype_policy()
    if family not in _BROUGHT or policy.compute_dtype == policy.variable_dtype:
        return
    computing = [layer for layer in model._flatten_layers() if layer.weights and not layer._layers]
    if all(layer.compute_dtype != policy.compute_dtype for layer in computing):
        raise TrialFailure(
            "error",
            f"training.mixed_precision has no effect: no layer computes in {policy.compute_dtype}; "
            "layers of a saved model, and those with a dtype of their own, keep theirs",
        )


def check_own_compilation(model: keras.Model, settings: Mapping[str, Any]) -> None:
    """Refuse a model whose function has compiled it otherwise than the study says.

    Parameters
    ----------
    model : keras.Model
    settings : mapping
        Of the configuration. Settings with their default value ask for nothing.

    Raises
    ------
    TrialFailure
        When the study asks for another optimiser or loss, or trains without the XLA that the
        function asks for.
    """
    options = settings["training"]
    unmet = [*_unmet_by_optimizer(model.optimizer, options), *_unmet_loss(model, settings)]
    if unmet:
        raise TrialFailure(
            "error",
            f"{', '.join(unmet)} {'has' if len(unmet) == 1 else 'have'} no effect: the model's "
            "function compiles it with an optimiser and a loss of its own; ask hp for the value "
            "in the function and take it out of the study, or don't compile in the function",
        )
    asked = (model.get_compile_config() or {}).get("jit_compile") is True
    # Left to Keras, it is on with a GPU.
    if asked and not options["jit_compile"] and not model._resolve_auto_jit_compile():
        raise TrialFailure(
            "error",
            "the model is compiled with jit_compile=True, the study has training.jit_compile: "
            "false; set jit_compile: true and deterministic: false there, or leave it out here",
        )


def _unmet_by_optimizer(optimizer: Any, options: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a study asks of its optimiser and the model's own one is not."""
    usual = Training().model_dump()
    found: dict[str, Any] = {"optimizer": type(optimizer).__name__.lower()}
    for name in ("momentum", "weight_decay", "gradient_accumulation_steps"):
        found[name] = getattr(optimizer, name, None) or usual[name]
    rate = optimizer._learning_rate
    if not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        found["learning_rate"] = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    for name in _OF_THE_OPTIMISER:
        asked = options.get(name, usual[name])
        if asked == usual[name]:
            continue
        if isinstance(asked, int | float) and name in found:
            is_met = math.isclose(asked, found[name], rel_tol=1e-5)
        else:
            is_met = asked == found.get(name)
        if not is_met:
            yield f"training.{name}" + (f": {asked}" if not isinstance(asked, dict) else "")


def _unmet_loss(model: keras.Model, settings: Mapping[str, Any]) -> Iterator[str]:
    asked = settings["problem"]["loss"]
    if asked == PROBLEM_KINDS[settings["problem"]["type"]].loss:
        return
    own = model.loss if isinstance(model.loss, str) else getattr(model.loss, "name", "")
    # Keras calls Huber's loss `huber_loss` as an object.
    if own not in {asked, keras.losses.get(asked).__name__, f"{asked}_loss"}:
        yield f"problem.loss: {asked}"


def _why_no_epochs(model: keras.Model) -> str:
    """Return why epochs of a model are not compiled; empty where nothing keeps them from it."""
    if reason := _layers_without_xla(model):
        return reason
    convolutions = convolutions_of(model)
    if convolutions and not has_gpu():
        return (
            f"on a CPU, XLA computes convolutions ({_some(convolutions)}) at half the "
            "speed of TensorFlow and less; set jit_compile: false"
        )
    return ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + ", ..." * (len(names) > _NAMED)


def _layers_without_xla(model: keras.Model) -> str:
    names = [layer.name for layer in model._flatten_layers() if not layer.supports_jit]
    return f"Keras does not compile these layers with XLA: {_some(names)}" * bool(names)


def _why_no_xla(model: keras.Model) -> str:
    if reason := _layers_without_xla(model):
        return reason
    if tf_config.is_op_determinism_enabled():
        return "Keras does not compile with XLA in a process with deterministic operations"
    return "Keras does not compile this model with XLA on this machine"

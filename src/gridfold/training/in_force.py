"""Whether what a configuration asks for is in force; Keras may leave it out in silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from tensorflow.python.framework import config as tf_config

from gridfold.errors import TrialFailure

_NAMED = 5
_BROUGHT = ("python", "saved")


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
    if options["jit_compile"] and not model.jit_compile:
        raise TrialFailure("error", f"training.jit_compile has no effect: {_why_no_xla(model)}")
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


def check_own_compilation(model: keras.Model, options: Mapping[str, Any]) -> None:
    """Refuse a model that its function has compiled for XLA where the study trains without.

    Raises
    ------
    TrialFailure
        When it is so.
    """
    asked = (model.get_compile_config() or {}).get("jit_compile") is True
    # Left to Keras, it is on with a GPU.
    if asked and not options["jit_compile"] and not model._resolve_auto_jit_compile():
        raise TrialFailure(
            "error",
            "the model is compiled with jit_compile=True, the study has training.jit_compile: "
            "false; set jit_compile: true and deterministic: false there, or leave it out here",
        )


def _why_no_xla(model: keras.Model) -> str:
    names = [layer.name for layer in model._flatten_layers() if not layer.supports_jit]
    if names:
        shown = ", ".join(names[:_NAMED]) + ", ..." * (len(names) > _NAMED)
        return f"Keras does not compile these layers with XLA: {shown}"
    if tf_config.is_op_determinism_enabled():
        return "Keras does not compile with XLA in a process with deterministic operations"
    return "Keras does not compile this model with XLA on this machine"

"""Saved models are loaded with the layers and functions of the user's own that they are made of."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import keras

from gridfold.usercode.functions import own_objects

# What Keras notes of every layer, be it an argument of its class or not.
_OF_EVERY_LAYER = {"name", "trainable", "dtype"}


def load_model(file: Path | str, *code: Path | str) -> keras.Model:
    """Load a saved model, not compiled, with layers and functions of the user's own.

    These need not be registered with Keras, nor need the layers' classes take the arguments that
    every layer of Keras takes.

    Parameters
    ----------
    file : Path or str
        Ends with ``.keras``.
    *code : Path or str
        Python files that define layers and functions at their top level; files beside them that
        they import are looked through, too.

    Raises
    ------
    DataError
        When a file with code fails on import.
    ValueError, TypeError, OSError
        As :func:`keras.saving.load_model` has it.
    """
    own = own_objects(map(Path, code))
    objects = {keras.saving.get_registered_name(one): _lenient(one) for one in own}
    with keras.saving.custom_object_scope(objects), warnings.catch_warnings():
        # Keras builds a layer without a method `build` by calling it, and warns that it may not.
        warnings.filterwarnings("ignore", r"`build\(\)` was called on layer")
        # A model from elsewhere may bring code of its own (a Lambda with a lambda): never run.
        return keras.saving.load_model(file, compile=False, safe_mode=True)


def _lenient(own: type | FunctionType) -> Any:
    """Return what Keras uses for a class or function: itself, or a stand-in that takes more."""
    if not (isinstance(own, type) and issubclass(own, keras.layers.Layer)):
        return own
    made_by = inspect.getattr_static(own, "from_config")
    made_by_itself = made_by is not inspect.getattr_static(keras.layers.Layer, "from_config")
    parameters = inspect.signature(own).parameters.values()
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return own if made_by_itself or takes_all else _Lenient(own)


class _Lenient:
    """Stands for a class of layers where Keras makes one from what it has noted."""

    def __init__(self, layer_class: type[keras.layers.Layer]) -> None:
        self._class = layer_class
        self._takes = inspect.signature(layer_class).parameters.keys()

    def from_config(self, config: Mapping[str, Any]) -> keras.layers.Layer:
        """Make a layer; what its class does not take is set afterwards."""
        left = {key: config[key] for key in _OF_EVERY_LAYER & config.keys() - self._takes}
        layer = self._class.from_config({k: v for k, v in config.items() if k not in left})
        for key, value in left.items():
            if key == "dtype":
                layer.dtype_policy = keras.dtype_policies.get(value)
            else:
                setattr(layer, key, value)
        return layer

"""Exceptions in one line: what was raised, not what wrapped it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest

from gridfold.errors import summary_of


@keras.saving.register_keras_serializable("gridfold tests of errors")
class Raising(keras.layers.Layer):
    """Raises what a user's layer may raise."""

    def __init__(self, error: Exception) -> None:
        super().__init__(name="own")
        self._error = error

    def call(self, inputs: Any) -> Any:
        raise self._error


def raised(*layers: Any) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever Keras makes of it
        keras.Sequential(layers)(keras.ops.zeros((2, 4)))
    return summary_of(caught.value)


def test_a_layer_that_does_not_fit_says_which_shape_it_needs() -> None:
    text = raised(keras.layers.Input((7,)), keras.layers.Dense(3, name="hidden"))
    assert text.startswith("ValueError in ")
    assert "layer 'hidden' is incompatible" in text
    assert "value 7" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("error", [ValueError("units must be even"), KeyError("no such thing")])
def test_what_a_layer_of_the_user_raises_is_said(error: Exception) -> None:
    text = raised(Raising(error))
    assert text.startswith(f"{type(error).__name__} in Raising: ")
    assert str(error.args[0]) in text
    assert "Exception encountered" not in text


@pytest.mark.parametrize("error", [ValueError("too few"), KeyError("x"), ValueError(), OSError(2)])
def test_other_exceptions_are_as_python_writes_them(error: Exception) -> None:
    assert summary_of(error).startswith(type(error).__name__)


def test_a_message_that_begins_on_its_second_line_is_its_first_paragraph() -> None:
    error = NotImplementedError("\nObject X needs\n    a config.\n\nExample:\n\nclass X: ...")
    assert summary_of(error) == "NotImplementedError: Object X needs a config."


class Inner(keras.layers.Layer):
    """Is not registered."""

    def call(self, inputs: Any) -> Any:
        return inputs


def test_of_what_can_not_be_loaded_the_innermost_cause_is_said(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Sequential([Inner(), keras.layers.Dense(2)])])
    model(keras.ops.zeros((1, 3)))
    model.save(tmp_path / "model.keras")
    with pytest.raises(TypeError) as caught:
        keras.saving.load_model(tmp_path / "model.keras")
    text = summary_of(caught.value)
    assert text.startswith("TypeError: Could not locate class 'Inner'. ")
    assert "\n" not in text

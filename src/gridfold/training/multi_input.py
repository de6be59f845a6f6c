"""Models with several inputs or outputs, made into one that takes a sample and gives a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from gridfold.errors import TrialFailure


def joined(
    model: keras.Model,
    settings: Mapping[str, Any],
    input_shape: tuple[int, ...],
    positions: Mapping[str, list[int]],
) -> keras.Model:
    """Return `model` as it is, or with its inputs cut out of a sample and its outputs joined.

    Parameters
    ----------
    model : keras.Model
        What the user's function returned.
    settings : mapping
        The ``model`` settings.
    input_shape : tuple of int
        Shape of one sample.
    positions : mapping
        Where the features of each column of a table are in a sample.

    Raises
    ------
    TrialFailure
        When inputs, columns and features don't fit each other.
    """
    groups = settings.get("inputs") or {}
    several_outputs = _is_functional(model) and len(_tensors(model.output)) > 1
    if not groups and not several_outputs:
        return model
    reference = settings["build"]
    if model.compiled:
        raise TrialFailure(
            "error",
            f"{reference} has compiled a model with several inputs or outputs; leave that to the "
            "study (`problem.loss`, `training`), which joins them first",
        )
    sample = keras.Input(input_shape, name="features")
    outputs = model(_inputs(model, groups, sample, positions, reference) if groups else sample)
    tensors = _tensors(outputs)
    if len(tensors) > 1:
        tensors = [keras.layers.Concatenate(name="outputs")(tensors)]
    return keras.Model(sample, tensors[0], name=model.name)


def _inputs(
    model: keras.Model,
    groups: Mapping[str, Any],
    sample: Any,
    positions: Mapping[str, list[int]],
    reference: str,
) -> Any:
    if len(sample.shape) != 2:
        raise TrialFailure(
            "error",
            f"model.python.inputs cuts rows of features, not samples of shape {sample.shape[1:]}",
        )
    parts = {
        name: keras.ops.take(sample, _places(name, chosen, positions, sample.shape[-1]), axis=1)
        for name, chosen in groups.items()
    }
    if not _is_functional(model):
        return parts
    names = list(model.input) if isinstance(model.input, dict) else [t.name for t in model.inputs]
    if set(names) != set(parts):
        raise TrialFailure(
            "error",
            f"{reference} has the inputs {', '.join(names)}, model.python.inputs names "
            f"{', '.join(parts)}",
        )
    return parts if isinstance(model.input, dict) else [parts[name] for name in names]


def _places(
    name: str, chosen: str | Sequence[str], positions: Mapping[str, list[int]], width: int
) -> list[int]:
    if isinstance(chosen, str):
        start, stop = map(int, chosen.split(":"))
        places = list(range(start, stop))
    else:
        unknown = [column for column in chosen if column not in positions]
        if unknown:
            raise TrialFailure(
                "error",
                f"model.python.inputs.{name}: no column {', '.join(unknown)}; columns: "
                f"{', '.join(positions) or 'none, the data is no table; use start:stop'}",
            )
        places = [place for column in chosen for place in positions[column]]
    if not places or places[-1] >= width:
        raise TrialFailure("error", f"model.python.inputs.{name}: {chosen} of {width} features")
    return places


def _is_functional(model: keras.Model) -> bool:
    # A sequential model has one input and one output, and may not know them yet.
    return not isinstance(model, keras.Sequential) and isinstance(
        getattr(model, "inputs", None), list
    )


def _tensors(outputs: Any) -> list[Any]:
    if isinstance(outputs, Mapping):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

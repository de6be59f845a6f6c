"""Whether a trained model can be saved and loaded again, found out while there is one trial."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from gridfold.arrays import Array, Scores
from gridfold.errors import TrialFailure, summary_of
from gridfold.training import models
from gridfold.training.answers import single
from gridfold.training.loading import load_model

# What the user's own code makes; all other models are known to survive their file.
OWN_FAMILIES = ("python", "custom")
_REMEDY = (
    "define layers and functions at the top level of their file, not in a function (a Lambda with "
    "such a function, not with a lambda), and give a class that is made of more than plain values, "
    "or is a keras.Model, a get_config; or set final.loadable: false to do without a saved model "
    "that can be used"
)


def saved_outputs(model: keras.Model, inputs: Any) -> Any:
    """Return the outputs of a trained model for `inputs`, as a part of the model that is saved.

    Raises
    ------
    TrialFailure
        When it can't be a part of one.
    """
    # A file need not know how its model was trained, nor the user's own losses and metrics.
    model.compiled = False
    return single(models.storable(model, inputs))


def refuse_unloadable(model: keras.Model, samples: Array, code: Sequence[Path]) -> None:
    """Refuse a model that can't be loaded from its file, or answers otherwise then.

    Parameters
    ----------
    model : keras.Model
    samples : array of shape (samples, *input_shape), float32
        A few, as the model gets them.
    code : sequence of Path
        The files with code of the user's, of which the model may be made.

    Raises
    ------
    TrialFailure
        Says what Keras complains of.
    """
    inputs = keras.Input(samples.shape[1:])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        try:
            kept = keras.Model(inputs, saved_outputs(model, inputs))
            kept.save(file)
            loaded = load_model(file, *code)
            before, after = (_answers(one, samples) for one in (kept, loaded))
        except TrialFailure:
            raise
        except Exception as error:
            said = summary_of(error).partition(". ")[0]
            raise TrialFailure(
                "error", f"the saved model can't be loaded again: {said}; {_REMEDY}"
            ) from error
    if not np.allclose(before, after, rtol=1e-3, atol=1e-4):
        most = float(np.abs(before - after).max())
        raise TrialFailure(
            "error",
            f"the saved model answers otherwise when it is loaded again (by up to {most:.3g}): a "
            f"layer keeps something that is not in its get_config or its variables; {_REMEDY}",
        )


def _answers(model: keras.Model, samples: Array) -> Scores:
    outputs = keras.ops.convert_to_numpy(model(samples, training=False))
    return np.asarray(outputs, np.float64)

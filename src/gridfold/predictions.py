"""From probabilities to classes."""

from __future__ import annotations

import numpy as np

from gridfold.data import Array


def classes_of(prediction: Array) -> Array:
    """Return the predicted class codes of probabilities of shape (samples, outputs)."""
    if prediction.shape[1] == 1:
        return (prediction[:, 0] >= 0.5).astype(np.int64)
    return np.asarray(np.argmax(prediction, axis=1))

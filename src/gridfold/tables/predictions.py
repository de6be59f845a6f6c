"""Predictions with their truth, out of fold and on the test set, for figures of errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gridfold.arrays import Array
from gridfold.tables.trials import stacked
from gridfold.training.measures import classes_of
from gridfold.wording import counted

OUT_OF_FOLD, TEST = "out of fold", "held-out test set"


@dataclass(frozen=True)
class Part:
    """Samples that a model was not trained on, and what it says about them.

    Attributes
    ----------
    name : {"out of fold", "held-out test set"}
    samples : array of int64
        Rows of the prepared arrays, each once.
    truth : array
        Class codes of shape (samples,), or numbers of shape (samples, outputs).
    prediction : array of shape (samples, outputs), float32
        Of several repeats, the mean.
    repeats : int
        How often each sample was predicted, at most.
    """

    name: str
    samples: Array
    truth: Array
    prediction: Array
    repeats: int

    @property
    def chances(self) -> Array:
        """Scores of all classes, of shape (samples, classes), also of a binary problem."""
        if self.prediction.shape[1] == 1:
            return np.hstack([1 - self.prediction, self.prediction])
        return self.prediction

    @property
    def predicted(self) -> Array:
        """Predicted class codes."""
        return classes_of(self.prediction)

    @property
    def confidence(self) -> Array:
        """Score of the predicted class."""
        return np.asarray(self.chances[np.arange(len(self.samples)), self.predicted])

    @property
    def are_probabilities(self) -> bool:
        """Whether all scores lie in [0, 1], as those of a sigmoid or softmax do."""
        low, high = float(self.prediction.min()), float(self.prediction.max())
        return low >= 0 and high <= 1 + 1e-5

    @property
    def title(self) -> str:
        """Name and size, for a panel."""
        return f"{self.name}, {counted(len(self.samples), 'sample')}"


def parts_of(
    out_of_fold: pd.DataFrame, test_predictions: pd.DataFrame, targets: Array
) -> list[Part]:
    """Return what there is of both parts.

    Parameters
    ----------
    out_of_fold, test_predictions : DataFrame
        ``sample`` and ``prediction``; the second empty without a test set.
    targets : array
        True values of all samples.
    """
    return [
        _part(name, table, np.asarray(targets))
        for name, table in ((OUT_OF_FOLD, out_of_fold), (TEST, test_predictions))
        if len(table)
    ]


def _part(name: str, table: pd.DataFrame, targets: Array) -> Part:
    samples, rows, times = np.unique(
        table["sample"].to_numpy(np.int64), return_inverse=True, return_counts=True
    )
    predictions = stacked(table["prediction"])
    sums = np.zeros((len(samples), predictions.shape[1]))
    np.add.at(sums, rows, predictions)
    mean = (sums / times[:, np.newaxis]).astype(np.float32)
    return Part(name, samples, targets[samples], mean, int(times.max()))


def repeats_note(parts: list[Part]) -> str:
    """Return a sentence on samples that were predicted more than once; empty otherwise."""
    most = max((part.repeats for part in parts), default=1)
    return f" Out of fold: the mean of {most} repeats." if most > 1 else ""

"""Predictions joined with their true values: what every figure and table of errors counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gridfold.arrays import Array
from gridfold.tables.trials import stacked
from gridfold.training.measures import chances_of, classes_of
from gridfold.wording import counted, threshold_sentence

OUT_OF_FOLD, TEST = "out of fold", "held-out test set"


@dataclass(frozen=True)
class PredictedSamples:
    """Samples that a model was not trained on, and what it says about them.

    Attributes
    ----------
    name : {"out of fold", "held-out test set"}
    samples : array of int64
        Rows of the prepared arrays, each once.
    truth : array
        Class codes of shape (samples,), or numbers of shape (samples, outputs).
    prediction : array of shape (samples, outputs), float32
        Each row by a single model; with several repeats, by that of the first one that has the
        sample in its validation part.
    repeats : int
        How often a sample was predicted, at most.
    threshold : float
        From which probability on a sample of a binary problem is predicted as positive.
    """

    name: str
    samples: Array
    truth: Array
    prediction: Array
    repeats: int
    threshold: float

    @property
    def chances(self) -> Array:
        """Scores of all classes, of shape (samples, classes), also of a binary problem."""
        return chances_of(self.prediction)

    @property
    def predicted(self) -> Array:
        """Predicted class codes."""
        return classes_of(self.prediction, self.threshold)

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


def predicted_samples(
    out_of_fold: pd.DataFrame, test_predictions: pd.DataFrame, targets: Array, threshold: float
) -> list[PredictedSamples]:
    """Return out-of-fold and test predictions joined with the true values.

    With repeats, a sample has several out-of-fold predictions. It counts once, as the first repeat
    predicts it: what is shown is how single models err, as the final model is one. The mean over
    the repeats would be the answer of several models together, which err less.

    Parameters
    ----------
    out_of_fold, test_predictions : DataFrame
        ``sample`` and ``prediction``, and ``split`` where there are repeats. Parts without rows
        are left out.
    targets : array
        True values of all samples.
    threshold : float
        From which probability on a sample of a binary problem is predicted as positive.
    """
    return [
        _joined(name, table, np.asarray(targets), threshold)
        for name, table in ((OUT_OF_FOLD, out_of_fold), (TEST, test_predictions))
        if len(table)
    ]


def _joined(name: str, table: pd.DataFrame, targets: Array, threshold: float) -> PredictedSamples:
    most = int(table["sample"].value_counts().max())
    if most > 1:
        # ``r<repeat>f<fold>``, or ``c<repeat>f<fold>`` of `search.confirm`; tables are in the order
        # of the jobs, which is none.
        repeats = table["split"].str.extract(r"^[rc](\d+)f", expand=False).astype(int)
        order = np.argsort(repeats.to_numpy(), kind="stable")
        table = table.iloc[order].drop_duplicates("sample")
    samples = table["sample"].to_numpy(np.int64)
    prediction = stacked(table["prediction"])
    return PredictedSamples(name, samples, targets[samples], prediction, most, threshold)


def threshold_note(parts: Sequence[PredictedSamples], names: Sequence[str]) -> str:
    """Return a sentence on the threshold of predicted classes; empty at the usual one."""
    found = {threshold_sentence(part.threshold, names) for part in parts}
    return "".join(f" {sentence}" for sentence in found if sentence)


def repeats_note(parts: Sequence[PredictedSamples]) -> str:
    """Return a sentence on samples that were predicted more than once; empty otherwise."""
    most = max((part.repeats for part in parts), default=1)
    if most == 1:
        return ""
    return f" Of {most} repeats, the first that predicts a sample counts."

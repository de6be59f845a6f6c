"""How much the test score of the final model depends on each feature: permutation importance."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.inspection import permutation_importance

from gridfold.arrays import Array
from gridfold.data.columns import feature_names
from gridfold.data.dataset import Dataset
from gridfold.errors import TrialFailure
from gridfold.problems import Measure
from gridfold.tables.features import FEATURE_COLUMNS
from gridfold.training.measures import Scorer
from gridfold.training.trial import Fitted

# Shuffles of each feature; fewer where there are many, so that a job takes seconds, not minutes.
_SHUFFLES = 10
_FEW_SHUFFLES = 5
_MANY_FEATURES = 100
# Beyond it, a feature alone rarely matters, and each one costs at least five predictions of all.
_MOST_FEATURES = 1000
_LEAST_SAMPLES, _MOST_SAMPLES = 200, 5000
# Numbers that are predicted from, in all shuffles together: some ten seconds of one core.
_MOST_NUMBERS = 500_000_000


def feature_importance(
    fitted: Fitted, dataset: Dataset, test: Array, scorer: Scorer, seed: int
) -> pd.DataFrame:
    """Measure the permutation importance of each feature on the test set.

    The values of one feature are shuffled among the test samples (Breiman, 2001), so that the model
    can no longer tell from it; the score that is lost is what the model owed to this feature. A
    column of categories is shuffled as a whole, and in windows of a time series a column with all
    its steps.

    Parameters
    ----------
    fitted : Fitted
    dataset : Dataset
    test : array of int64
        The test samples.
    scorer : Scorer
    seed : int
        Of the shuffles, and of the choice of samples where there are very many.

    Returns
    -------
    DataFrame
        :data:`gridfold.tables.features.FEATURE_COLUMNS`, the most important feature first.
        Without rows where samples are neither rows nor windows of a table, have very many
        features, or where the measure is not defined on the test set.
    """
    features, count = dataset.features, int(dataset.features.shape[-1])
    has_columns = features.ndim == 2 or "windows" in dataset.reading
    if not has_columns or len(test) < 2 or not 1 <= count <= _MOST_FEATURES:
        return _not_measured()
    shuffles = _SHUFFLES if count <= _MANY_FEATURES else _FEW_SHUFFLES
    affordable = _MOST_NUMBERS // (count * shuffles * math.prod(features.shape[1:]))
    most = min(max(affordable, _LEAST_SAMPLES), _MOST_SAMPLES)
    if len(test) > most:
        test = np.sort(np.random.default_rng(seed).choice(test, most, replace=False))
    model = _Shuffled(fitted, np.asarray(features[test]))
    targets = fitted.scored_targets(np.asarray(dataset.targets[test]))
    # Numbers of rows take the place of values, so that what is shuffled may have any shape.
    rows = np.repeat(np.arange(len(test))[:, np.newaxis], count, axis=1)
    sign = Measure.of(scorer.measure).sign

    def goodness(model: _Shuffled, rows: Array, targets: Array) -> float:
        try:
            return sign * scorer.score(targets, model.predict(rows))
        except (ValueError, TrialFailure):
            # As in intervals, a measure of the user's own may fail on samples that nobody has.
            return float("nan")

    if np.isnan(goodness(model, rows, targets)):
        return _not_measured()
    found = permutation_importance(
        model,
        rows,
        targets,
        scoring=goodness,
        n_repeats=shuffles,
        random_state=seed,
    )
    kinds = [
        "number" if column.categories is None else "category" for column in dataset.columns or ()
    ]
    names = feature_names(dataset.feature_names, count)
    return _table(names, kinds or ["number"] * count, found.importances, len(test))


class _Shuffled:
    """The final model as scikit-learn sees it: samples are the rows that each value is taken from.

    Parameters
    ----------
    fitted : Fitted
    samples : array of shape (samples, *sample_shape)
        As they are kept.
    """

    def __init__(self, fitted: Fitted, samples: Array) -> None:
        # Traced once: hundreds of predictions follow, of samples that are few.
        self._fitted = replace(fitted, model=tf.function(fitted.model, reduce_retracing=True))
        self._samples = samples

    def fit(self, *data: Any) -> _Shuffled:
        """Do nothing; scikit-learn takes only what has this method."""
        return self

    def predict(self, rows: Array) -> Array:
        """Predict samples of which each feature has the value of another row.

        Parameters
        ----------
        rows : array of int64, shape (samples, features)
        """
        mixed = self._samples.copy()
        # Nearly all columns stay as they are.
        for feature in np.flatnonzero((rows != np.arange(len(rows))[:, np.newaxis]).any(axis=0)):
            mixed[..., feature] = self._samples[rows[:, feature], ..., feature]
        return self._fitted.predict(mixed, np.arange(len(mixed)))


def _not_measured() -> pd.DataFrame:
    return _table([], [], np.empty((0, 0)), 0)


def _table(names: list[str], kinds: list[str], losses: Array, samples: int) -> pd.DataFrame:
    defined = [each[np.isfinite(each)] for each in losses]
    table = pd.DataFrame(
        {
            "feature": names,
            "kind": kinds,
            "importance": [np.mean(each) if len(each) else np.nan for each in defined],
            "sd": [np.std(each, ddof=1) if len(each) > 1 else np.nan for each in defined],
            "shuffles": [len(each) for each in defined],
            "samples": samples,
        }
    )
    table = table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    return table[[column.name for column in FEATURE_COLUMNS]]

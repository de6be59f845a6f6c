"""Measures: every trial is scored with all that fit its problem, in the user's units."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn import metrics

from gridfold.arrays import Array, Scores
from gridfold.errors import TrialFailure, summary_of
from gridfold.problems import PROBLEM_KINDS, USUAL_THRESHOLD, Measure
from gridfold.usercode import functions

_MEND = "mend it and run again: trained epochs are kept"

_Score = Callable[[Array, Array], float]
# Of targets, probabilities, and the threshold of a binary problem.
_ScoreOfClasses = Callable[[Array, Array, float], float]


def _over_classes(of_one: _Score) -> _Score:
    """Return the mean of a measure over one-against-rest; classes without samples don't count.

    Of one probability, it is the measure of the positive class.
    """

    def mean(targets: Array, prediction: Array) -> float:
        if prediction.shape[1] == 1:
            return float(of_one(targets == 1, prediction[:, 0]))
        present = np.intersect1d(targets, np.arange(prediction.shape[1]))
        return float(np.mean([of_one(targets == c, prediction[:, c]) for c in present]))

    return mean


def _chances(prediction: Array) -> Array:
    """Return the probabilities of all classes, none of them 0, that add up to 1 exactly."""
    chances = np.clip(chances_of(prediction.astype(np.float64)), 1e-15, None)
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))


def _log_loss(targets: Array, prediction: Array) -> float:
    chances = _chances(prediction)
    return float(metrics.log_loss(targets, chances, labels=np.arange(chances.shape[1])))


def _brier_score(targets: Array, prediction: Array) -> float:
    chances = _chances(prediction)
    if chances.shape[1] == 2:
        return float(metrics.brier_score_loss(targets, chances[:, 1], pos_label=1))
    return float(metrics.brier_score_loss(targets, chances, labels=np.arange(chances.shape[1])))


def _top_accuracy(k: int) -> _Score:
    return lambda y, p: metrics.top_k_accuracy_score(y, p, k=k, labels=np.arange(p.shape[1]))


def _recall(code: int) -> _ScoreOfClasses:
    return lambda y, p, t: metrics.recall_score(
        y, classes_of(p, t), pos_label=code, zero_division=0
    )


def _f1(targets: Array, prediction: Array, threshold: float) -> float:
    average = "binary" if prediction.shape[1] == 1 else "macro"
    predicted = classes_of(prediction, threshold)
    return float(metrics.f1_score(targets, predicted, average=average, zero_division=0))


def _relative_error(targets: Array, prediction: Array) -> float:
    # scikit-learn divides by the smallest number instead of 0, and that sample is all that counts.
    if not np.all(targets):
        return float("nan")
    return float(metrics.mean_absolute_percentage_error(targets, prediction))


def _explained_variance(targets: Array, prediction: Array) -> float:
    # As R²: of a single sample there is no variance to explain.
    if len(targets) < 2:
        return float("nan")
    return float(metrics.explained_variance_score(targets, prediction))


_rank_area = _over_classes(metrics.roc_auc_score)
_average_precision = _over_classes(metrics.average_precision_score)

_MEASURES: dict[str, _Score] = {
    "mse": metrics.mean_squared_error,
    "rmse": metrics.root_mean_squared_error,
    "mae": metrics.mean_absolute_error,
    "r2": metrics.r2_score,
    "mape": _relative_error,
    "median_absolute_error": metrics.median_absolute_error,
    "explained_variance": _explained_variance,
    # Studies of several classes that were finished before `roc_auc_ovr` and `f1_macro` have
    # `roc_auc` and `f1`.
    "roc_auc": _rank_area,
    "roc_auc_ovr": _rank_area,
    "average_precision": _average_precision,
    "average_precision_ovr": _average_precision,
    "brier_score": _brier_score,
    "log_loss": _log_loss,
    "top_3_accuracy": _top_accuracy(3),
    "top_5_accuracy": _top_accuracy(5),
}

_MEASURES_OF_CLASSES: dict[str, _ScoreOfClasses] = {
    "accuracy": lambda y, p, t: metrics.accuracy_score(y, classes_of(p, t)),
    "balanced_accuracy": lambda y, p, t: metrics.recall_score(
        y, classes_of(p, t), average="macro", labels=np.unique(y), zero_division=0
    ),
    "f1": _f1,
    "f1_macro": _f1,
    "sensitivity": _recall(1),
    "specificity": _recall(0),
    "matthews_correlation": lambda y, p, t: metrics.matthews_corrcoef(y, classes_of(p, t)),
    "cohen_kappa": lambda y, p, t: metrics.cohen_kappa_score(y, classes_of(p, t)),
}


def score(
    problem: str,
    targets: Array,
    prediction: Array,
    own: Mapping[str, str] = MappingProxyType({}),
    threshold: float = USUAL_THRESHOLD,
) -> dict[str, float]:
    """Score predictions with every measure of the problem, also those that no table shows.

    Parameters
    ----------
    problem : {"regression", "multi_output", "binary", "multiclass"}
    targets : array
        Class codes of shape (samples,), or numbers of shape (samples, outputs).
    prediction : array of shape (samples, outputs)
        Probabilities, or numbers in the units of the targets.
    own : mapping of str to str
        The measures of the user's own: the reference of each by its name.
    threshold : float
        As in :class:`Scorer`.

    Returns
    -------
    dict of str to float
        NaN where a measure is not defined, as R² of one sample.

    Raises
    ------
    TrialFailure
        As in :func:`own_score`.
    """
    scores = {}
    for name in PROBLEM_KINDS[problem].all_measures:
        try:
            scores[name] = Scorer(name, threshold=threshold).score(targets, prediction)
        except ValueError:
            scores[name] = float("nan")
    for name, function in own.items():
        scores[name] = own_score(function, targets, prediction)
    return scores


def require_own(own: Iterable[str]) -> None:
    """Import the functions of the user's measures, before a training that would end with them.

    Raises
    ------
    DataError
        When one can't be imported.
    """
    for function in own:
        functions.load(function)


def own_score(function: str, targets: Array, prediction: Array) -> float:
    """Score predictions with a measure of the user's own.

    The function gets fresh arrays that it may change, as scikit-learn's take them: class codes or
    numbers of shape (samples,), or numbers of shape (samples, outputs) where there are several; and
    predictions in 64 bit, of shape (samples,) where each sample has one number (the probability of
    the positive class), else (samples, classes) or (samples, outputs).

    Raises
    ------
    TrialFailure
        When it raises an exception, or returns anything but a finite number.
    """
    given = (np.array(targets), np.array(prediction, np.float64))
    # A column beside a row would be subtracted as a table.
    truth, predicted = (a[:, 0] if a.shape[1:] == (1,) else a for a in given)
    try:
        found = functions.load(function)(truth, predicted)
    except Exception as error:
        reason = f"{function} has failed: {summary_of(error)}; {_MEND}"
        raise TrialFailure("error", reason, traceback.format_exc()) from error
    try:
        value = math.nan if isinstance(found, str | bytes) or np.ndim(found) else float(found)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        reason = f"{function} has returned {_shown(found)}, not one finite number; {_MEND}"
        raise TrialFailure("error", reason)
    return value


def _shown(found: Any) -> str:
    if np.ndim(found) and not isinstance(found, str):
        return f"an array of shape {np.shape(found)}"
    return repr(found)


@dataclass(frozen=True)
class Scorer:
    """One measure as a study has it.

    Attributes
    ----------
    measure : str
    function : str or None
        Reference of its function, if it is one of the user's own.
    threshold : float
        From which probability of the positive class on a sample is predicted as positive. A
        function of the user's own gets the probabilities.
    """

    measure: str
    function: str | None = None
    threshold: float = USUAL_THRESHOLD

    def score(self, targets: Array, prediction: Array) -> float:
        """Score predictions; NaN where the measure is not defined for these targets.

        Parameters
        ----------
        targets, prediction : array
            As in :func:`score`.

        Raises
        ------
        ValueError
            When scikit-learn finds it not defined.
        TrialFailure
            As in :func:`own_score`.
        """
        if self.function is not None:
            return own_score(self.function, targets, prediction)
        of = Measure.of(self.measure)
        too_few = of.least_classes > 2 and prediction.shape[1] < of.least_classes
        if too_few or (of.needs_two_values and np.all(targets == targets[:1])):
            return float("nan")
        # Squares of large errors overflow in 32 bit.
        given = np.asarray(targets), np.asarray(prediction, np.float64)
        if of.of_classes:
            return float(_MEASURES_OF_CLASSES[self.measure](*given, self.threshold))
        return float(_MEASURES[self.measure](*given))

    @property
    def is_mean(self) -> bool:
        """Whether the measure is a mean over samples."""
        return self.measure == "accuracy" or self.measure in _SAMPLE_LOSSES

    def losses(self, targets: Array, prediction: Array) -> Scores:
        """Return what each sample adds to a measure that is a mean over samples; (samples,).

        Parameters
        ----------
        targets, prediction : array
            As in :func:`score`.
        """
        if self.measure == "accuracy":
            right = classes_of(prediction, self.threshold) == targets
            return np.asarray(right, np.float64)
        return _SAMPLE_LOSSES[self.measure](targets, prediction)


def _log_losses(targets: Array, prediction: Array) -> Scores:
    return np.asarray(-np.log(_chances(prediction)[np.arange(len(targets)), targets]))


def _brier_losses(targets: Array, prediction: Array) -> Scores:
    chances = _chances(prediction)
    squares = np.square(chances - np.eye(chances.shape[1])[targets])
    return np.asarray(squares[:, 1] if chances.shape[1] == 2 else squares.sum(axis=1))


def _hits(k: int) -> Callable[[Array, Array], Scores]:
    def hits(targets: Array, prediction: Array) -> Scores:
        # Of equal probabilities the last ones, as scikit-learn has it.
        best = np.argsort(prediction, axis=1, kind="stable")[:, -k:]
        return np.asarray((best == targets[:, np.newaxis]).any(axis=1).astype(np.float64))

    return hits


def _errors(targets: Array, prediction: Array) -> Scores:
    return np.asarray(prediction.astype(np.float64) - targets.reshape(prediction.shape))


_SAMPLE_LOSSES: dict[str, Callable[[Array, Array], Scores]] = {
    "mse": lambda y, p: np.square(_errors(y, p)).mean(axis=1),
    "mae": lambda y, p: np.abs(_errors(y, p)).mean(axis=1),
    "log_loss": _log_losses,
    "brier_score": _brier_losses,
    "top_3_accuracy": _hits(3),
    "top_5_accuracy": _hits(5),
}


def chances_of(prediction: Array) -> Array:
    """Return the probabilities of all classes, (samples, classes), also of a binary problem.

    Parameters
    ----------
    prediction : array of shape (samples, outputs)
    """
    return np.hstack([1 - prediction, prediction]) if prediction.shape[1] == 1 else prediction


def classes_of(prediction: Array, threshold: float) -> Array:
    """Return the predicted class codes of probabilities.

    Parameters
    ----------
    prediction : array of shape (samples, outputs)
    threshold : float
        Of two classes, whose one probability is that of the positive class: from which one on a
        sample is positive. Rounded to 32 bit, in which models answer: what is just as large in
        their numbers counts as positive, as in the metric that is followed in training.
    """
    if prediction.shape[1] == 1:
        return (prediction[:, 0] >= float(np.float32(threshold))).astype(np.int64)
    return np.asarray(np.argmax(prediction, axis=1))

"""Measures: every trial is scored with all that fit its problem, in the user's units."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn import metrics

from gridfold.arrays import Array, Scores
from gridfold.problems import PROBLEM_KINDS


def _rank_area(targets: Array, prediction: Array) -> float:
    """Area under the ROC curve; for several classes the mean over one-against-rest.

    NaN where all samples have one class.
    """
    if len(np.unique(targets)) < 2:
        return float("nan")
    if prediction.shape[1] == 1:
        return float(metrics.roc_auc_score(targets, prediction[:, 0]))
    areas = [
        metrics.roc_auc_score(targets == code, prediction[:, code])
        for code in range(prediction.shape[1])
        if 0 < np.sum(targets == code) < len(targets)
    ]
    return float(np.mean(areas))


def _log_loss(targets: Array, prediction: Array) -> float:
    chances = prediction.astype(np.float64)
    if chances.shape[1] == 1:
        chances = np.hstack([1 - chances, chances])
    chances = np.clip(chances, 1e-15, None)
    chances /= chances.sum(axis=1, keepdims=True)
    return float(metrics.log_loss(targets, chances, labels=np.arange(chances.shape[1])))


_MEASURES: dict[str, Callable[[Array, Array], float]] = {
    "mse": metrics.mean_squared_error,
    "rmse": metrics.root_mean_squared_error,
    "mae": metrics.mean_absolute_error,
    "r2": metrics.r2_score,
    "accuracy": lambda y, p: metrics.accuracy_score(y, classes_of(p)),
    "balanced_accuracy": lambda y, p: metrics.recall_score(
        y, classes_of(p), average="macro", labels=np.unique(y), zero_division=0
    ),
    "f1": lambda y, p: metrics.f1_score(
        y,
        classes_of(p),
        average="binary" if p.shape[1] == 1 else "macro",
        zero_division=0,
    ),
    "roc_auc": _rank_area,
    "log_loss": _log_loss,
}


def score(problem: str, targets: Array, prediction: Array) -> dict[str, float]:
    """Score predictions with every measure of the problem.

    Parameters
    ----------
    problem : {"regression", "multi_output", "binary", "multiclass"}
    targets : array
        Class codes of shape (samples,), or numbers of shape (samples, outputs).
    prediction : array of shape (samples, outputs)
        Probabilities, or numbers in the units of the targets.

    Returns
    -------
    dict of str to float
        NaN where a measure is not defined, as R² of one sample.
    """
    scores = {}
    for name in PROBLEM_KINDS[problem].measures:
        try:
            scores[name] = score_one(name, targets, prediction)
        except ValueError:
            scores[name] = float("nan")
    return scores


def score_one(measure: str, targets: Array, prediction: Array) -> float:
    """Score predictions with one measure.

    Raises
    ------
    ValueError
        When it is not defined for these targets.
    """
    # Squares of large errors overflow in 32 bit.
    return float(_MEASURES[measure](np.asarray(targets), np.asarray(prediction, np.float64)))


def _log_losses(targets: Array, prediction: Array) -> Scores:
    chances = prediction.astype(np.float64)
    if chances.shape[1] == 1:
        chances = np.hstack([1 - chances, chances])
    chances = np.clip(chances, 1e-15, None)
    chances /= chances.sum(axis=1, keepdims=True)
    return np.asarray(-np.log(chances[np.arange(len(targets)), targets]))


def _errors(targets: Array, prediction: Array) -> Scores:
    return np.asarray(prediction.astype(np.float64) - targets.reshape(prediction.shape))


# Each of shape (samples,), from targets and predictions as in `measures.score`; its mean is the
# measure.
SAMPLE_LOSSES: dict[str, Callable[[Array, Array], Scores]] = {
    "accuracy": lambda y, p: (classes_of(p) == y).astype(np.float64),
    "mse": lambda y, p: np.square(_errors(y, p)).mean(axis=1),
    "mae": lambda y, p: np.abs(_errors(y, p)).mean(axis=1),
    "log_loss": _log_losses,
}


def classes_of(prediction: Array) -> Array:
    """Return the predicted class codes of probabilities of shape (samples, outputs)."""
    if prediction.shape[1] == 1:
        return (prediction[:, 0] >= 0.5).astype(np.int64)
    return np.asarray(np.argmax(prediction, axis=1))

"""Scores of many weightings of the same samples at once: what bootstraps and jackknives ask for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gridfold.arrays import Array, Scores
from gridfold.errors import TrialFailure
from gridfold.problems import Measure
from gridfold.training.measures import Scorer, chances_of, classes_of

WeightedScore = Callable[[Array], Scores]
"""Takes weights, whole numbers of shape (draws, samples): how often each sample is there. Returns
the scores of the draws, NaN where the measure is not defined."""

_RANKED = {
    "roc_auc": "area",
    "roc_auc_ovr": "area",
    "average_precision": "precision",
    "average_precision_ovr": "precision",
}
# A sum of squares below this share of what it was reckoned from is rounding.
_ROUNDING = 1e-12


def weighted_score(scorer: Scorer, targets: Array, predictions: Array) -> WeightedScore:
    """Return the function that scores weightings of samples, all of them in a few operations.

    Parameters
    ----------
    scorer : Scorer
    targets, predictions
        As in :func:`gridfold.training.measures.score`.
    """
    if scorer.function is not None:
        return _one_by_one(scorer, targets, predictions)
    if scorer.is_mean:
        return _mean(scorer.losses(targets, predictions))
    if scorer.measure in _RANKED:
        return _ranked(scorer, targets, predictions)
    if scorer.measure in _OF_CONFUSION:
        return _confused(scorer, targets, predictions)
    if scorer.measure in ("rmse", "r2"):
        return _squares(scorer.measure, targets, predictions)
    return _one_by_one(scorer, targets, predictions)


def is_fast(scorer: Scorer) -> bool:
    """Tell whether :func:`weighted_score` needs no call of the measure for each draw."""
    fast = scorer.is_mean or scorer.measure in {*_RANKED, *_OF_CONFUSION, "rmse", "r2"}
    return scorer.function is None and fast


def _divided(numerators: Array, denominators: Array) -> Scores:
    """Return quotients, NaN where the denominator is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominators > 0, numerators / denominators, np.nan)


def _mean(losses: Scores) -> WeightedScore:
    return lambda weights: _divided(weights @ losses, weights.sum(axis=1))


def _squares(measure: str, targets: Array, predictions: Array) -> WeightedScore:
    """Return root mean squared error or R², each the mean over the outputs."""
    truth = np.asarray(targets, np.float64).reshape(predictions.shape)
    errors = np.square(predictions.astype(np.float64) - truth)
    # Around the mean, so that squares of large targets lose no digits.
    truth = truth - truth.mean(axis=0)
    squares = np.square(truth)

    def score(weights: Array) -> Scores:
        total = weights.sum(axis=1, keepdims=True)
        error = weights @ errors
        if measure == "rmse":
            return np.asarray(np.sqrt(_divided(error, total)).mean(axis=1))
        raw = weights @ squares
        spread = raw - _divided(np.square(weights @ truth), total)
        found = 1 - _divided(error, np.where(spread > _ROUNDING * raw, spread, 0))
        return np.asarray(np.where(total[:, 0] > 1, found.mean(axis=1), np.nan))

    return score


def _one_by_one(scorer: Scorer, targets: Array, predictions: Array) -> WeightedScore:
    def one(weights: Array) -> float:
        taken = np.repeat(np.arange(len(targets)), weights.astype(np.int64))
        if not len(taken):
            return math.nan
        try:
            return scorer.score(targets[taken], predictions[taken])
        except (ValueError, TrialFailure):
            return math.nan

    return lambda weights: np.array([one(each) for each in weights], np.float64)


# -- measures of ranks -----------------------------------------------------------------------------


def _ranked(scorer: Scorer, targets: Array, predictions: Array) -> WeightedScore:
    """Return areas under ROC curves or average precisions, the mean over classes that are there."""
    kind = _RANKED[scorer.measure]
    codes = [1] if predictions.shape[1] == 1 else range(predictions.shape[1])
    columns = [
        _of_ranks(kind, targets == code, predictions[:, column].astype(np.float64))
        for column, code in enumerate(codes)
    ]

    def score(weights: Array) -> Scores:
        each = np.stack([of_one(weights) for of_one in columns])
        known = np.isfinite(each)
        return _divided(np.where(known, each, 0).sum(axis=0), known.sum(axis=0))

    return score


def _of_ranks(kind: str, positive: Array, chances: Scores) -> WeightedScore:
    order = np.argsort(-chances, kind="stable")
    ranked, is_positive = chances[order], positive[order]
    # Where each group of equal chances begins.
    first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])

    def score(weights: Array) -> Scores:
        sorted_weights = weights[:, order].astype(np.float64)
        right = np.add.reduceat(sorted_weights * is_positive, first, axis=1)
        wrong = np.add.reduceat(sorted_weights * ~is_positive, first, axis=1)
        rights = np.cumsum(right, axis=1)
        n_right, n_wrong = rights[:, -1], wrong.sum(axis=1)
        if kind == "area":
            # Mann & Whitney (1947): of all pairs those in the right order, equal ones half.
            area = (wrong * (rights - right / 2)).sum(axis=1)
            return _divided(area, n_right * n_wrong)
        taken = rights + np.cumsum(wrong, axis=1)
        precision = np.where(taken > 0, rights / np.maximum(taken, 1), 0.0)
        found = _divided((right * precision).sum(axis=1), n_right)
        return np.asarray(np.where(n_wrong > 0, found, np.nan))

    return score


# -- measures of predicted classes -----------------------------------------------------------------


# Of each class, weights of shape (draws, classes): predicted right, true, and predicted so.
_OfCounts = Callable[[Array, Array, Array], Scores]


def _confused(scorer: Scorer, targets: Array, predictions: Array) -> WeightedScore:
    """Return what follows from how often each class is true, predicted, and both."""
    codes = np.arange(chances_of(predictions[:1]).shape[1])
    true = np.asarray(targets)[:, np.newaxis] == codes
    told = classes_of(predictions, scorer.threshold)[:, np.newaxis] == codes
    indicators = [part.astype(np.float64) for part in (true & told, true, told)]
    # Studies of several classes that were finished before `f1_macro` have `f1`.
    several = scorer.measure == "f1" and predictions.shape[1] > 1
    of_counts = _OF_CONFUSION["f1_macro" if several else scorer.measure]
    least = 2 if Measure.of(scorer.measure).needs_two_classes else 1

    def score(weights: Array) -> Scores:
        right, is_true, is_told = (weights @ part for part in indicators)
        there = (is_true > 0).sum(axis=1)
        # Elsewhere it is not defined, nor are all of these.
        found = np.full(len(weights), np.nan)
        some = there >= least
        found[some] = of_counts(right[some], is_true[some], is_told[some])
        return found

    return score


def _recall(code: int) -> _OfCounts:
    return lambda right, true, told: np.nan_to_num(_divided(right, true)[:, code])


def _balanced(right: Array, true: Array, told: Array) -> Scores:
    return np.asarray(np.nanmean(_divided(right, true), axis=1))


def _f1(right: Array, true: Array, told: Array) -> Scores:
    return np.asarray(np.nan_to_num(_divided(2 * right, true + told)[:, 1]))


def _f1_macro(right: Array, true: Array, told: Array) -> Scores:
    return np.asarray(np.nanmean(_divided(2 * right, true + told), axis=1))


def _matthews(right: Array, true: Array, told: Array) -> Scores:
    total = true.sum(axis=1)
    joint = right.sum(axis=1) * total - (true * told).sum(axis=1)
    of_true, of_told = (total**2 - np.square(part).sum(axis=1) for part in (true, told))
    return np.asarray(np.nan_to_num(_divided(joint, np.sqrt(of_true * of_told))))


def _kappa(right: Array, true: Array, told: Array) -> Scores:
    total = true.sum(axis=1)
    expected = (true * told).sum(axis=1) / total
    return _divided(right.sum(axis=1) - expected, total - expected)


_OF_CONFUSION: dict[str, _OfCounts] = {
    "balanced_accuracy": _balanced,
    "f1": _f1,
    "f1_macro": _f1_macro,
    "sensitivity": _recall(1),
    "specificity": _recall(0),
    "matthews_correlation": _matthews,
    "cohen_kappa": _kappa,
}

"""How well single columns predict the target, each by itself, on other samples."""

from __future__ import annotations

import numpy as np

from gridfold.arrays import Array

_MOST_BINS = 64
_LEAST_IN_BIN = 5
_FOLDS = 2


def skills(table: Array, targets: Array, classes: int | None, seed: int = 0) -> Array:
    """Return the skill of each column: 0 for none, 1 for a perfect prediction.

    A column is cut into bins of about equal numbers of samples, missing values into one of their
    own; the most frequent class, or the mean rank, of a bin is its prediction. Fitted to one half
    of the samples and scored on the other, and the other way round.

    Parameters
    ----------
    table : array of shape (samples, columns)
    targets : array of shape (samples,)
        Class codes or numbers.
    classes : int or None
        Number of classes; None for numbers.
    seed : int

    Returns
    -------
    array of shape (columns,), float64
        Balanced accuracy above chance, as a share of what is possible above it; or the share of the
        variance of the targets' ranks that is explained.
    """
    halves = np.random.default_rng(seed).permutation(len(table)) % _FOLDS
    if classes is None:
        order = np.unique(targets, return_inverse=True, return_counts=True)
        # Mean ranks of equal ones, so that outliers do not decide.
        ends = np.cumsum(order[2])
        targets = (ends - (order[2] - 1) / 2)[order[1]] / len(targets)
    found = np.zeros(table.shape[1])
    for half in range(_FOLDS):
        fitted, scored = halves != half, halves == half
        for column in range(table.shape[1]):
            bins, count = _bins(table[:, column], fitted)
            if classes is None:
                found[column] += _of_numbers(bins, count, targets, fitted, scored)
            else:
                found[column] += _of_classes(bins, count, targets, classes, fitted, scored)
    return np.maximum(found / _FOLDS, 0)


def _bins(values: Array, fitted: Array) -> tuple[Array, int]:
    """Return the bin of each sample, and the number of bins."""
    missing = np.isnan(values)
    known = values[fitted & ~missing]
    if not len(known):
        return missing.astype(np.int64), 2
    distinct = np.unique(known)
    most = min(_MOST_BINS, max(2, len(known) // _LEAST_IN_BIN))
    if len(distinct) > most:
        quantiles = np.quantile(known, np.linspace(0, 1, most + 1)[1:-1])
        edges = np.unique(quantiles)
    else:
        edges = (distinct[1:] + distinct[:-1]) / 2
    bins = np.searchsorted(edges, values, side="right")
    bins[missing] = len(edges) + 1
    return bins, len(edges) + 2


def _of_numbers(bins: Array, count: int, targets: Array, fitted: Array, scored: Array) -> float:
    sizes = np.bincount(bins[fitted], minlength=count)
    sums = np.bincount(bins[fitted], weights=targets[fitted], minlength=count)
    mean = targets[fitted].mean()
    predicted = np.where(sizes > 0, sums / np.maximum(sizes, 1), mean)[bins[scored]]
    spread = np.square(targets[scored] - targets[scored].mean()).sum()
    return float(1 - np.square(targets[scored] - predicted).sum() / spread) if spread else 0.0


def _of_classes(
    bins: Array, count: int, targets: Array, classes: int, fitted: Array, scored: Array
) -> float:
    cells = bins[fitted] * classes + targets[fitted]
    table = np.bincount(cells, minlength=count * classes).reshape(count, classes)
    # Rare classes weigh as much as others.
    shares = table / np.maximum(table.sum(axis=0), 1)
    predicted = shares.argmax(axis=1)[bins[scored]]
    there = np.bincount(targets[scored], minlength=classes)
    right = np.bincount(targets[scored][predicted == targets[scored]], minlength=classes)
    recall = (right[there > 0] / there[there > 0]).mean()
    chance = 1 / int((there > 0).sum())
    return float((recall - chance) / (1 - chance)) if chance < 1 else 0.0

"""Splits by group that come near the asked sizes in samples, not only in numbers of groups."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gridfold.arrays import Array

# Draws among which the one that comes nearest is taken; the first is scikit-learn's.
_DRAWS = 100
# Moves and exchanges of groups that are tried.
_STEPS = 3000
# A draw of scikit-learn's that is as near as this, as a share of what was asked for, is kept: it is
# what earlier versions drew.
_NEAR_ENOUGH = 0.05


def held_out(groups: Array, fraction: float, seed: int, strata: Array | None = None) -> Array:
    """Draw groups that have about a fraction of the samples.

    Parameters
    ----------
    groups : array of shape (samples,)
    fraction : float
        Share of the samples to draw.
    seed : int
    strata : array of shape (samples,), int64, optional
        Class codes; then the drawn part also has about the class proportions of the whole.

    Returns
    -------
    array of int64
        Positions of the drawn samples, ascending.

    Raises
    ------
    ValueError
        When there are fewer than two groups.
    """
    from sklearn.model_selection import GroupShuffleSplit

    splitter = GroupShuffleSplit(1, test_size=fraction, random_state=seed)
    _, usual = next(splitter.split(groups, groups=groups))
    codes, counts = _counts(groups, strata)
    wanted = fraction * counts.sum(axis=0)
    best = np.isin(np.arange(len(counts)), codes[usual])
    distance = _distance(counts[best].sum(axis=0), wanted)
    if distance > _NEAR_ENOUGH:
        rng = np.random.default_rng(seed)
        for _ in range(_DRAWS):
            order = rng.permutation(len(counts))
            sizes = np.cumsum(counts[order].sum(axis=1))
            # One group at least stays on each side.
            number = 1 + int(np.abs(sizes[:-1] - wanted.sum()).argmin())
            drawn = order[:number]
            found = _distance(counts[drawn].sum(axis=0), wanted)
            if found < distance:
                best, distance = np.isin(np.arange(len(counts)), drawn), found
    return np.flatnonzero(best[codes])


def folds(groups: Array, number: int, seed: int, strata: Array | None = None) -> Iterator[Array]:
    """Yield the samples of each of some parts, of about equal numbers of samples.

    scikit-learn's ``GroupKFold`` that draws makes parts of equal numbers of groups, and its
    ``StratifiedGroupKFold`` draws among groups that are alike only, so that repeats would hardly
    differ. So groups are dealt to the parts at random, the largest first, and then moved and
    exchanged at random for as long as that makes the parts more even.

    Parameters
    ----------
    groups : array of shape (samples,)
    number : int
    seed : int
    strata : array of shape (samples,), int64, optional
        Class codes; then each part also has about the class proportions of the whole.

    Yields
    ------
    array of int64
        Positions, ascending.

    Raises
    ------
    ValueError
        When there are fewer groups than parts.
    """
    from sklearn.model_selection import GroupKFold

    usual = GroupKFold(number, shuffle=True, random_state=seed).split(groups, groups=groups)
    codes, counts = _counts(groups, strata)
    parts = np.empty(len(counts), np.int64)
    for fold, (_, members) in enumerate(usual):
        parts[codes[members]] = fold
    if strata is not None or _unevenness(counts, parts, number) > _NEAR_ENOUGH:
        parts = _even_parts(counts, number, np.random.default_rng(seed))
    for fold in range(number):
        yield np.flatnonzero(parts[codes] == fold)


def _even_parts(counts: Array, number: int, rng: np.random.Generator) -> Array:
    """Return the part of each group."""
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    rounds = math.ceil(len(counts) / number)
    dealt = rng.permuted(np.tile(np.arange(number), (rounds, 1)), axis=1)
    # All parts get a group of the first round.
    parts = np.empty(len(counts), np.int64)
    parts[order] = dealt.ravel()[: len(counts)]
    held = np.zeros((number, counts.shape[1]))
    np.add.at(held, parts, counts)
    members = np.bincount(parts, minlength=number)
    wanted = held.mean(axis=0)
    for one, other, is_exchange in zip(
        *rng.integers(len(counts), size=(2, _STEPS)), rng.random(_STEPS) < 0.5, strict=True
    ):
        here, there = parts[one], parts[other]
        if here == there or (not is_exchange and members[here] == 1):
            continue
        moved = counts[one] - counts[other] if is_exchange else counts[one]
        before = np.square(held[here] - wanted) + np.square(held[there] - wanted)
        after = np.square(held[here] - moved - wanted) + np.square(held[there] + moved - wanted)
        if after.sum() < before.sum():
            held[here] -= moved
            held[there] += moved
            parts[one] = there
            if is_exchange:
                parts[other] = here
            else:
                members[here] -= 1
                members[there] += 1
    return parts


def _counts(groups: Array, strata: Array | None = None) -> tuple[Array, Array]:
    """Return the group of each sample, and how many samples of each class each group has."""
    codes = np.unique(groups, return_inverse=True)[1]
    if strata is None:
        return codes, np.bincount(codes)[:, np.newaxis]
    counts = np.zeros((codes.max() + 1, int(strata.max()) + 1), np.int64)
    np.add.at(counts, (codes, strata), 1)
    return codes, counts


def _distance(found: Array, wanted: Array) -> float:
    """Return how far samples of each class are from what is wanted, as a share of all wanted."""
    total, classes = abs(found.sum() - wanted.sum()), np.abs(found - wanted).sum()
    return float(max(total, classes) / wanted.sum())


def _unevenness(counts: Array, parts: Array, number: int) -> float:
    """Return the difference between the largest and the smallest part, in parts of equal size."""
    samples = np.bincount(parts, weights=counts.sum(axis=1), minlength=number)
    return float((samples.max() - samples.min()) * number / samples.sum())

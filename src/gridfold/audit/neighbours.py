"""Nearly equal samples: so near to one another that chance does not explain it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gridfold.arrays import Array
from gridfold.audit.finding import MOST_ROWS, Finding
from gridfold.audit.material import FEW_SAMPLES, Material
from gridfold.wording import counted, percent

# Samples whose neighbours are looked for, in each part.
_QUERIES = 1000
_NEIGHBOURS, _BLOCKS = 10, 200
# A neighbour is suspiciously near at this share of the distance to the tenth one, or at less where
# more than one in a thousand samples would come so near by chance.
_NEAR, _CHANCE = 0.25, 1e-3
# Shares of the looked-at samples that matter: for an error, and for a warning.
_MANY, _SOME = 0.05, 0.01
_LEAST = 3
# Values of a column from which it counts as continuous.
_CONTINUOUS = 20
_LEAST_COLUMNS = 2


def check(material: Material) -> Iterator[Finding]:
    """Yield samples of the test set, or else of validation parts, with a near copy elsewhere."""
    if material.is_ordered or material.dataset.reading.get("windows"):
        # Neighbours in time are alike.
        return
    if len(material.development) < FEW_SAMPLES:
        return
    if len(material.test):
        yield from _near_copies(material, material.test, material.development, "")
    if not len(material.test) or material.dataset.test_start is not None:
        # One is enough: all are drawn alike, and so is a test set that is no one else's.
        name, split = next(iter(material.folds.items()))
        yield from _near_copies(material, split.validation, split.training, name)


def _near_copies(material: Material, asked: Array, known: Array, split: str) -> Iterator[Finding]:
    queries, others = material.rows(asked, _QUERIES), material.rows(known, 100_000, seed=1)
    points = _standardised(material, queries, others)
    if points is None or len(others) <= _NEIGHBOURS:
        return
    distances, places = _nearest(*points)
    # Equal ones are another finding.
    first, last = distances[:, 0], distances[:, -1]
    usable = (first > 0) & (last > 0)
    if usable.sum() < FEW_SAMPLES // 2:
        return
    dimension = _dimension(distances[usable])
    limit = min(_NEAR, (_CHANCE / (_NEIGHBOURS - 1)) ** (1 / dimension))
    near = np.flatnonzero(usable & (first < limit * last))
    share = len(near) / len(queries)
    # What a sample of the others lets us see of it.
    if len(near) < _LEAST or share < _SOME:
        return
    near = near[np.argsort(first[near] / last[near], kind="stable")]
    found = queries[near].tolist()
    twins = others[places[near, 0]].tolist()
    pairs = ", ".join(
        f"{material.row_names([one])} ~ {material.row_names([other])}"
        for one, other in zip(found[:4], twins[:4], strict=True)
    )
    where = "the training part of each split" if split else "the samples outside it"
    whole = "validation samples" if split else "test samples"
    yield Finding(
        "GF102",
        "error" if share >= _MANY and not split else "warning",
        f"{counted(len(found), 'sample')} of {len(queries):,} {whole} that were looked at "
        f"({percent(round(share, 3))}) {'has' if len(found) == 1 else 'have'} a near copy among "
        f"{where}, at less than {percent(round(limit, 3))} of the distance to the tenth neighbour: "
        f"{pairs}{' and others' * (len(found) > 4)}.",
        "Remove copies, or name in `data.groups` what they have in common (patient, scene, "
        "original of an augmented image), and use `resampling.method: group`.",
        tuple(found[:MOST_ROWS]),
        splits=(split,) * bool(split),
    )


def _standardised(material: Material, *parts: Array) -> list[Array] | None:
    """Return the parts as points in which columns weigh alike; None where there are too few."""
    points = [material.comparable(part) for part in parts]
    if material.is_table:
        sample = material.flat(material.rows(material.development, 2000))
        keep = [
            column
            for column in range(sample.shape[1])
            if len(np.unique(sample[:, column])) >= min(_CONTINUOUS, len(sample) // 2)
            and not material.is_category[column]
        ]
        if len(keep) < _LEAST_COLUMNS:
            return None
        points = [part[:, keep] for part in points]
        low, middle, high = np.nanpercentile(sample[:, keep], [10, 50, 90], axis=0)
        middle = middle.astype(np.float32)
        width = np.where(high > low, high - low, 1).astype(np.float32)
        # Outliers would make all others near to each other.
        points = [np.clip(np.nan_to_num((part - middle) / width), -3, 3) for part in points]
    return [np.ascontiguousarray(part, np.float32) for part in points]


def _nearest(queries: Array, others: Array) -> tuple[Array, Array]:
    """Return distances to the nearest others and their places; (queries, `_NEIGHBOURS`).

    The nearest one is exact. The next ones are the nearest of so many blocks of the others, which
    differ little from the true ones and are found much sooner.
    """
    order = np.random.default_rng(0).permutation(len(others))
    others = others[order]
    squares = np.einsum("ij,ij->i", others, others)
    starts = np.arange(0, len(others), math.ceil(len(others) / _BLOCKS))
    distances, places = [], []
    for first in range(0, len(queries), 100):
        piece = queries[first : first + 100]
        rough = squares - 2 * piece @ others.T
        blocks = zip(starts, [*starts[1:], len(others)], strict=True)
        chosen = np.stack([a + rough[:, a:b].argmin(axis=1) for a, b in blocks], axis=1)
        # Products round; so the distances of those that matter are reckoned again.
        exact = np.sqrt(np.square(others[chosen] - piece[:, np.newaxis]).sum(axis=2))
        nearest = np.argsort(exact, axis=1, kind="stable")[:, :_NEIGHBOURS]
        distances.append(np.take_along_axis(exact, nearest, axis=1))
        places.append(order[np.take_along_axis(chosen, nearest, axis=1)])
    return np.concatenate(distances), np.concatenate(places)


def _dimension(distances: Array) -> float:
    """Return the intrinsic dimension of the data, at least 0.5, by the median over samples.

    Levina & Bickel (2004), with the distances between the fifth and the last neighbour, which a few
    copies leave alone.
    """
    inner = distances[:, _NEIGHBOURS // 2 - 1]
    ratio = np.log(distances[:, -1] / np.maximum(inner, 1e-12))
    # Of uniform points, ratio * dimension is the sum of 5 spacings, whose median is near this.
    expected = np.log(_NEIGHBOURS / (_NEIGHBOURS / 2))
    return float(max(0.5, expected / max(float(np.median(ratio)), 1e-6)))

"""What the order of the rows and their times say about the splits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gridfold.arrays import Array
from gridfold.audit.finding import MOST_ROWS, Finding
from gridfold.audit.material import FEW_SAMPLES, Material
from gridfold.data.splits import FINAL
from gridfold.wording import counted, first_of, percent

# Consecutive rows are alike if they differ by less than this share of what rows ten apart do.
_SERIAL, _FAR = 0.7, 10
_ROWS = 20_000
_SORTED = 0.95
_LEAST_FEATURES = 2
_SPLITS_NAMED = 5


def check(material: Material) -> Iterator[Finding]:
    """Yield what is wrong with order and times."""
    yield from _future(material)
    if material.is_ordered:
        yield from _sorted(material)
    else:
        yield from _serial(material)


def _future(material: Material) -> Iterator[Finding]:
    """Yield splits whose training part knows what comes after the validation part begins."""
    spans = material.dataset.spans
    if spans is None or material.is_ordered:
        return
    known = []
    worst = 0.0
    for name, split in {**material.folds, FINAL: material.splits.by_name[FINAL]}.items():
        asked = material.test if name == FINAL else split.validation
        if name == FINAL and material.dataset.test_start is not None:
            continue
        if not (len(asked) and len(split.training)):
            continue
        share = float((spans[split.training, 1] > np.median(spans[asked, 0])).mean())
        if share > 0:
            known.append("the test set" if name == FINAL else name)
            worst = max(worst, share)
    if not known:
        return
    by_group = material.has_groups
    yield Finding(
        "GF106",
        "note" if by_group else "error",
        f"With `resampling.method: {material.request.method}`, up to {percent(round(worst, 2))} of "
        "the training samples are later than half of what is predicted from them "
        f"({first_of(known, _SPLITS_NAMED)}): models know the future of what they are scored on"
        + (", of other groups." if by_group else "."),
        "Use `resampling.method: forward` or `blocked`, if the model is to predict what is to "
        "come; else leave out `data.time`.",
        splits=tuple(name for name in known if name in material.folds),
    )


def _serial(material: Material) -> Iterator[Finding]:
    """Yield consecutive rows that are alike, which shuffled splits put on both sides."""
    dataset = material.dataset
    if material.has_groups or dataset.reading.get("windows") or dataset.spans is not None:
        # Groups stay together; of times there is another finding.
        return
    end = len(dataset.features) if dataset.test_start is None else dataset.test_start
    if end < FEW_SAMPLES:
        return
    count = len(material.rows(np.arange(end), _ROWS))
    # A stretch without gaps.
    rows = np.arange(min(end, count))
    points = material.comparable(rows).astype(np.float64)
    varied = np.nanstd(points, axis=0) > 0
    if material.is_table:
        varied &= ~material.is_category
    points = points[:, varied]
    if points.shape[1] < _LEAST_FEATURES:
        return
    ratios = np.array([_likeness(points[:, column]) for column in range(points.shape[1])])
    target = _likeness(material.numbers[rows].astype(np.float64))
    typical = float(np.median(ratios))
    if typical >= _SERIAL or (target >= _SERIAL and not material.is_classification):
        return
    yield Finding(
        "GF107",
        "warning",
        f"Rows that follow each other are alike: the typical feature differs between them by "
        f"{percent(round(typical, 2))} of what it does ten rows apart. They seem to be listed or "
        f"measured one after another, and `resampling.method: {material.request.method}` puts "
        "neighbours on both sides of each split.",
        "Name the column of time in `data.time` and use `resampling.method: blocked` or `forward`, "
        "or name in `data.groups` what was measured in one go.",
    )


def _likeness(values: Array) -> float:
    """Return the mean difference of consecutive values as a share of that of values far apart.

    Rows that are sorted by class, or by anything else that is nearly constant over ten rows, have
    about 1.
    """
    near = np.nanmean(np.abs(np.diff(values)))
    far = np.nanmean(np.abs(values[_FAR:] - values[:-_FAR]))
    return float(near / far) if far > 0 else 1.0


def _sorted(material: Material) -> Iterator[Finding]:
    """Yield rows that are sorted by the target, in splits that follow their order."""
    targets = material.numbers[material.development]
    if material.dataset.spans is not None:
        order = np.argsort(material.dataset.spans[material.development, 1], kind="stable")
        targets = targets[order]
    if len(targets) < FEW_SAMPLES or len(np.unique(targets)) < 2:
        return
    if material.is_classification:
        changes = 1 + np.flatnonzero(np.diff(targets))
        is_sorted = len(changes) == len(np.unique(targets)) - 1
        what = f"the {counted(len(np.unique(targets)), 'class', 'classes')} lie one after another"
    else:
        from scipy.stats import spearmanr

        correlation = float(spearmanr(np.arange(len(targets)), targets)[0])
        changes = np.empty(0, np.int64)
        is_sorted = abs(correlation) >= _SORTED
        what = f"the rank correlation of the target with the place of its row is {correlation:.2f}"
    if is_sorted:
        yield Finding(
            "GF111",
            "error" if material.dataset.spans is None else "warning",
            f"The samples are sorted by the target ({what}), and `resampling.method: "
            f"{material.request.method}` cuts them in this order: models are scored on targets of "
            "a kind that they were not trained on.",
            "Use a method that shuffles, as `stratified` or `kfold`, unless this is the order of "
            "time.",
            tuple(material.development[changes][:MOST_ROWS].tolist()),
        )

"""What the parts of the splits have: classes, groups, and the same distribution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gridfold.arrays import Array
from gridfold.audit.finding import MOST_ROWS, Finding
from gridfold.audit.material import FEW_SAMPLES, Material, quoted
from gridfold.data.splits import Split
from gridfold.wording import counted, first_of, measure_name, percent, shorten

# A class with fewer samples outside the test set, or a smaller share of them, is rare.
_FEW_MEMBERS, _SMALL_SHARE = 10, 0.01
# Measures that hardly see a rare class.
_BLIND = ("accuracy", "log_loss", "brier_score", "top_3_accuracy", "top_5_accuracy")
# Samples of each part, and columns, by which they are told apart.
_SAMPLES, _COLUMNS = 2000, 200
# An area under the curve from which parts differ, and what must lie below it by three standard
# errors; and the difference of distribution functions from which a column is named.
_AREA, _LEAST_AREA, _STEP, _LEVEL = 0.65, 0.58, 0.15, 0.01
_STANDARD_ERRORS = 3
_FOLDS, _FITTED = 4, 1500
_NAMED = 5


def check(material: Material) -> Iterator[Finding]:
    """Yield what is wrong with the parts of the splits."""
    yield from _groups(material)
    if material.is_classification:
        yield from _classes(material)
        yield from _rare(material)
    yield from _undefined(material)
    yield from _drift(material)


def _parts(material: Material) -> dict[str, Split]:
    """Return all splits, that of the final model with the test set as its validation part."""
    return material.folds | {"the test set": Split(material.development, material.test)}


def _groups(material: Material) -> Iterator[Finding]:
    """Yield groups on both sides of a split."""
    if not material.has_groups:
        return
    groups = material.dataset.groups
    torn: set[int] = set()
    splits = []
    for name, split in _parts(material).items():
        shared = np.intersect1d(groups[split.training], groups[split.validation])
        if len(shared):
            torn |= {*shared.tolist()}
            splits.append(name)
    if torn:
        rows = np.flatnonzero(np.isin(groups, [*torn]))
        yield Finding(
            "GF104",
            "note",
            f"{counted(len(torn), 'group')} of {len(np.unique(groups)):,} "
            f"{'stands' if len(torn) == 1 else 'stand'} on both sides of {_named(splits)}, since "
            f"`resampling.method: {material.request.method}` splits by time.",
            "Nothing, if the model is to predict what comes next in groups that it knows; scores "
            "say nothing about new groups.",
            tuple(rows[:MOST_ROWS].tolist()),
            splits=tuple(splits),
        )


def _named(splits: list[str]) -> str:
    return first_of(splits, _NAMED)


def _classes(material: Material) -> Iterator[Finding]:
    """Yield classes that are missing where they are trained on, or scored."""
    targets = material.dataset.targets
    names = material.dataset.class_names or []
    everywhere = np.unique(targets)
    untrained: dict[str, list[int]] = {}
    unscored: dict[str, list[int]] = {}
    for name, split in _parts(material).items():
        for rows, lacking in ((split.training, untrained), (split.validation, unscored)):
            missing = np.setdiff1d(everywhere, targets[rows])
            if len(rows) and len(missing):
                lacking[name] = missing.tolist()
    if untrained:
        yield Finding(
            "GF113",
            "error",
            f"The training parts of {_named([*untrained])} lack "
            f"{_class_names(untrained, names)}: no model there can predict what is asked of it.",
            "Use `resampling.method: stratified` (with groups `stratified_group`), fewer folds, or "
            "join rare classes.",
            splits=tuple(untrained),
        )
    if unscored:
        yield Finding(
            "GF113",
            "warning",
            f"The validation parts of {_named([*unscored])} lack {_class_names(unscored, names)}: "
            "their scores say nothing about these.",
            "Use `resampling.method: stratified` (with groups `stratified_group`), fewer folds, or "
            "join rare classes.",
            splits=tuple(unscored),
        )


def _class_names(lacking: Mapping[str, list[int]], names: list[str]) -> str:
    codes = sorted({code for missing in lacking.values() for code in missing})
    texts = [shorten(names[code], 30) for code in codes]
    return f"{'class' if len(texts) == 1 else 'classes'} {first_of(texts, _NAMED)}"


def _rare(material: Material) -> Iterator[Finding]:
    names = material.dataset.class_names or []
    counts = np.bincount(material.dataset.targets[material.development], minlength=len(names))
    shares = counts / counts.sum()
    rare = np.flatnonzero((counts < _FEW_MEMBERS) | (shares < _SMALL_SHARE))
    rare = rare[counts[rare] > 0]
    if not len(rare):
        return
    is_blind = material.request.measure in _BLIND and bool((shares[rare] < _SMALL_SHARE).any())
    texts = [
        f"{shorten(names[c], 30)} ({counts[c]:,}, {percent(round(shares[c], 4))})" for c in rare
    ]
    yield Finding(
        "GF116",
        "warning" if is_blind else "note",
        f"{counted(len(rare), 'class', 'classes')} of {len(names)} "
        f"{'is' if len(rare) == 1 else 'are'} rare outside the test set: "
        f"{first_of(texts, _NAMED)}."
        + f" {measure_name(material.request.measure)} hardly depends on them."
        * is_blind,
        "Rank by `balanced_accuracy`, `f1` or `average_precision`, and look at the scores of each "
        "class."
        if is_blind
        else "Their scores are those of a few samples: look at the scores of each class.",
    )


def _undefined(material: Material) -> Iterator[Finding]:
    """Yield splits on which the ranking measure is not defined, or says nothing."""
    targets = material.numbers
    if not material.measure.needs_two_values:
        return
    lacking = [
        name
        for name, split in _parts(material).items()
        if len(split.validation) and len(np.unique(targets[split.validation])) < 2
    ]
    if not lacking:
        return
    what = "one class" if material.is_classification else "one value"
    yield Finding(
        "GF114",
        "error" if len(lacking) >= len(material.folds) else "warning",
        f"{measure_name(material.request.measure)} says nothing on {_named(lacking)}, where all "
        f"targets are of {what}.",
        "Use `resampling.method: stratified` (with groups `stratified_group`), fewer folds, or "
        "another `problem.measure`."
        if material.is_classification
        else "Use fewer folds, or another `problem.measure`, such as `mae`.",
        splits=tuple(lacking),
    )


# -- drift ----------------------------------------------------------------------------------------


def _drift(material: Material) -> Iterator[Finding]:
    """Yield a test set that can be told from the training samples."""
    development, test = material.development, material.test
    if min(len(development), len(test)) < FEW_SAMPLES // 2:
        return
    drawn = [material.rows(rows, _SAMPLES) for rows in (development, test)]
    parts = [material.comparable(rows).astype(np.float64) for rows in drawn]
    chosen = np.arange(parts[0].shape[1])
    if len(chosen) > _COLUMNS:
        chosen = np.sort(np.random.default_rng(0).permutation(len(chosen))[:_COLUMNS])
    inside, outside = (part[:, chosen] for part in parts)
    groups = [material.dataset.groups[rows] for rows in drawn]
    if min(len(np.unique(part)) for part in groups) < _FOLDS:
        return
    area, error = _told_apart(inside, outside, groups)
    if area < _AREA or area - _STANDARD_ERRORS * error < _LEAST_AREA:
        return
    shifted = _shifted(inside, outside)
    names = material.column_names(chosen[shifted]) if material.is_table else ()
    by_time = material.is_ordered
    yield Finding(
        "GF115",
        "note" if by_time else "warning",
        f"The test set is unlike the samples outside it: a forest of trees tells them apart with "
        f"an area under the ROC curve of {area:.2f} (0.5 if they were alike)."
        + (f" Features that differ most: {quoted(names)}." if names else ""),
        "Scores over the splits need not hold for the test set. With splits by time, that may be "
        "what there is to find out."
        if by_time
        else "Ask where both come from, and whether new samples will be like the test set.",
        columns=names,
    )


def _told_apart(inside: Array, outside: Array, groups: Sequence[Array]) -> tuple[float, float]:
    """Return how well a forest tells two parts apart: the area under its ROC curve, and its SE.

    A classifier two-sample test (Lopez-Paz & Oquab 2017), cross-validated with whole groups, which
    a forest would know again. The standard error is that of Hanley & McNeil (1982), for as many
    samples as there are groups.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold

    table = np.nan_to_num(np.concatenate([inside, outside]), nan=-1e9)
    labels = np.repeat([0, 1], [len(inside), len(outside)])
    forest = RandomForestClassifier(
        30, max_depth=6, min_samples_leaf=3, class_weight="balanced", random_state=0
    )
    chances = np.zeros(len(labels))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    for training, rest in folds.split(table, labels, np.concatenate(groups)):
        # As many are enough, and soon done.
        fitted = training[np.random.default_rng(0).permutation(len(training))[:_FITTED]]
        chances[rest] = forest.fit(table[fitted], labels[fitted]).predict_proba(table[rest])[:, -1]
    area = float(roc_auc_score(labels, chances))
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    m, n = (len(np.unique(part)) for part in groups)
    variance = area * (1 - area) + (n - 1) * (q1 - area**2) + (m - 1) * (q2 - area**2)
    return area, float(np.sqrt(max(variance, 0) / (n * m)))


def _shifted(inside: Array, outside: Array) -> Array:
    """Return the columns whose distributions differ, the most different first.

    By Kolmogorov & Smirnov, with Bonferroni's correction for all columns, where the difference is
    also large.
    """
    from scipy.stats import ks_2samp

    steps = np.zeros(inside.shape[1])
    for column in range(inside.shape[1]):
        one, other = (part[:, column][~np.isnan(part[:, column])] for part in (inside, outside))
        if len(one) and len(other):
            test = ks_2samp(one, other)
            if test.pvalue * inside.shape[1] <= _LEVEL and test.statistic >= _STEP:
                steps[column] = test.statistic
    order = np.argsort(-steps, kind="stable")
    return np.asarray(order[steps[order] > 0][:_NAMED])

"""Columns of a table that give the target away, or are no features at all."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from gridfold.arrays import Array
from gridfold.audit.finding import Finding
from gridfold.audit.material import FEW_SAMPLES, Material, quoted
from gridfold.audit.skill import skills
from gridfold.data.description import ColumnDescription
from gridfold.wording import counted, percent

# Skill from which a column predicts the target all but perfectly; from which it is striking, if the
# others together are worse by so much; and what none of the others may reach.
_PERFECT, _STRIKING, _GAP, _EASY = 0.98, 0.95, 0.2, 0.9
_MODEL_SAMPLES, _MODEL_COLUMNS = 2000, 100
# Integers that are nearly all different look like numbers given one after another if they fill this
# share of their range.
_DENSE = 0.5
# Some samples may be there twice.
_DISTINCT = 0.95
_IDENTIFIER = re.compile(
    r"(^|[\W_])(id|ids|uid|uuid|guid|key|index|idx|row|rownames|rownumber|nr|number|no|serial|code)$",
    re.IGNORECASE,
)
# Who or what gives several samples.
_SUBJECT = re.compile(
    r"(^|[\W_])(patient|subject|participant|person|user|customer|client|animal|donor|household|"
    r"speaker|writer|author|session|recording|specimen|individual|scan|video|slide|case)"
    r"s?([\W_]?(id|nr|no|num|number|name|code|key))?$",
    re.IGNORECASE,
)
_LEAST_GROUPS, _LEAST_SIZE = 10, 1.5
# Columns that belong to a group have this much of their variance between values; and neighbouring
# values are then no more alike than any two are. Below this level it is no chance.
_BETWEEN, _ARBITRARY, _LEVEL = 0.3, 0.6, 1e-6
_GROUP_SAMPLES = 5000
_MISSING = 0.5


def check(material: Material) -> Iterator[Finding]:
    """Yield what is wrong with single columns."""
    yield from _ignored_groups(material)
    if not material.is_table:
        return
    rows = material.rows(np.arange(len(material.dataset.features)))
    table = material.flat(rows)
    yield from _constant(material, table)
    if len(rows) < FEW_SAMPLES:
        return
    counting = _counting(material, rows, table)
    identifying = [c for c in _identifying(material, rows, table) if c not in counting]
    ability = _abilities(material)
    yield from _told(material, "GF110", counting, ability)
    yield from _told(material, "GF109", identifying, ability)
    yield from _predicting(material, ability, {*counting, *identifying})
    yield from _grouping(material, rows, table, {*counting, *identifying})
    yield from _missing(material, table)


# -- no features ----------------------------------------------------------------------------------


def _constant(material: Material, table: Array) -> Iterator[Finding]:
    # A whole pass only over those that are constant in a part.
    with np.errstate(invalid="ignore"):
        first = table[:1]
        suspects = np.flatnonzero(
            ((table == first) | (np.isnan(table) & np.isnan(first))).all(axis=0)
        )
    features = material.dataset.features
    constant = [int(c) for c in suspects if len(np.unique(features[:, c])) == 1]
    if constant:
        names = material.column_names(constant)
        yield Finding(
            "GF112",
            "note",
            f"{counted(len(names), 'feature')} {'has' if len(names) == 1 else 'have'} the same "
            f"value in all samples: {quoted(names)}.",
            "Leave them out (`data.ignore`); they cost time and tell nothing.",
            columns=names,
        )


def _whole_numbers(values: Array) -> bool:
    return bool((np.isfinite(values) & (values == np.rint(values))).all())


def _counting(material: Material, rows: Array, table: Array) -> list[int]:
    """Return the columns that go up or down by the same step from row to row."""
    found = []
    for column in range(table.shape[1]):
        step = np.diff(table[:, column]) / np.diff(rows)
        # Of 32 bits, and of a column that was scaled.
        if np.all(np.isfinite(step)) and step[0] and np.allclose(step, step.mean(), rtol=0.02):
            found.append(column)
    return found


def _identifying(material: Material, rows: Array, table: Array) -> Iterator[int]:
    """Yield the columns whose values name the samples."""
    features = material.dataset.features
    for column in range(table.shape[1]):
        values = table[:, column]
        if material.is_category[column]:
            columns = material.dataset.columns
            assert columns is not None
            if len(columns[column].categories or ()) > _DENSE * len(features):
                yield column
            continue
        if not _whole_numbers(values) or len(np.unique(values)) < _DISTINCT * len(values):
            continue
        whole = np.asarray(features[:, column], np.float64)
        distinct = len(np.unique(whole))
        if not _whole_numbers(whole) or distinct < _DISTINCT * len(whole):
            continue
        is_dense = distinct / (whole.max() - whole.min() + 1) >= _DENSE
        if is_dense or _IDENTIFIER.search(material.names[column]):
            yield column


def _told(material: Material, code: str, columns: list[int], ability: Array) -> Iterator[Finding]:
    if not columns:
        return
    names = material.column_names(columns)
    strongest = max(columns, key=lambda column: ability[column])
    skill = float(ability[strongest])
    tells = ""
    if skill >= _BETWEEN:
        tells = (
            f" `{material.names[strongest]}` alone explains {percent(round(skill, 2))} of what a "
            "perfect prediction would: the rows are in an order that has to do with the target."
        )
    what = (
        "the same step from row to row"
        if code == "GF110"
        else "another value in nearly each sample, as numbers or names that were given to them"
    )
    yield Finding(
        code,
        "error" if skill >= _BETWEEN else "warning",
        f"{counted(len(names), 'feature')} {'has' if len(names) == 1 else 'have'} {what}: "
        f"{quoted(names)}.{tells}",
        "Leave it out (`data.ignore`), or name it as `data.id`; nothing is known of the numbers of "
        "new samples.",
        columns=names,
    )


# -- the target in disguise -----------------------------------------------------------------------


def _abilities(material: Material) -> Array:
    """Return the skill of each column on samples outside the test set."""
    rows = material.rows(material.development)
    names = material.dataset.class_names
    return skills(
        material.flat(rows), material.numbers[rows], None if names is None else len(names)
    )


def _predicting(material: Material, ability: Array, told: set[int]) -> Iterator[Finding]:
    ability = ability.copy()
    ability[[*told]] = 0
    perfect = np.flatnonzero(ability >= _PERFECT)
    others = np.setdiff1d(np.arange(len(ability)), [*perfect, *told])
    if len(perfect):
        rest = float(ability[others].max(initial=0))
        names = material.column_names(perfect)
        is_easy = rest >= _EASY
        comparison = (
            f"; the best of the other features reaches {percent(round(rest, 3))}, too, so the task "
            "may be easy"
            if is_easy
            else f", where the best of the other features reaches {percent(round(rest, 3))}"
            if len(others)
            else ""
        )
        yield Finding(
            "GF108",
            "note" if is_easy else "error",
            f"{quoted(names)} {'predicts' if len(names) == 1 else 'predict'} the target alone: "
            f"{percent(round(float(ability[perfect[0]]), 3))} of a perfect prediction above chance"
            f"{comparison}.",
            "Ask whether it is known before the target is, and whether it was made from it. If "
            "not so, leave it out (`data.ignore`).",
            columns=names,
        )
        return
    best = int(ability.argmax())
    if ability[best] < _STRIKING or len(ability) < 2:
        return
    joint = _joint_skill(material, [c for c in others if c != best])
    if joint <= ability[best] - _GAP:
        yield Finding(
            "GF108",
            "warning",
            f"`{material.names[best]}` alone reaches {percent(round(float(ability[best]), 3))} of "
            f"a perfect prediction above chance, all the other features together "
            f"{percent(round(max(joint, 0), 3))}.",
            "Ask whether it is known before the target is, and whether it was made from it. If "
            "not so, leave it out (`data.ignore`).",
            columns=material.column_names([best]),
        )


def _joint_skill(material: Material, columns: list[int]) -> float:
    """Return the skill of a forest of trees with some columns, out of bag."""
    from sklearn import ensemble, metrics

    rows = material.rows(material.development, _MODEL_SAMPLES)
    columns = columns[:_MODEL_COLUMNS]
    table = np.nan_to_num(material.flat(rows)[:, columns], nan=-1e9)
    targets = material.numbers[rows]
    options = {"n_estimators": 100, "oob_score": True, "random_state": 0, "min_samples_leaf": 3}
    if not material.is_classification:
        forest = ensemble.RandomForestRegressor(**options).fit(table, targets)
        return float(forest.oob_score_)
    forest = ensemble.RandomForestClassifier(class_weight="balanced", **options).fit(table, targets)
    predicted = forest.classes_[np.nan_to_num(forest.oob_decision_function_).argmax(axis=1)]
    return float(metrics.balanced_accuracy_score(targets, predicted, adjusted=True))


# -- groups that nobody has declared ---------------------------------------------------------------


def _ignored_groups(material: Material) -> Iterator[Finding]:
    """Yield columns without a role that name who gave several samples."""
    if material.has_groups or material.is_ordered:
        return
    found = [c for c in material.description.columns if _names_subjects(c, material)]
    if found:
        names = tuple(column.name for column in found)
        column = found[0]
        yield Finding(
            "GF105",
            "warning",
            f"{quoted(names)} {'is' if len(names) == 1 else 'are'} not used, and "
            f"{'seems' if len(names) == 1 else 'seem'} to tell who gave several samples: "
            f"`{column.name}` has {column.distinct:,} values in {material.description.rows:,} "
            "rows. Samples of one of them may stand on both sides of a split.",
            f"Name it: `data.groups: {column.name}` with `resampling.method: group`.",
            columns=names,
        )


def _names_subjects(column: ColumnDescription, material: Material) -> bool:
    rows = material.description.rows
    return (
        column.roles == ("ignored",)
        and _SUBJECT.search(column.name) is not None
        and _LEAST_GROUPS <= column.distinct <= rows / _LEAST_SIZE
    )


def _grouping(material: Material, rows: Array, table: Array, told: set[int]) -> Iterator[Finding]:
    """Yield features that say who gave a sample."""
    if material.has_groups or material.is_ordered:
        return
    found = []
    for column in range(table.shape[1]):
        if column in told:
            continue
        values = table[:, column]
        if not _whole_numbers(values):
            continue
        distinct = len(np.unique(values))
        if not _LEAST_GROUPS <= distinct <= len(values) / _LEAST_SIZE:
            continue
        if _SUBJECT.search(material.names[column]) or _marks_groups(material, table, column):
            found.append(column)
    if found:
        names = material.column_names(found)
        yield Finding(
            "GF105",
            "warning",
            f"{quoted(names)} {'seems' if len(names) == 1 else 'seem'} to tell who or what gave "
            f"several samples ({len(np.unique(table[:, found[0]])):,} values in {len(rows):,} "
            "samples), and these stand on both sides of the splits: a model can know them again.",
            f"Name it: `data.groups: {names[0]}` with `resampling.method: group`; then it is no "
            "feature.",
            columns=names,
        )


def _marks_groups(material: Material, table: Array, column: int) -> bool:
    """Tell whether samples with the same value are alike, and those with a near one are not.

    So it is with numbers that were given to patients, and with no quantity.
    """
    from scipy.stats import f as f_distribution

    sample = table[:_GROUP_SAMPLES]
    others = [c for c in range(table.shape[1]) if c != column and not material.is_category[c]]
    others = [c for c in others if len(np.unique(sample[:, c])) >= _LEAST_GROUPS]
    codes, sizes = np.unique(sample[:, column], return_inverse=True, return_counts=True)[1:]
    if len(others) < 2 or len(sizes) < _LEAST_GROUPS or sizes.mean() < _LEAST_SIZE:
        return False
    marked = 0
    for other in others[:_MODEL_COLUMNS]:
        values = sample[:, other].astype(np.float64)
        values = np.where(np.isnan(values), np.nanmean(values), values)
        means = np.bincount(codes, weights=values) / sizes
        within = np.square(values - means[codes]).sum() / max(len(values) - len(sizes), 1)
        between = max(float(means.var(ddof=1)) - within / sizes.mean(), 0.0)
        # Of values in no order, neighbours differ as any two do (von Neumann, 1941).
        smoothness = np.square(np.diff(means)).mean() / (2 * means.var()) if means.var() else 0
        share = between / (between + within) if between + within else 0.0
        spread = (sizes * np.square(means - values.mean())).sum() / (len(sizes) - 1)
        degrees = len(sizes) - 1, max(len(values) - len(sizes), 1)
        level = f_distribution.sf(spread / within, *degrees) if within else 0.0
        marked += share >= _BETWEEN and smoothness >= _ARBITRARY and level <= _LEVEL
    return marked * 2 >= len(others[:_MODEL_COLUMNS])


# -- missing values -------------------------------------------------------------------------------


def _missing(material: Material, table: Array) -> Iterator[Finding]:
    share = np.isnan(table).mean(axis=0)
    found = np.flatnonzero(share > _MISSING)
    if len(found):
        names = material.column_names(found)
        yield Finding(
            "GF117",
            "note",
            f"{counted(len(names), 'feature')} {'lacks' if len(names) == 1 else 'lack'} more than "
            f"half of the values: {quoted(names)}.",
            "What replaces them decides what a model sees: look at `data.missing`, or leave them "
            "out.",
            columns=names,
        )

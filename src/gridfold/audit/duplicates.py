"""Equal samples: in parts that must not share any, and with targets that contradict each other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from gridfold import arrays
from gridfold.arrays import Array, Samples
from gridfold.audit.finding import MOST_ROWS, Finding, Severity
from gridfold.audit.material import Material
from gridfold.wording import counted, percent

# Shares of a part that matter: for an error, and for a warning.
_MANY, _SOME = 0.01, 0.002
# Columns and rows by which it is decided whether rows are equal by chance.
_MOST_COLUMNS, _MOST_ROWS = 64, 50_000
_NAMED = 4


def check(material: Material) -> Iterator[Finding]:
    """Yield what is wrong with equal samples."""
    codes = _codes(material.dataset.features)
    sizes = np.bincount(codes)
    repeated = sizes[codes] > 1
    if not repeated.any():
        return
    by_chance = _are_by_chance(material, codes, repeated)
    yield from _in_both_parts(material, codes, by_chance=by_chance)
    yield from _contradicting(material, codes, repeated, by_chance=by_chance)


def _codes(features: Samples) -> Array:
    """Return one code for each sample, equal for equal ones."""
    keys = []
    for piece in arrays.pieces(features):
        part = features[piece]
        if part.dtype.kind == "f":
            # -0.0 equals 0.0.
            part = part + np.zeros(1, part.dtype)
        rows = np.ascontiguousarray(part).reshape(len(part), -1)
        keys += [hashlib.blake2b(row.data, digest_size=8).digest() for row in rows]
    numbers = np.frombuffer(b"".join(keys), np.uint64)
    return np.asarray(np.unique(numbers, return_inverse=True)[1])


def _are_by_chance(material: Material, codes: Array, repeated: Array) -> bool:
    """Tell whether rows are equal because their values are few, and not because they were copied.

    Where chance makes rows equal, it makes many more that differ in a single column; copies stand
    alone.
    """
    if not material.is_table:
        return False
    most = len(material.rows(np.arange(len(codes)), _MOST_ROWS)) // 2
    copies = np.flatnonzero(repeated)
    # Equal ones stay together.
    copies = copies[np.argsort(codes[copies], kind="stable")][:most]
    others = material.rows(np.flatnonzero(~repeated), most)
    table = material.flat(np.concatenate([copies, others])) + np.float32(0)
    width = material.dataset.features.shape[1]
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(width)[:_MOST_COLUMNS])
    total = np.zeros(len(table), np.uint64)
    parts = {}
    for column in range(width):
        values, places = np.unique(table[:, column], return_inverse=True)
        part = rng.integers(1, 2**63, len(values), dtype=np.uint64)[places]
        total += part
        if column in chosen:
            parts[column] = part
    equal = _pairs(total)
    nearly = sum(_pairs(total - part) - equal for part in parts.values())
    return bool(nearly * width / len(parts) >= equal)


def _pairs(codes: Array) -> int:
    counts = np.unique(codes, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def _in_both_parts(material: Material, codes: Array, *, by_chance: bool) -> Iterator[Finding]:
    """Yield samples of the test or of a validation part that were trained on."""
    development, test = material.development, material.test
    in_test = test[np.isin(codes[test], codes[development])]
    explained = " Values are so few that chance makes rows equal; more differ in one column only."
    if len(in_test):
        share = len(in_test) / len(test)
        severity: Severity = "error" if share >= _MANY else "warning" if share >= _SOME else "note"
        yield Finding(
            "GF101",
            "note" if by_chance else severity,
            f"{counted(len(in_test), 'sample')} of the test set ({percent(round(share, 4))}) "
            f"{'equals' if len(in_test) == 1 else 'equal'} samples outside it in all features: "
            f"{_pair_names(material, codes, in_test, development)}." + explained * by_chance,
            "Remove copies, or name in `data.groups` what they have in common, so that they stay "
            "on one side."
            if not by_chance
            else "Nothing, if different things can look alike here.",
            tuple(in_test[:MOST_ROWS].tolist()),
        )
    torn: dict[int, None] = {}
    splits = []
    most = 0.0
    for name, split in material.folds.items():
        known = split.validation[np.isin(codes[split.validation], codes[split.training])]
        if len(known):
            splits.append(name)
            most = max(most, len(known) / len(split.validation))
            torn |= dict.fromkeys(known.tolist())
    if torn:
        rows = np.array([*torn])
        severity = "warning" if most >= _MANY else "note"
        yield Finding(
            "GF101",
            "note" if by_chance else severity,
            f"{counted(len(rows), 'sample')} of validation parts, up to "
            f"{percent(round(most, 4))} of one, {'equals' if len(rows) == 1 else 'equal'} samples "
            f"of the training part: {_pair_names(material, codes, rows, development)}."
            + explained
            * by_chance,
            "Remove copies, or name in `data.groups` what they have in common, and use "
            "`resampling.method: group`."
            if not by_chance
            else "Nothing, if different things can look alike here.",
            tuple(np.sort(rows)[:MOST_ROWS].tolist()),
            splits=tuple(splits),
        )


def _pair_names(material: Material, codes: Array, rows: Array, others: Array) -> str:
    """Return some samples with one that each equals."""
    pairs, seen = [], set()
    for row in rows.tolist():
        if codes[row] in seen:
            continue
        seen.add(codes[row])
        equal = others[(codes[others] == codes[row]) & (others != row)]
        pairs.append(f"{material.row_names([row])} = {material.row_names(equal[:1].tolist())}")
        if len(pairs) == _NAMED:
            break
    return ", ".join(pairs) + " and others" * (len(rows) > len(pairs))


def _contradicting(
    material: Material, codes: Array, repeated: Array, *, by_chance: bool
) -> Iterator[Finding]:
    targets = material.numbers
    low = np.full(codes.max() + 1, np.inf)
    high = np.full(codes.max() + 1, -np.inf)
    np.minimum.at(low, codes, targets)
    np.maximum.at(high, codes, targets)
    contradicts = repeated & (low < high)[codes]
    rows = np.flatnonzero(contradicts)
    if not len(rows):
        return
    share = len(rows) / len(codes)
    what = "classes" if material.is_classification else "targets"
    yield Finding(
        "GF103",
        "note" if by_chance or share < _SOME else "warning",
        f"{counted(len(rows), 'sample')} ({percent(round(share, 4))}) are equal in all features "
        f"and have different {what}: {_pair_names(material, codes, rows, rows)}."
        + " With values as few as these, chance makes rows equal."
        * by_chance,
        "No model can be right about all of them. Correct the labels, or give the features that "
        "tell them apart.",
        tuple(rows[:MOST_ROWS].tolist()),
    )

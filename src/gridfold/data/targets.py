"""Checks targets against the problem: classes become codes, and numbers fit into 32 bit."""

from __future__ import annotations

import logging

import numpy as np

from gridfold.arrays import Array
from gridfold.csvfiles.numbers import in_order, is_named
from gridfold.data.columns import label
from gridfold.data.precision import require_32_bit
from gridfold.data.sources import Raw
from gridfold.data.values import first_word
from gridfold.errors import DataError
from gridfold.wording import counted, first_of

log = logging.getLogger(__name__)

# Classes, rows and values that are named when there are too many.
_NAMED = 5
# Fewer classes than this are believed, however few samples they have; more of them are believed
# only of whole numbers and names.
_FEW_CLASSES, _MOST_FRACTIONS = 10, 20


def checked_targets(
    targets: Array,
    problem: str,
    raw: Raw,
    positive: str | int | float | bool | None = None,
) -> tuple[Array, list[str] | None, list[str]]:
    """Check targets and return them as a data set keeps them.

    Parameters
    ----------
    targets : array
        Samples first, those of the source's own test set included.
    problem : {"regression", "multi_output", "binary", "multiclass"}
    raw : Raw
        What the source says about them.
    positive : str, int, float, bool, optional
        Which of two classes is the second one, whatever their order.

    Returns
    -------
    targets : array
        Class codes of shape (samples,), int64, or numbers of shape (samples, outputs), float32.
    class_names : list of str or None
        The name of each code; None for numbers.
    target_names : list of str
        The name of each output.

    Raises
    ------
    DataError
        When they can't serve the problem; says which and what to change.
    """
    if problem in ("binary", "multiclass"):
        codes, names = _classes(targets, problem, raw)
        if problem == "binary" and positive is None:
            log.info("the positive class is %s, the second of %s", names[1], " and ".join(names))
        elif problem == "binary" and positive is not None and _is_first(positive, names):
            codes, names = 1 - codes, names[::-1]
        return codes, names, names[1:] if problem == "binary" else names
    numbers = _numbers(targets, problem, raw)
    names = raw.target_names or [f"output {i}" for i in range(numbers.shape[1])]
    return numbers, None, [str(name) for name in names]


def _classes(targets: Array, problem: str, raw: Raw) -> tuple[Array, list[str]]:
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim != 1:
        raise DataError(
            f"class targets of shape {targets.shape}; one label for each sample is needed; of "
            "a row of 0 and 1, the place of the 1 (argmax)"
        )
    if targets.dtype.kind == "f" and np.isnan(targets).any():
        _refuse_rows(np.isnan(targets), "class targets with missing values", raw)
    try:
        labels, codes, counts = np.unique(targets, return_inverse=True, return_counts=True)
    except TypeError:
        raise DataError(
            f"class targets of several types: {_types_in(targets)}; one type is needed, and no "
            "missing value"
        ) from None
    if problem == "binary" and len(labels) != 2:
        named = ", ".join(map(label, labels[:_NAMED])) + ", ..." * (len(labels) > _NAMED)
        or_numbers = ", or regression if these are numbers" * (labels.dtype.kind in "iuf")
        raise DataError(
            f"{len(labels)} classes in a binary problem ({named}); use multiclass{or_numbers}"
        )
    if len(labels) < 2:
        raise DataError(f"all samples have the same class, {label(labels[0])}; two are needed")
    _require_repeating(labels, counts, raw)
    if raw.written and labels.dtype == object:
        ordered = in_order(labels.tolist())
        codes = np.array([ordered.index(text) for text in labels])[codes]
        labels = np.array(ordered, object)
    return codes.astype(np.int64), raw.class_names or [label(value) for value in labels]


def _is_first(positive: str | int | float | bool, names: list[str]) -> bool:
    """Tell whether the positive class is the first of both."""
    meant = [is_named(name, positive) for name in names]
    if sum(meant) != 1:
        raise DataError(f"problem.positive: no class {positive!r}; allowed: {', '.join(names)}")
    return meant[0]


def _require_repeating(labels: Array, counts: Array, raw: Raw) -> None:
    """Refuse numbers and names that are hardly classes, since few samples share one."""
    samples = int(counts.sum())
    are_rare = len(labels) > _FEW_CLASSES and 2 * len(labels) > samples
    fractions = labels[labels % 1 != 0] if labels.dtype.kind == "f" else labels[:0]
    if not are_rare and not (len(fractions) and len(labels) > _MOST_FRACTIONS):
        return
    where = f"column {raw.target_names[0]} has " if raw.written and raw.target_names else ""
    example = label(fractions[0] if len(fractions) else labels[0])
    remedy = "name a column of classes in data.targets" if raw.written else "give classes"
    if labels.dtype.kind in "iuf":
        remedy = f"set problem.type: regression if these are numbers, or {remedy}"
    raise DataError(
        f"{where}{len(labels)} classes in {samples} samples, such as {example}; {remedy}, with "
        "several samples each"
    )


def _numbers(targets: Array, problem: str, raw: Raw) -> Array:
    if targets.dtype.kind in "mM":
        raise DataError(
            f"targets that are points in time ({targets.dtype}) in a {problem} problem; write "
            "numbers, such as days since a start"
        )
    try:
        # Too large for 32 bits becomes infinite, which is refused with its row.
        with np.errstate(over="ignore"):
            numbers = targets.astype(np.float32).reshape(len(targets), -1)
    except (TypeError, ValueError):
        raise DataError(
            f"targets that are no numbers in a {problem} problem: {first_word(targets)}; numbers "
            "are needed, or problem.type: multiclass"
        ) from None
    bad: Array = ~np.isfinite(numbers)
    if bad.any():
        row, output = np.argwhere(bad)[0]
        value = targets.reshape(len(targets), -1)[row, output]
        name = f" of {raw.target_names[output]}" if raw.target_names else ""
        complaint = f"targets with missing, infinite or too large values ({value}{name})"
        _refuse_rows(np.any(bad, axis=1), complaint, raw)
    require_32_bit(targets.reshape(len(targets), -1), "target")
    return np.asarray(numbers)


def _refuse_rows(bad: Array, complaint: str, raw: Raw) -> None:
    rows = raw.rows_of(bad)
    named = first_of(map(str, rows), 2 * _NAMED)
    raise DataError(f"{complaint} in {counted(len(rows), 'row')} ({named}); {raw.remedy}")


def _types_in(targets: Array) -> str:
    """Return the types of values, each with the first row that has it."""
    first: dict[str, str] = {}
    for row, value in enumerate(targets):
        first.setdefault(type(value).__name__, f"{value!r} in row {row}")
    return ", ".join(f"{kind} ({place})" for kind, place in first.items())

"""Describes the samples that a study uses, of whatever source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gridfold import arrays
from gridfold.arrays import Array
from gridfold.data.description import (
    ColumnDescription,
    Count,
    DataDescription,
    SamplesDescription,
    name_of,
)
from gridfold.data.sources import Raw
from gridfold.wording import counted, first_of

# Classes that a note names.
_NAMED = 10

if TYPE_CHECKING:
    from gridfold.data.dataset import Dataset


def describe(
    data: Mapping[str, Any], raw: Raw, dataset: Dataset, available: int
) -> DataDescription:
    """Describe the whole data of a study.

    Parameters
    ----------
    data : mapping
        The ``data`` section.
    raw : Raw
        What the source said about its rows.
    dataset : Dataset
        The samples that the study uses.
    available : int
        The samples that the source has, from which ``data.subset`` draws.
    """
    left_out = [*raw.left_out]
    if available > len(dataset.features):
        left_out.append(
            f"{counted(available - len(dataset.features), 'sample')} of {available:,}, drawn at "
            f"random (data.subset: {data['subset']})"
        )
    columns = raw.described or _beside_samples(data, dataset, has_groups=raw.groups is not None)
    classes = _classes(dataset)
    return DataDescription(
        name_of(data),
        available if raw.rows is None else raw.rows,
        is_whole=True,
        columns=columns,
        classes=classes,
        samples=_samples(dataset),
        left_out=tuple(left_out),
        notes=(*raw.notes, *_notes(columns, classes)),
    )


def _notes(
    columns: Iterable[ColumnDescription], classes: tuple[Count, ...] | None
) -> Iterator[str]:
    """Yield what is remarkable about targets."""
    alone = [count.name for count in classes or () if count.samples == 1]
    if alone:
        yield (
            "classes with a single sample, which no model can be trained on and validated with: "
            f"{first_of(alone, _NAMED)}"
        )
    for column in columns if classes is None else ():
        if "target" in column.roles and column.kind == "number" and column.distinct == 2:
            yield (
                f"the target {column.name} has no values but {column.low:g} and {column.high:g}; "
                "if these are classes, set problem.type: binary"
            )


def _samples(dataset: Dataset) -> SamplesDescription:
    features, test_start = dataset.features, dataset.test_start
    low, high, missing = None, None, 0
    if dataset.columns is None:
        ranges = [
            (features[piece].min(), features[piece].max()) for piece in arrays.pieces(features)
        ]
        low = float(min(lowest for lowest, _ in ranges))
        high = float(max(highest for _, highest in ranges))
    elif dataset.has_missing:
        missing = sum(int(np.isnan(features[piece]).sum()) for piece in arrays.pieces(features))
    return SamplesDescription(
        len(features),
        0 if test_start is None else len(features) - test_start,
        features.shape[1:],
        str(features.dtype),
        low,
        high,
        missing / features.size,
    )


def _classes(dataset: Dataset) -> tuple[Count, ...] | None:
    if dataset.class_names is None:
        return None
    end = dataset.test_start
    own, test = (
        np.bincount(codes, minlength=len(dataset.class_names)).tolist()
        for codes in (
            dataset.targets[:end],
            dataset.targets[len(dataset.targets) if end is None else end :],
        )
    )
    return tuple(map(Count, dataset.class_names, own, test))


def _beside_samples(
    data: Mapping[str, Any], dataset: Dataset, *, has_groups: bool
) -> tuple[ColumnDescription, ...]:
    """Describe targets, groups and weights of arrays as if they were columns."""
    end = dataset.test_start
    found = []
    if dataset.class_names is None:
        found += [
            _numbers(name, "target", dataset.targets[:, place])
            for place, name in enumerate(dataset.target_names)
        ]
    if has_groups:
        groups = np.unique(dataset.groups[:end])
        name = data.get("groups") or "groups"
        found.append(ColumnDescription(name, ("groups",), "category", len(groups)))
    if dataset.weights is not None:
        name = data.get("weights") or "weights"
        found.append(_numbers(name, "weight", dataset.weights[:end]))
    return tuple(found)


def _numbers(name: str, role: Any, values: Array) -> ColumnDescription:
    return ColumnDescription(
        name,
        (role,),
        "number",
        len(np.unique(values)),
        low=float(values.min()),
        high=float(values.max()),
    )

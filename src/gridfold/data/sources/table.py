"""Tables: columns by their roles, from CSV and Parquet."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gridfold.csvfiles.format import Format
from gridfold.data.columns import FeatureColumn, as_matrix, find_columns
from gridfold.data.description import DataDescription, name_of
from gridfold.data.sources import windows
from gridfold.data.sources.columnchecks import complaints, guesses, notes_on, refuse
from gridfold.data.sources.described import classes_of, described
from gridfold.data.sources.raw import Raw
from gridfold.data.sources.studytable import StudyTable
from gridfold.errors import DataError

log = logging.getLogger(__name__)


def read(data: Mapping[str, Any], *, classes: bool = False) -> Raw:
    """Read a table of a study.

    Parameters
    ----------
    data : mapping
        The ``data`` section, of source ``csv`` or ``parquet``.
    classes : bool
        Whether targets are classes.

    Raises
    ------
    DataError
        When the table can't serve; says what to change.
    """
    path, how = data["path"], Format.of(data)
    study_table = StudyTable.of(data, classes=classes)
    table, roles = study_table.frame, study_table.roles
    if not study_table.features:
        raise DataError(f"{path}: no column is left for features; each has another role")
    empty = [name for name in study_table.features if table[name].isna().all()]
    refuse(path, [*complaints(study_table, empty)])
    features = [name for name in study_table.features if name not in empty]
    if not features:
        raise DataError(f"{path}: no feature has a value in any row: {', '.join(empty)}")
    columns_described = described(
        table, roles | dict.fromkeys(empty, ("ignored",)), study_table.categories
    )
    left_out = study_table.left_out
    left_out += [f"the column {name}, which has no value in any row" for name in empty]
    notes = [*guesses(study_table), *notes_on(columns_described, data)]
    try:
        columns = find_columns(table, features, data["categories"])
        matrix = as_matrix(table, columns)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    notes += [
        f"column {column.name}: kept as its difference from {column.origin!r}, in which 32 bit "
        "lose nothing"
        for column in columns
        if column.origin
    ]
    tell(left_out, notes)
    _check_missing(path, matrix, columns, data["missing"])
    targets = table[data["targets"]]
    raw = Raw(
        matrix,
        (targets.iloc[:, 0] if targets.shape[1] == 1 else targets).to_numpy(),
        groups=table[data["groups"]].to_numpy() if data["groups"] else None,
        weights=table[data["weight"]].to_numpy() if data["weight"] else None,
        ids=_names(path, table[data["id"]]) if data["id"] else None,
        target_names=list(data["targets"]),
        feature_names=[column.name for column in columns],
        columns=columns,
        written=True,
        rows=len(table),
        described=columns_described,
        left_out=left_out,
        notes=notes,
    )
    if how.as_json():
        raw.reading["table"] = how.as_json()
    if data["id"]:
        raw.reading["id"] = data["id"]
    if data["time"]:
        _set_times(raw, windows.times_of(table[data["time"]]), data)
    return raw


def look(data: Mapping[str, Any], *, classes: bool = False) -> DataDescription:
    """Describe a table by its first rows.

    Parameters
    ----------
    data : mapping
        The ``data`` section, of source ``csv`` or ``parquet``.
    classes : bool
        Whether targets are classes.

    Raises
    ------
    DataError
        When these rows are no table, or columns are missing.
    """
    table = StudyTable.of(data, classes=classes, first=True)
    return DataDescription(
        name_of(data),
        len(table.frame),
        is_whole=False,
        columns=described(table.frame, table.roles, table.categories),
        classes=classes_of(table.frame[data["targets"][0]]) if classes else None,
        left_out=tuple(table.left_out),
        notes=tuple(guesses(table)),
    )


def tell(*texts: Sequence[str]) -> None:
    """Write into the log what was left out and what was guessed."""
    for text in itertools.chain.from_iterable(texts):
        log.info("%s", text)


def _set_times(raw: Raw, times: Any, data: Mapping[str, Any]) -> None:
    """Add when samples happen; with ``data.sequence``, turn rows into windows."""
    if data["sequence"] is None:
        raw.spans = np.stack([times, times], axis=1)
        return
    series = np.zeros(len(times), np.int64)
    if raw.groups is not None:
        series = np.unique(raw.groups, return_inverse=True)[1].astype(np.int64)
    short = windows.short_series(series, data["sequence"])
    if short:
        raw.left_out.append(short)
    raw.features, rows, raw.spans = windows.cut(
        raw.features, times, series, data["sequence"], data["path"]
    )
    # A window has weight, name and series of the row that it predicts.
    for name in ("targets", "groups", "weights", "ids"):
        values = getattr(raw, name)
        if values is not None:
            setattr(raw, name, values[rows])
    raw.reading["windows"] = {
        "length": data["sequence"]["length"],
        "time": data["time"],
        "series": data["groups"],
    }


def _check_missing(
    path: str, matrix: Any, columns: list[FeatureColumn], missing: Mapping[str, Any]
) -> None:
    for kind, is_kind in (
        ("numbers", [column.categories is None for column in columns]),
        ("categories", [column.categories is not None for column in columns]),
    ):
        if missing[kind] != "refuse":
            continue
        gaps = np.isnan(matrix) & np.array(is_kind)
        if gaps.any():
            names = [c.name for c, gap in zip(columns, gaps.any(axis=0), strict=True) if gap]
            rows = gaps.any(axis=1)
            raise DataError(
                f"{path}: {int(rows.sum())} samples with missing or infinite features, the first "
                f"at row {int(rows.argmax())} (columns {', '.join(names)}); remove or fill them, "
                f"or set data.missing.{kind}"
            )


def _names(path: str, values: Any) -> Any:
    repeated = values.duplicated().to_numpy()
    if repeated.any():
        row = int(repeated.argmax())
        raise DataError(
            f"{path}: column {values.name} (data.id) has {values.iloc[row]!r} more than once, "
            f"again at row {row}; a name for each sample is needed"
        )
    return values.astype(str).to_numpy(dtype=np.str_)

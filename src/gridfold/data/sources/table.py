"""Tables: columns by their roles, from CSV and Parquet."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gridfold.arrays import Array
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
    _check_missing(path, matrix, columns, data)
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
        _set_times(raw, windows.points_of(table[data["time"]]), data)
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


def _set_times(raw: Raw, points: Array, data: Mapping[str, Any]) -> None:
    """Add when samples happen; with ``data.sequence``, turn rows into windows."""
    if data["sequence"] is None:
        ranks = windows.ranks_of(points)
        raw.spans = np.stack([ranks, ranks], axis=1)
        return
    series = np.zeros(len(points), np.int64)
    if raw.groups is not None:
        series = np.unique(raw.groups, return_inverse=True)[1].astype(np.int64)
    left_out = [*filter(None, [windows.short_series(series, data["sequence"])])]
    found = windows.cut(raw.features, points, series, data["sequence"], data["path"])
    notes = []
    if found.longer_steps:
        remedy = "fill the gaps, or name the stretches between them as series (data.groups)"
        notes.append(f"{found.longer_steps} (data.sequence): {remedy}")
    tell(left_out, notes)
    raw.left_out += left_out
    raw.notes += notes
    raw.features, raw.spans = found.features, found.spans
    raw.sample_rows = rows = found.targets
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
    path: str, matrix: Array, columns: list[FeatureColumn], data: Mapping[str, Any]
) -> None:
    # Without a row, the windows around it would be of another time.
    remedy = "fill them" if data["sequence"] is not None else "remove or fill them"
    for kind, is_kind in (
        ("numbers", [column.categories is None for column in columns]),
        ("categories", [column.categories is not None for column in columns]),
    ):
        # No rule for missing values is one for infinite ones.
        is_refused, what, rule = np.isinf(matrix), "infinite", ""
        if data["missing"][kind] == "refuse":
            is_refused = ~np.isfinite(matrix)
            what, rule = "missing or infinite", f", or set data.missing.{kind}"
        gaps = is_refused & np.array(is_kind)
        if gaps.any():
            names = [c.name for c, gap in zip(columns, gaps.any(axis=0), strict=True) if gap]
            rows = gaps.any(axis=1)
            raise DataError(
                f"{path}: {int(rows.sum())} samples with {what} features, the first at row "
                f"{int(rows.argmax())} (columns {', '.join(names)}); {remedy}{rule}"
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

"""Tables: columns by their roles, from CSV and Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.columns import Column, as_matrix, find_columns
from gridfold.errors import DataError
from gridfold.sources import windows
from gridfold.sources.raw import Raw

# Roles of a single column, by their key in the `data` section.
SINGLE_ROLES = ("groups", "weight", "id", "time")


def read(data: Mapping[str, Any], folder: Path | None = None) -> Raw:
    """Read a table of a study.

    Parameters
    ----------
    data : mapping
        The ``data`` section, of source ``csv`` or ``parquet``.
    folder : Path, optional
        Where there is room for windows that are too many for memory.

    Raises
    ------
    DataError
        When the table can't serve; says what to change.
    """
    path = data["path"]
    table = read_frame(path, data["source"], data.get("separator", ","))
    single = {role: data[role] for role in SINGLE_ROLES if data[role]}
    used = {*single.values()} if data["sequence"] else {*data["targets"], *single.values()}
    features = data["features"] or [name for name in table.columns if name not in used]
    listed = [] if data["categories"] == "auto" else data["categories"]
    for role, names in (
        ("targets", data["targets"]),
        ("features", features),
        ("categories", listed),
        *((role, [name]) for role, name in single.items()),
    ):
        absent = [name for name in names if name not in table.columns]
        if absent:
            raise DataError(
                f"{path}: no column {', '.join(absent)} (data.{role}); it has "
                f"{', '.join(map(str, table.columns))}"
            )
    if not features:
        raise DataError(f"{path}: no column is left for features; each has another role")
    for name in (*data["targets"], *single.values()):
        _require_complete(path, name, table[name])
    try:
        columns = find_columns(table, features, data["categories"])
        matrix = as_matrix(table, columns)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    _check_missing(path, matrix, columns, data["missing"])
    targets = table[data["targets"]]
    raw = Raw(
        matrix,
        (targets.iloc[:, 0] if targets.shape[1] == 1 else targets).to_numpy(),
        groups=table[data["groups"]].to_numpy() if data["groups"] else None,
        weights=table[data["weight"]].to_numpy() if data["weight"] else None,
        ids=_names(path, table[data["id"]]) if data["id"] else None,
        target_names=list(data["targets"]),
        columns=columns,
    )
    if data["time"]:
        _set_times(raw, windows.times_of(table[data["time"]]), data, folder)
    return raw


def _set_times(raw: Raw, times: Any, data: Mapping[str, Any], folder: Path | None) -> None:
    """Add when samples happen; with ``data.sequence``, turn rows into windows."""
    if data["sequence"] is None:
        raw.spans = np.stack([times, times], axis=1)
        return
    series = np.zeros(len(times), np.int64)
    if raw.groups is not None:
        series = np.unique(raw.groups, return_inverse=True)[1].astype(np.int64)
    raw.features, rows, raw.spans = windows.cut(
        raw.features, times, series, data["sequence"], data["path"], folder
    )
    # A window has weight, name and series of the row that it predicts.
    for name in ("targets", "groups", "weights", "ids"):
        values = getattr(raw, name)
        if values is not None:
            setattr(raw, name, values[rows])
    raw.reading = {
        "windows": {
            "length": data["sequence"]["length"],
            "time": data["time"],
            "series": data["groups"],
        }
    }


def read_frame(path: str, source: str, separator: str = ",") -> Any:
    """Read a file as a pandas.DataFrame with at least one row.

    Raises
    ------
    DataError
        When it is no such file.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, sep=separator) if source == "csv" else pd.read_parquet(path)
    except ValueError as error:
        raise DataError(f"{path} can't be read as {source}: {error}") from None
    if not len(table):
        raise DataError(f"{path}: no samples, only a header")
    return table


def _require_complete(path: str, name: str, values: Any) -> None:
    missing = values.isna().to_numpy()
    if missing.any():
        raise DataError(
            f"{path}: column {name} has {int(missing.sum())} missing values, "
            f"the first at row {int(missing.argmax())}{_more_rows(missing)}; remove these samples"
        )


def _more_rows(missing: Any) -> str:
    rows = np.flatnonzero(missing)[1:10]
    return f" (then {', '.join(map(str, rows))})" if len(rows) else ""


def _check_missing(
    path: str, matrix: Any, columns: list[Column], missing: Mapping[str, Any]
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

"""Tables: columns by their roles, from CSV and Parquet."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gridfold.csvfiles.format import Format
from gridfold.csvfiles.head import column_notes
from gridfold.data.columns import FeatureColumn, as_matrix, find_columns
from gridfold.data.sources import tablefile, windows
from gridfold.data.sources.raw import Raw
from gridfold.errors import DataError

log = logging.getLogger(__name__)

# Roles of a single column, by their key in the `data` section.
SINGLE_ROLES = ("groups", "weight", "id", "time")


def read(data: Mapping[str, Any], folder: Path | None = None, *, classes: bool = False) -> Raw:
    """Read a table of a study.

    Parameters
    ----------
    data : mapping
        The ``data`` section, of source ``csv`` or ``parquet``.
    folder : Path, optional
        Where there is room for windows that are too many for memory.
    classes : bool
        Whether targets are classes.

    Raises
    ------
    DataError
        When the table can't serve; says what to change.
    """
    path = data["path"]
    how = Format.of(data)
    single = {role: data[role] for role in SINGLE_ROLES if data[role]}
    listed = [] if data["categories"] == "auto" else data["categories"]
    named = {
        "targets": data["targets"],
        "features": data["features"] or [],
        "categories": listed,
        "ignore": data["ignore"],
        **{role: [name] for role, name in single.items()},
    }
    read = tablefile.read(
        path,
        data["source"],
        how,
        texts={*listed, *(data["targets"] if classes else ()), *filter(None, [data["groups"]])},
        names=[*filter(None, [data["id"]])],
        asked={name for names in named.values() for name in names},
    )
    table = read.frame
    require_columns(path, table, named)
    used = {*single.values(), *data["ignore"]}
    used |= set() if data["sequence"] else {*data["targets"]}
    features = data["features"] or [name for name in table.columns if name not in used]
    if not features:
        raise DataError(f"{path}: no column is left for features; each has another role")
    if data["features"] is None:
        tell(read, [name for name in features if table[name].dtype != "str"])
    else:
        tell(read, [])
    for name in (*data["targets"], *single.values()):
        require_complete(path, name, table[name])
    numbers = _columns_of_numbers(read, features, data, classes=classes)
    refuse_strays(path, read, numbers, how, {*features})
    try:
        columns = find_columns(table, features, data["categories"])
        matrix = as_matrix(table, columns)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    for column in columns:
        if column.origin:
            log.info(
                "column %s: kept as its difference from %r, in which 32 bit lose nothing",
                column.name,
                column.origin,
            )
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
        written=True,
    )
    if how.as_json():
        raw.reading["table"] = how.as_json()
    if data["id"]:
        raw.reading["id"] = data["id"]
    if data["time"]:
        _set_times(raw, windows.times_of(table[data["time"]]), data, folder)
    return raw


def require_columns(path: str, table: Any, named: Mapping[str, list[str]]) -> None:
    """Refuse columns that a table doesn't have.

    Parameters
    ----------
    path : str
    table : pandas.DataFrame
    named : mapping of str to list of str
        The columns of each key of the ``data`` section.
    """
    complaints = []
    for role, names in named.items():
        absent = [name for name in names if name not in table.columns]
        if absent:
            complaints.append(f"{path}: no column {', '.join(absent)} (data.{role})")
    if complaints:
        complaints[-1] += f"; it has {', '.join(map(str, table.columns))}"
        raise DataError("\n".join(complaints))


def tell(read: tablefile.TableFile, features: Sequence[str]) -> None:
    """Write into the log what was guessed about a table, and about features that nobody listed."""
    for note in (*read.head.notes, *column_notes(read.head, features)):
        log.info("%s", note)


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
    raw.reading["windows"] = {
        "length": data["sequence"]["length"],
        "time": data["time"],
        "series": data["groups"],
    }


def _columns_of_numbers(
    read: tablefile.TableFile, features: Sequence[str], data: Mapping[str, Any], *, classes: bool
) -> set[str]:
    """Return the columns that must be numbers, or are for the most part."""
    needed = {*filter(None, [data["weight"]]), *(() if classes else data["targets"])}
    if data["categories"] != "auto":
        return needed | ({*features} - {*data["categories"]})
    mistaken = {name for name, strays in read.strays.items() if strays.are_mistakes}
    return needed | (mistaken & {*features})


def refuse_strays(
    path: str,
    read: tablefile.TableFile,
    columns: Collection[str],
    how: Format,
    features: Collection[str] = (),
) -> None:
    """Refuse texts in columns of numbers, all columns at once.

    Parameters
    ----------
    path : str
    read : TableFile
    columns : collection of str
        Those that must be numbers.
    how : Format
    features : collection of str
        Those that may lack values.
    """
    complaints = []
    for name, strays in read.strays.items():
        if name in columns:
            row, text = tablefile.first_row(read.frame[name], strays)
            remedy = strays.remedy(text, how, is_feature=name in features)
            complaints.append(f"{path}: {strays.found(name, row, text)}; {remedy}")
    if complaints:
        raise DataError("\n".join(complaints))


def require_complete(path: str, name: str, values: Any) -> None:
    """Refuse missing values in a column, with their rows."""
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

"""What must hold between `data`, the files it names, `problem` and `resampling`."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gridfold.errors import Problem
from gridfold.references import problem_with
from gridfold.study.data import EMBEDDED_SHAPES
from gridfold.study.explain import shown, unknown_key

# Which problems the targets of an embedded data set can serve.
_EMBEDDED_PROBLEMS = {
    "breast_cancer": ("binary", "multiclass"),
    "diabetes": ("regression",),
    "cifar10": ("multiclass",),
    "digits": ("multiclass",),
    "fashion_mnist": ("multiclass",),
    "iris": ("multiclass",),
    "mnist": ("multiclass",),
    "linnerud": ("multi_output", "regression"),
    "wine": ("multiclass",),
}
_FOLDER_SOURCES = ("npy",)
_FILE_OR_FOLDER_SOURCES = ("images", "mnist", "fashion_mnist", "cifar10")
# The roles of a table's columns, one column each but for the lists.
_LISTS = ("targets", "features", "categories")
_SINGLE_ROLES = ("groups", "weight", "id", "time")


def file_problems(data: Any) -> Iterator[Problem]:
    """Yield what is wrong with `data` by itself, and with the files that it names."""
    for key in ("path", "test_path"):
        path = getattr(data, key, None)
        if path is not None:
            yield from _path_problems(data.source, key, path)
    if data.source == "python":
        problem = problem_with(data.function)
        if problem:
            yield Problem(("data", "function"), problem[0], f"allowed: {problem[1]}")
    if data.source in ("npz", "npy") and bool(data.test_features) != bool(data.test_targets):
        yield Problem(
            ("data",),
            "only one of `test_features` and `test_targets`",
            "allowed: both, or neither",
        )
    if data.source in ("csv", "parquet"):
        yield from _column_problems(data)
    if data.source == "images" and os.path.isdir(data.path):
        for key in ("groups", "weight"):
            if getattr(data, key) is not None:
                yield Problem(
                    ("data", key),
                    f"{shown(getattr(data, key))} with a folder of images",
                    "allowed: nothing, or a CSV file as `data.path`, with this column",
                )


def _path_problems(source: str, key: str, path: str) -> Iterator[Problem]:
    # Unlike `Path.is_file`, these take any name, however long, for that of a missing file.
    is_file, is_folder = os.path.isfile(path), os.path.isdir(path)
    if source in _FILE_OR_FOLDER_SOURCES:
        found, wanted = is_file or is_folder, "file or folder"
    elif source in _FOLDER_SOURCES:
        found, wanted = is_folder, "folder"
    else:
        found, wanted = is_file, "file"
    if not found:
        yield Problem(
            ("data", key),
            f"no such {wanted}: {shown(path)}",
            f"allowed: a {wanted}, relative to the working directory",
        )


def _column_problems(data: Any) -> Iterator[Problem]:
    """Yield columns in two roles, and those that a CSV file doesn't have."""
    lists = {role: getattr(data, role) for role in _LISTS}
    named = {role: names for role, names in lists.items() if isinstance(names, list)}
    named |= {role: [getattr(data, role)] for role in _SINGLE_ROLES if getattr(data, role)}
    header = _header(data)
    for role, names in named.items():
        for position, name in enumerate(names):
            path = ("data", role) if role in _SINGLE_ROLES else ("data", role, position)
            if header is not None and name not in header:
                hint = unknown_key((name,), header).allowed
                yield Problem(path, f"no column {shown(name)} in {data.path}", hint)
    features = named.get("features", [])
    if data.sequence is None:
        for name in data.targets:
            if name in features:
                yield Problem(
                    ("data", "features"),
                    f"the target `{name}` is among the features",
                    "allowed: each column in one role",
                )
    others = [(role, name) for role in _SINGLE_ROLES for name in named.get(role, [])]
    for index, (role, name) in enumerate(others):
        taken = [*features, *data.targets, *named.get("categories", [])]
        taken += [other for _, other in others[:index]]
        if name in taken:
            yield Problem(
                ("data", role),
                f"the column `{name}` has another role, too",
                "allowed: each column in one role",
            )
    if features:
        for position, name in enumerate(named.get("categories", [])):
            if name not in features:
                yield Problem(
                    ("data", "categories", position),
                    f"`{name}` is not among the features",
                    f"allowed: {', '.join(features)}",
                )
    if data.sequence is not None and data.time is None:
        yield Problem(
            ("data", "sequence"), "windows without `data.time`", "allowed: name the column of time"
        )
    if data.sequence is not None and data.reshape is not None:
        yield Problem(
            ("data", "reshape"),
            f"{data.reshape} with `data.sequence`",
            f"allowed: leave it out; samples have the shape [{data.sequence.length}, columns]",
        )


def _header(data: Any) -> list[str] | None:
    """Return the columns of a CSV file, or None where they can't be known that easily."""
    if data.source != "csv" or len(data.separator) != 1:
        return None
    try:
        with Path(data.path).open(newline="", encoding="utf-8-sig") as stream:
            return next(csv.reader(stream, delimiter=data.separator), None)
    except (OSError, ValueError, csv.Error):
        return None


def target_problems(data: Any, problem: Any) -> Iterator[Problem]:
    """Yield what does not fit between targets and the type of the problem."""
    if data.source == "images" and os.path.isdir(data.path) and not problem.is_classification:
        yield Problem(
            ("problem", "type"),
            f"`{problem.type}` with folders of images, which are classes",
            "allowed: binary or multiclass, or a CSV file as `data.path`",
        )
    suited = _EMBEDDED_PROBLEMS.get(data.source)
    if suited and problem.type not in suited:
        yield Problem(
            ("problem", "type"),
            f"`{problem.type}` with `data.source: {data.source}`",
            f"allowed: {', '.join(suited)}",
        )
    if data.scale_targets != "none" and problem.is_classification:
        yield Problem(
            ("data", "scale_targets"),
            f"`{data.scale_targets}` with classes as targets",
            "allowed: none, or a regression or multi_output problem",
        )


def resampling_data_problems(data: Any, resampling: Any) -> Iterator[Problem]:
    """Yield splits that the data don't allow."""
    has_groups = data.source == "python" or getattr(data, "groups", None) is not None
    if resampling.method == "group" and not has_groups:
        yield Problem(
            ("resampling", "method"), "`group` without `data.groups`", "allowed: name the groups"
        )
    if getattr(data, "groups", None) is not None and resampling.method in ("kfold", "stratified"):
        yield Problem(
            ("resampling", "method"),
            f"`{resampling.method}` with `data.groups: {data.groups}` would separate groups",
            "allowed: group or holdout, blocked or forward, or no data.groups",
        )
    elif getattr(data, "sequence", None) is not None and not (
        resampling.method in ("blocked", "forward") or data.groups is not None
    ):
        yield Problem(
            ("resampling", "method"),
            f"`{resampling.method}` with `data.sequence`, whose windows overlap: validation would "
            "know what it is to predict",
            "allowed: blocked or forward; with several series in data.groups also group or holdout",
        )
    shape = EMBEDDED_SHAPES.get(data.source)
    if shape:
        samples = math.floor(min(shape[0], data.subset or shape[0]) * (1 - data.test_fraction))
        if resampling.folds > samples:
            yield Problem(
                ("resampling", "folds"),
                f"{resampling.folds} folds of {samples} samples",
                f"allowed: at most {samples}",
            )


def resampling_problem_problems(problem: Any, resampling: Any) -> Iterator[Problem]:
    """Yield splits that the type of the problem does not allow."""
    if resampling.method == "stratified" and not problem.is_classification:
        yield Problem(
            ("resampling", "method"),
            f"`stratified` with `problem.type: {problem.type}`",
            "allowed: kfold, holdout or group; strata need classes",
        )

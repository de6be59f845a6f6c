"""Checks `data` against the files that it names, `problem` and `resampling`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gridfold.errors import KeyPath, Problem
from gridfold.imagefolders import parts_of
from gridfold.study.checks import table
from gridfold.study.sections.data import EMBEDDED_SHAPES
from gridfold.study.sections.explain import shown
from gridfold.study.sections.resampling import (
    GROUPED_METHODS,
    ORDERED_METHODS,
    UNGROUPED_METHODS,
)
from gridfold.usercode.functions import problem_with

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
        yield from table.column_problems(data)
    if data.source == "images" and not os.path.isdir(data.path):
        yield from table.list_problems(data)
    elif data.source == "images":
        yield from _folder_problems(data)
        for key in ("groups", "weight"):
            if getattr(data, key) is not None:
                yield Problem(
                    ("data", key),
                    f"{shown(getattr(data, key))} with a folder of images",
                    "allowed: nothing, or a CSV file as `data.path`, with this column",
                )


def _folder_problems(data: Any) -> Iterator[Problem]:
    for key in ("path", "test_path"):
        path = getattr(data, key)
        if path is not None and os.path.isdir(path):
            parts = parts_of(Path(path))
            for found, allowed in parts.problems(key=key, has_test_path=data.test_path is not None):
                yield Problem(("data", key), found, allowed)


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


def target_problems(data: Any, problem: Any) -> Iterator[Problem]:
    """Yield what does not fit between targets and the type of the problem."""
    if data.source == "images" and os.path.isdir(data.path) and not problem.is_classification:
        yield Problem(
            ("problem", "type"),
            f"`{problem.type}` with folders of images, which are classes",
            "allowed: binary or multiclass, or a CSV file as `data.path`",
        )
    targets = getattr(data, "targets", None)
    if problem.is_classification and isinstance(targets, list) and len(targets) > 1:
        yield Problem(
            ("data", "targets"),
            f"{shown(targets)} with `problem.type: {problem.type}`",
            "allowed: one column of classes, or a regression or multi_output problem",
        )
    if data.source == "csv" and not problem.is_classification:
        yield from table.target_problems(data)
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
    if resampling.method in GROUPED_METHODS and not has_groups:
        yield Problem(
            ("resampling", "method"),
            f"`{resampling.method}` without `data.groups`",
            "allowed: name the groups",
        )
    if getattr(data, "groups", None) is not None and resampling.method in UNGROUPED_METHODS:
        yield Problem(
            ("resampling", "method"),
            f"`{resampling.method}` with `data.groups: {data.groups}` would separate groups",
            "allowed: group, stratified_group or holdout, blocked or forward, or no data.groups",
        )
    elif getattr(data, "sequence", None) is not None and not (
        resampling.method in ORDERED_METHODS or data.groups is not None
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
    if resampling.method.startswith("stratified") and not problem.is_classification:
        yield Problem(
            ("resampling", "method"),
            f"`{resampling.method}` with `problem.type: {problem.type}`",
            "allowed: kfold, holdout or group; strata need classes",
        )


def augmentation_problems(data: Any, training: Any, search: Any) -> Iterator[Problem]:
    """Yield augmentation of samples that are known to be no images."""
    found = other_than_images(data)
    if not found:
        return
    axes = [name for name in search.space if name.startswith("training.augmentation.")]
    paths: list[KeyPath] = [("search", "space", name) for name in axes]
    if training.augmentation != type(training.augmentation)():
        paths.append(("training", "augmentation"))
    for path in paths:
        yield Problem(
            path, found, "allowed: images (height, width, channels); set `data.reshape`, or none"
        )


def other_than_images(data: Any) -> str:
    """Return what samples are, if it is known that they are no images, else nothing."""
    if data.source in ("csv", "parquet") and not data.reshape:
        return "rows of a table"
    known = EMBEDDED_SHAPES.get(data.source)
    shape = data.reshape or (known and list(known[1:]))
    return f"samples of shape {shown(shape)}" if shape and len(shape) != 3 else ""

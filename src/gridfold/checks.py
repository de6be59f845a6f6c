"""What must hold between the sections of a study, and between a study and the files it names."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

from gridfold import notebook
from gridfold.errors import KeyPath, Problem
from gridfold.references import hyperparameter_names, problem_with
from gridfold.study.data import EMBEDDED_SHAPES
from gridfold.study.explain import shown, unknown_key

# Which problems the targets of an embedded data set can serve.
_EMBEDDED_PROBLEMS = {
    "breast_cancer": ("binary", "multiclass"),
    "diabetes": ("regression",),
    "digits": ("multiclass",),
    "iris": ("multiclass",),
    "linnerud": ("multi_output", "regression"),
    "wine": ("multiclass",),
}


def section_problems(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield contradictions between the sections that are valid by themselves.

    Parameters
    ----------
    sections : mapping
        Valid sections by name; checks that need a missing one are left out.
    """
    for needed, check in (
        (("data",), _file_problems),
        (("data", "problem"), _target_problems),
        (("data", "resampling"), _resampling_data_problems),
        (("problem", "resampling"), _resampling_problem_problems),
        (("data", "model"), _model_data_problems),
        (("problem", "training"), _training_problems),
        (("model",), _model_function_problems),
        (("report",), _notebook_problems),
        (("model", "search"), _hyperparameter_problems),
    ):
        if all(name in sections for name in needed):
            yield from check(*(sections[name] for name in needed))


def _file_problems(data: Any) -> Iterator[Problem]:
    path = getattr(data, "path", None)
    # Unlike `Path.is_file`, this takes any name, however long, for that of a missing file.
    if path is not None and not os.path.isfile(path):
        yield Problem(
            ("data", "path"),
            f"no such file: {shown(path)}",
            "allowed: a file, relative to the working directory",
        )
    if data.source == "python":
        problem = problem_with(data.function)
        if problem:
            yield Problem(("data", "function"), problem[0], f"allowed: {problem[1]}")
    if data.source == "npz" and bool(data.test_features) != bool(data.test_targets):
        yield Problem(
            ("data",),
            "only one of `test_features` and `test_targets`",
            "allowed: both, or neither",
        )
    features, targets = getattr(data, "features", None), getattr(data, "targets", None)
    if isinstance(features, list) and isinstance(targets, list):
        for column in targets:
            if column in features:
                yield Problem(
                    ("data", "features"),
                    f"the target `{column}` is among the features",
                    "allowed: each column in one role",
                )


def _notebook_problems(report: Any) -> Iterator[Problem]:
    if isinstance(report.notebook, str):
        problem = notebook.problem_with(report.notebook)
        if problem:
            yield Problem(("report", "notebook"), problem[0], f"allowed: {problem[1]}")


def _target_problems(data: Any, problem: Any) -> Iterator[Problem]:
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


def _resampling_data_problems(data: Any, resampling: Any) -> Iterator[Problem]:
    has_groups = data.source == "python" or getattr(data, "groups", None) is not None
    if resampling.method == "group" and not has_groups:
        yield Problem(
            ("resampling", "method"), "`group` without `data.groups`", "allowed: name the groups"
        )
    if getattr(data, "groups", None) is not None and resampling.method in ("kfold", "stratified"):
        yield Problem(
            ("resampling", "method"),
            f"`{resampling.method}` with `data.groups: {data.groups}` would separate groups",
            "allowed: group or holdout, or no data.groups",
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


def _resampling_problem_problems(problem: Any, resampling: Any) -> Iterator[Problem]:
    if resampling.method == "stratified" and not problem.is_classification:
        yield Problem(
            ("resampling", "method"),
            f"`stratified` with `problem.type: {problem.type}`",
            "allowed: kfold, holdout or group; strata need classes",
        )


def _model_data_problems(data: Any, model: Any) -> Iterator[Problem]:
    shape = EMBEDDED_SHAPES.get(data.source)
    if shape and data.reshape and math.prod(data.reshape) != math.prod(shape[1:]):
        yield Problem(
            ("data", "reshape"),
            f"{data.reshape} for samples of {math.prod(shape[1:])} values",
            f"allowed: shapes with {math.prod(shape[1:])} values",
        )
        return
    sample_shape = data.reshape or (shape and list(shape[1:]))
    is_table = data.source in ("csv", "parquet") and not data.reshape
    if model.cnn is not None and (is_table or (sample_shape and len(sample_shape) != 3)):
        found = "rows of a table" if is_table else f"samples of shape {shown(sample_shape)}"
        yield Problem(
            ("model", "cnn"),
            found,
            "allowed: images (height, width, channels); set `data.reshape`, or use mlp",
        )


def _training_problems(problem: Any, training: Any) -> Iterator[Problem]:
    if training.class_weights != "none" and not problem.is_classification:
        yield Problem(
            ("training", "class_weights"),
            f"{shown(training.class_weights)} with `problem.type: {problem.type}`",
            "allowed: none; class weights need classes",
        )


def _model_function_problems(model: Any) -> Iterator[Problem]:
    if model.python is not None:
        problem = problem_with(model.python.build)
        if problem:
            yield Problem(("model", "python", "build"), problem[0], f"allowed: {problem[1]}")


def _hyperparameter_problems(model: Any, search: Any) -> Iterator[Problem]:
    """Refuse hyperparameters that the user's model function never asks for."""
    if model.python is None or problem_with(model.python.build):
        return
    names = hyperparameter_names(model.python.build)
    if names is None:
        return
    build = shown(model.python.build)
    for name in model.python.hp:
        if name not in names:
            yield _unasked(("model", "python", "hp", name), sorted(names), build)
    for axis in search.space:
        family, _, name = axis.partition(".")
        if family == "python" and name and name not in names:
            full_names = sorted(f"python.{name}" for name in names)
            yield _unasked(("search", "space", axis), full_names, build)


def _unasked(path: KeyPath, names: list[str], build: str) -> Problem:
    if names:
        return unknown_key(path, names)
    return Problem(path, "unknown key", f"allowed: none; {build} asks `hp` for nothing")

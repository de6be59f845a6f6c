"""What must hold between the sections of a study, and between a study and the files it names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from gridfold import datachecks
from gridfold.errors import Problem
from gridfold.modelchecks import (
    hyperparameter_problems,
    model_problems,
    model_training_problems,
)
from gridfold.study.data import EMBEDDED_SHAPES
from gridfold.study.explain import shown


def section_problems(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield contradictions between the sections that are valid by themselves.

    Parameters
    ----------
    sections : mapping
        Valid sections by name; checks that need a missing one are left out.
    """
    for needed, check in (
        (("data",), datachecks.file_problems),
        (("data", "problem"), datachecks.target_problems),
        (("data", "resampling"), datachecks.resampling_data_problems),
        (("problem", "resampling"), datachecks.resampling_problem_problems),
        (("data", "model"), _model_data_problems),
        (("problem", "training"), _training_problems),
        (("model",), model_problems),
        (("model", "search"), hyperparameter_problems),
        (("model", "training"), model_training_problems),
    ):
        if all(name in sections for name in needed):
            yield from check(*(sections[name] for name in needed))


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

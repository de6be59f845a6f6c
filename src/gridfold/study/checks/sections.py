"""Checks the sections of a study against each other and against the files that they name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from gridfold.errors import Problem
from gridfold.study.checks import data as datachecks
from gridfold.study.checks.model import (
    hyperparameter_problems,
    model_problems,
    model_training_problems,
)
from gridfold.study.checks.outer import outer_problems
from gridfold.study.checks.problem import (
    measure_problems,
    monitor_problems,
    positive_problems,
    threshold_problems,
)
from gridfold.study.checks.search import (
    objective_problems,
    stage_problems,
    tuner_model_problems,
    tuner_training_problems,
)
from gridfold.study.checks.wishes import sampler_problems, wish_problems
from gridfold.study.sections.data import EMBEDDED_SHAPES
from gridfold.study.sections.explain import shown
from gridfold.study.sections.training import XLA_AXES
from gridfold.usercode import notebooks
from gridfold.usercode.functions import clash_of


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
        (("problem",), measure_problems),
        (("data", "problem"), positive_problems),
        (("problem",), threshold_problems),
        (("data", "resampling"), datachecks.resampling_data_problems),
        (("problem", "resampling"), datachecks.resampling_problem_problems),
        (("data", "model"), _model_data_problems),
        (("data", "training", "search"), datachecks.augmentation_problems),
        (("problem", "training"), _training_problems),
        (("problem", "training", "search"), monitor_problems),
        (("training", "search"), _unmet_requests),
        (("model",), model_problems),
        (("model", "problem"), _clashing_modules),
        (("report",), _notebook_problems),
        (("model", "search"), hyperparameter_problems),
        (("model", "training"), model_training_problems),
        (("problem", "search"), objective_problems),
        (("training", "search"), tuner_training_problems),
        (("model", "search"), tuner_model_problems),
        (("problem", "training", "search"), wish_problems),
        (("model", "search"), sampler_problems),
        (("search", "training", "resampling"), stage_problems),
        (("search", "training", "resampling"), outer_problems),
    ):
        if all(name in sections for name in needed):
            yield from check(*(sections[name] for name in needed))


def _clashing_modules(model: Any, problem: Any) -> Iterator[Problem]:
    """Yield what a trial would import by the name of something else."""
    clash = clash_of(dict.fromkeys((*model.own_code, *problem.own_code)))
    if clash:
        yield Problem(("model",), clash[0], f"allowed: {clash[1]}")


def _notebook_problems(report: Any) -> Iterator[Problem]:
    if isinstance(report.notebook, str):
        problem = notebooks.problem_with(report.notebook)
        if problem:
            yield Problem(("report", "notebook"), problem[0], f"allowed: {problem[1]}")


def _model_data_problems(data: Any, model: Any) -> Iterator[Problem]:
    shape = EMBEDDED_SHAPES.get(data.source)
    if shape and data.reshape and math.prod(data.reshape) != math.prod(shape[1:]):
        yield Problem(
            ("data", "reshape"),
            f"{data.reshape} for samples of {math.prod(shape[1:])} values",
            f"allowed: shapes with {math.prod(shape[1:])} values",
        )
        return
    found = datachecks.other_than_images(data)
    if model.cnn is not None and found:
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


def _unmet_requests(training: Any, search: Any) -> Iterator[Problem]:
    # With an axis of them, each combination is looked at.
    if training.unmet_request and not XLA_AXES & set(search.space):
        found, allowed = training.unmet_request
        yield Problem(("training", "jit_compile"), found, allowed)

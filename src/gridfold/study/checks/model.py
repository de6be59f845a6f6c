"""Checks the models of a study: the files they name, the hyperparameters they ask for."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from typing import Any

from gridfold.errors import KeyPath, Problem
from gridfold.study.sections.explain import shown, unknown_key
from gridfold.study.sections.model import FUNCTION_FAMILIES
from gridfold.usercode.functions import hyperparameter_names, problem_with, problem_with_file

_FILES = ("application.weights", "saved.path", "saved.objects")


def model_problems(model: Any) -> Iterator[Problem]:
    """Yield what is wrong with the files that the model section names."""
    for family, key in (("python", "build"), ("custom", "train")):
        section = getattr(model, family)
        problem = section and problem_with(section.reference)
        if problem:
            yield Problem(("model", family, key), problem[0], f"allowed: {problem[1]}")
    if model.application is not None and model.application.weights is not None:
        yield from _missing(("model", "application", "weights"), model.application.weights)
    if model.saved is not None:
        path: KeyPath = ("model", "saved", "path")
        missing = list(_missing(path, model.saved.path))
        yield from missing
        if not missing and not zipfile.is_zipfile(model.saved.path):
            yield Problem(
                path,
                f"{shown(model.saved.path)} is not in Keras' format",
                "allowed: a file that `model.save` of Keras 3 has written",
            )
        if model.saved.objects is not None:
            problem = problem_with_file(model.saved.objects)
            if problem:
                yield Problem(("model", "saved", "objects"), problem[0], f"allowed: {problem[1]}")


def _missing(path: KeyPath, file: str) -> Iterator[Problem]:
    if not os.path.isfile(file):
        yield Problem(
            path,
            f"no such file: {shown(file)}",
            "allowed: a file, relative to the working directory; nothing is downloaded",
        )


def hyperparameter_problems(model: Any, search: Any) -> Iterator[Problem]:
    """Yield hyperparameters that the user's functions never ask for, and axes that are files."""
    for axis in search.space:
        if axis in _FILES:
            yield Problem(
                ("search", "space", axis), "a file", "allowed: one file, in the section `model`"
            )
    for family in FUNCTION_FAMILIES:
        section = getattr(model, family)
        if section is not None and not problem_with(section.reference):
            yield from _unasked(family, section, search)


def _unasked(family: str, section: Any, search: Any) -> Iterator[Problem]:
    names = hyperparameter_names(section.reference)
    if names is None:
        return
    reference = shown(section.reference)
    for name in section.hp:
        if name not in names:
            yield _never_asked(("model", family, "hp", name), sorted(names), reference)
    for axis in search.space:
        of, _, name = axis.partition(".")
        if of == family and name and name not in names:
            full_names = sorted(f"{family}.{name}" for name in names)
            yield _never_asked(("search", "space", axis), full_names, reference)


def _never_asked(path: KeyPath, names: list[str], reference: str) -> Problem:
    if names:
        return unknown_key(path, names)
    return Problem(path, "unknown key", f"allowed: none; {reference} asks `hp` for nothing")


def model_training_problems(model: Any, training: Any) -> Iterator[Problem]:
    """Yield what a family can't do: saved layers and the user's own loop are as they are.

    An axis of the precision is not looked at: only its trials tell.
    """
    if model.saved is not None and training.mixed_precision:
        yield from _precision_problems(model.saved.path)
    if model.custom is None:
        return
    for key, value, allowed in (
        ("distribution", training.distribution.world_size > 1, "a world size of 1"),
        ("early_stopping", training.early_stopping is not None, "none"),
        ("class_weights", training.class_weights != "none", "none"),
        ("jit_compile", training.jit_compile is not False, "false"),
    ):
        if value:
            yield Problem(
                ("training", key),
                "with `model.custom`, whose function trains by itself",
                f"allowed: {allowed}; do it in the function",
            )


def _precision_problems(path: str) -> Iterator[Problem]:
    """Refuse 16 bit where no layer of a saved model computes in it: they keep their precision."""
    try:
        with zipfile.ZipFile(path) as archive:
            layers = archive.read("config.json")
    except (OSError, KeyError, zipfile.BadZipFile):
        # Told by the check of the file, or by Keras when it reads it.
        return
    # As in `mixed_float16` and `mixed_bfloat16`, the names of policies.
    if b"float16" not in layers:
        yield Problem(
            ("training", "mixed_precision"),
            f"with `model.saved`: no layer of {shown(path)} computes in 16 bit, and all keep the "
            "precision that they were saved with",
            "allowed: false",
        )

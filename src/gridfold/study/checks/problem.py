"""Checks the section `problem`: measures of its type, and a positive class that the data have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gridfold.csvfiles.numbers import is_named
from gridfold.errors import KeyPath, Problem
from gridfold.problems import MEASURES, OWN_ENDINGS, RENAMED, is_own_measure
from gridfold.study.checks import table
from gridfold.study.monitors import INNER_FRACTION, monitors
from gridfold.study.sections.explain import shown, unknown_key
from gridfold.usercode.functions import problem_with, split_reference

# Of the embedded data sets with two classes.
_EMBEDDED_CLASSES = {"breast_cancer": ["malignant", "benign"]}


def measure_problems(problem: Any) -> Iterator[Problem]:
    """Yield measures that the type of the problem doesn't have."""
    allowed = [*problem.kind.all_measures]
    named: list[tuple[KeyPath, str | None]] = [(("problem", "measure"), problem.measure)]
    for position, name in enumerate(problem.measures):
        path: KeyPath = ("problem", "measures", position)
        if ":" in name:
            yield from _own_measure_problems(path, name, problem)
        else:
            named.append((path, name))
    for path, name in named:
        own = problem.own_measures if path == ("problem", "measure") else {}
        if name is None or name in allowed or name in own:
            continue
        yield unknown_measure(path, name, problem.type, [*allowed, *own])


def monitor_problems(problem: Any, training: Any, search: Any) -> Iterator[Problem]:
    """Yield what early stopping can't look at, in this problem."""
    allowed = ["val_loss", "val_metric", *problem.kind.all_measures, *problem.own_measures]
    for path, name in monitors(training, search):
        if name not in allowed:
            yield unknown_measure(path, name, problem.type, allowed)
    if INNER_FRACTION in search.space:
        yield Problem(
            ("search", "space", INNER_FRACTION),
            "an axis that splits depend on",
            f"allowed: one value, as `{INNER_FRACTION}`, or whole values of "
            "`training.early_stopping`",
        )


def _own_measure_problems(path: KeyPath, reference: str, problem: Any) -> Iterator[Problem]:
    found = problem_with(reference)
    if found:
        yield Problem(path, found[0], f"allowed: {found[1]}")
    name = split_reference(reference)[1]
    if not is_own_measure(name):
        endings = {
            lower: [f"`_{e}`" for e, low in OWN_ENDINGS.items() if low == lower]
            for lower in (False, True)
        }
        yield Problem(
            path,
            f"a measure of your own with the name `{name}`",
            "allowed: a name in small letters that says which end is the good one: "
            f"{', '.join(endings[False])} at its end where higher is better, "
            f"{', '.join(endings[True])} where lower is; and none of {', '.join(MEASURES)}",
        )
    if problem.own_measures[name] != reference:
        yield Problem(path, f"a second measure with the name `{name}`", "allowed: each name once")


def unknown_measure(path: KeyPath, name: str, problem_type: str, allowed: list[str]) -> Problem:
    """Return the problem of a measure that this type of problem does not have."""
    new = RENAMED.get(name)
    if new in allowed:
        return Problem(
            path,
            f"`{name}` with `type: {problem_type}`, where it is a mean over the classes",
            f"allowed: `{new}`, the same numbers under a name that says so",
        )
    hint = unknown_key((name,), allowed).allowed
    if is_own_measure(name):
        hint += f", or one of your own, with `file.py:{name}` in `problem.measures`"
    return Problem(path, f"{shown(name)} with `type: {problem_type}`", hint)


def positive_problems(data: Any, problem: Any) -> Iterator[Problem]:
    """Yield a positive class that there is not, as far as it is known before the first job."""
    if problem.positive is None:
        return
    path: KeyPath = ("problem", "positive")
    if problem.type != "binary":
        yield Problem(
            path,
            f"{shown(problem.positive)} with `type: {problem.type}`",
            "allowed: leave it out; of two classes, one is positive",
        )
        return
    names = _class_names(data)
    if names and sum(is_named(name, problem.positive) for name in names) != 1:
        listed = ", ".join(map(shown, names))
        yield Problem(path, f"no class {shown(problem.positive)}", f"allowed: {listed}")


def threshold_problems(problem: Any) -> Iterator[Problem]:
    """Yield a threshold in a problem that has no positive class."""
    if problem.threshold is not None and problem.type != "binary":
        yield Problem(
            ("problem", "threshold"),
            f"{shown(problem.threshold)} with `type: {problem.type}`",
            "allowed: leave it out; only `type: binary` has a positive class with a probability",
        )


def notes(data: Any, problem: Any) -> list[str]:
    """Return which class of a valid binary study is the positive one, if nobody has said so."""
    names = _class_names(data)
    if problem.type != "binary" or problem.positive is not None or len(names) != 2:
        return []
    return [
        f"the positive class is {names[1]}, the second of {names[0]} and {names[1]}; "
        "problem.positive names another one"
    ]


def _class_names(data: Any) -> list[str]:
    """Return the labels of all classes; none where only the job that reads the data knows them."""
    if data.source == "csv":
        return table.labels(data)
    return _EMBEDDED_CLASSES.get(data.source, [])

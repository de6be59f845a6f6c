"""Checks the section `problem`: measures of its type, and a positive class that the data have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gridfold.csvfiles.numbers import is_named
from gridfold.errors import KeyPath, Problem
from gridfold.problems import RENAMED
from gridfold.study.checks import table
from gridfold.study.sections.explain import shown, unknown_key

# Of the embedded data sets with two classes.
_EMBEDDED_CLASSES = {"breast_cancer": ["malignant", "benign"]}


def measure_problems(problem: Any) -> Iterator[Problem]:
    """Yield measures that the type of the problem doesn't have."""
    named: list[tuple[KeyPath, str | None]] = [(("problem", "measure"), problem.measure)]
    named += [(("problem", "measures", i), name) for i, name in enumerate(problem.measures)]
    allowed = [*problem.kind.all_measures]
    for path, name in named:
        if name is None or name in allowed:
            continue
        new = RENAMED.get(name)
        if new in allowed:
            yield Problem(
                path,
                f"`{name}` with `type: {problem.type}`, where it is a mean over the classes",
                f"allowed: `{new}`, the same numbers under a name that says so",
            )
        else:
            hint = unknown_key((name,), allowed).allowed
            yield Problem(path, f"{shown(name)} with `type: {problem.type}`", hint)


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


def _class_names(data: Any) -> list[str]:
    """Return the labels of all classes; none where only the job that reads the data knows them."""
    if data.source == "csv":
        return table.labels(data)
    return _EMBEDDED_CLASSES.get(data.source, [])

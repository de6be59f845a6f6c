"""Reads the points that a search tries first (`search.starts`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gridfold.canonical import canonical_json
from gridfold.errors import KeyPath, Problem
from gridfold.space.space import Assignment, Space
from gridfold.study.sections.explain import shown, unknown_key
from gridfold.study.sections.search import GridStrategy


def start_points(space: Space) -> list[Assignment]:
    """Return the starting points of a space without problems."""
    return [_assignment(space, start) for start in space.search.starts]


def start_problems(space: Space) -> Iterator[Problem]:
    """Yield what is wrong with the starting points of an otherwise good space."""
    search = space.search
    is_grid = isinstance(search.strategy, GridStrategy)
    if search.starts and (is_grid or getattr(search.strategy, "tuner", None) == "grid"):
        yield Problem(
            ("search", "starts"),
            f"{len(search.starts)} points, with a grid, which holds all of them anyway",
            "allowed: none, or another strategy",
        )
    for index, start in enumerate(search.starts):
        yield from _problems_of(space, start, ("search", "starts", index))


def _problems_of(space: Space, start: Mapping[str, Any], path: KeyPath) -> Iterator[Problem]:
    names = ["model", *space.search.space]
    unknown = [key for key in start if key not in names]
    yield from (unknown_key((*path, key), names) for key in unknown)
    families = space.model.families
    if start.get("model", families[0]) not in families:
        yield Problem((*path, "model"), shown(start["model"]), f"allowed: {', '.join(families)}")
        return
    assignment = _assignment(space, start)
    missing = [name for name, value in assignment.items() if value is None and name not in start]
    inactive = [key for key in start if key not in assignment and key not in unknown]
    wrong = [n for n in assignment if n in start and not _is_value(space, n, start[n])]
    for name in missing:
        yield Problem(path, f"no value of {name}", "allowed: a value of every axis that is active")
    for name in inactive:
        yield Problem((*path, name), "an axis that is not active there", "allowed: leave it out")
    for name in wrong:
        yield Problem((*path, name), shown(start[name]), "allowed: values of this axis")
    if unknown or missing or inactive or wrong:
        return
    for group in space.search.zip:
        rows = [list(row) for row in zip(*(space.values[name] for name in group), strict=True)]
        row = [assignment.get(name) for name in group]
        if group[0] in assignment and canonical_json(row) not in map(canonical_json, rows):
            yield Problem(path, f"{shown(row)} for {', '.join(group)}", "allowed: values of a row")
    if space.is_excluded(assignment):
        yield Problem(path, "an excluded combination", "allowed: one that `exclude` leaves")


def _assignment(space: Space, start: Mapping[str, Any]) -> Assignment:
    """Return the axes that are active at a point with their values, None where it has none."""
    found: Assignment = {"model": start.get("model", space.model.families[0])}
    for group in space.groups:
        conditions = space.conditions(group[0]).items()
        holds = all(k in found and canonical_json(found[k]) in wanted for k, wanted in conditions)
        if holds and space.suits(group[0], found["model"]):
            found.update({name: start.get(name) for name in group})
    return found


def _is_value(space: Space, name: str, value: Any) -> bool:
    if name == "model":
        return True
    axis = space.search.space[name]
    if axis.form not in ("int", "float"):
        return canonical_json(value) in map(canonical_json, space.values[name])
    bounds = axis.form_value(axis.form)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    inside = bool(bounds.min <= value <= bounds.max)
    return inside and (axis.form == "float" or (value - bounds.min) % bounds.step == 0)

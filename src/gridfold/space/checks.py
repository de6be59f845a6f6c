"""Checks the axes of a search space before any of their values are combined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from gridfold.canonical import canonical_json
from gridfold.errors import KeyPath, Problem
from gridfold.space.axes import count_values, discrete_values, sample
from gridfold.space.space import Space, alternatives, with_value
from gridfold.study.sections.base import Section, affects_result
from gridfold.study.sections.explain import field_names, problems_of, shown, unknown_key
from gridfold.study.sections.model import FUNCTION_FAMILIES
from gridfold.study.sections.search import Axis, GridStrategy
from gridfold.study.sections.tuner import KerasTunerStrategy

_VALUES_SHOWN = 20


def space_problems(space: Space) -> list[Problem]:
    """Return everything that is wrong with the axes, before any combination is made."""
    problems = list(_axis_problems(space))
    problems += _zip_problems(space)
    for name, axis in space.search.space.items():
        problems += _condition_problems(space, axis.when or {}, ("search", "space", name, "when"))
    for index, condition in enumerate(space.search.exclude):
        problems += _condition_problems(space, condition, ("search", "exclude", index))
    if not problems:
        problems += _cycle_problems(space)
    return problems


def _axis_problems(space: Space) -> Iterator[Problem]:
    for name, axis in space.search.space.items():
        path = ("search", "space", name)
        section, _, rest = name.partition(".")
        if section not in space.sections or not all(rest.split(".")):
            yield _unknown_axis(space, path)
            continue
        count = count_values(axis)
        is_drawn = _draws_from_intervals(space.search.strategy)
        if count is None and not is_drawn:
            yield Problem(
                (*path, "float"),
                "a real interval in a grid",
                "allowed: linspace, logspace or a list; or `strategy: {type: random, n: ...}`",
            )
        elif name not in space.values and not (is_drawn and axis.form in ("int", "float")):
            yield Problem(
                (*path, axis.form),
                f"{count:,} values",
                f"allowed: at most {space.search.max_configurations:,} (search.max_configurations)",
            )
            continue
        elif count is not None and axis.role == "fixed" and count != 1:
            yield Problem(
                (*path, "role"), f"fixed with {count} values", "allowed: one value, or no role"
            )
        yield from _value_problems(space, name, axis, section, tuple(rest.split(".")))


def _draws_from_intervals(strategy: Any) -> bool:
    if isinstance(strategy, KerasTunerStrategy):
        return strategy.tuner != "grid"
    return not isinstance(strategy, GridStrategy)


def _unknown_axis(space: Space, path: KeyPath) -> Problem:
    names = {
        section: [
            f"{section}.{name}"
            for name in (
                ["<name>"] if section in FUNCTION_FAMILIES else _axis_names(space.kind(section))
            )
        ]
        for section in space.sections
    }
    hint = unknown_key(path, [name for section in names.values() for name in section])
    section = str(path[-1]).partition(".")[0]
    allowed = names.get(section, [f"{section}.<name>" for section in names])
    hints, _, _ = hint.allowed.rpartition("allowed: ")
    return Problem(path, hint.found, f"{hints}allowed: {', '.join(allowed)}")


def _value_problems(
    space: Space, name: str, axis: Axis, section: str, keys: tuple[str, ...]
) -> Iterator[Problem]:
    if section in FUNCTION_FAMILIES:
        return
    kind = space.kind(section)
    path: KeyPath = ("search", "space", name)
    if keys[0] in kind.model_fields and keys[0] not in _axis_names(kind):
        yield Problem(
            path, "a value that can't change a result", "allowed: set it under `training`"
        )
        return
    listed = axis.form in ("grid", "choice")
    for place, value in _representatives(axis):
        raw = with_value(space.sections[section], keys, value)
        try:
            kind.model_validate(raw)
        except ValidationError as error:
            found = list(_about(keys, problems_of(error, kind, raw), raw))
        else:
            continue
        for problem in found:
            if problem.found == "unknown key" and len(problem.path) <= len(keys):
                # The axis itself does not exist, whatever its values.
                yield (
                    _unknown_axis(space, path)
                    if len(problem.path) == 1
                    else Problem(path, problem.found, problem.allowed)
                )
                return
            inside = problem.path[len(keys) :]
            yield Problem((*path, axis.form, *place, *inside), problem.found, problem.allowed)
        if found and not listed:
            return


def _zip_problems(space: Space) -> Iterator[Problem]:
    owner: dict[str, int] = {}
    for index, group in enumerate(space.search.zip):
        path = ("search", "zip", index)
        known = [name for name in group if name in space.values]
        for position, name in enumerate(group):
            if name not in space.search.space:
                yield _unknown_name((*path, position), name, list(space.search.space))
            elif name not in space.values:
                yield Problem((*path, position), f"{name} is an interval", "allowed: lists")
            elif name in owner:
                yield Problem(
                    (*path, position),
                    f"{name} stands in two groups",
                    "allowed: each axis in one group, once",
                )
            owner[name] = index
        lengths = {name: len(space.values[name]) for name in known}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} has {n}" for name, n in lengths.items())
            yield Problem(path, f"unequal lengths: {listed}", "allowed: equal lengths")
        conditions = {canonical_json(space.search.space[name].when) for name in known}
        if len(conditions) > 1:
            yield Problem(path, "axes with different `when`", "allowed: the same condition for all")
        models = {name.partition(".")[0] for name in known}
        if len(space.model.families) > 1 and len(models) > 1:
            yield Problem(
                path,
                f"axes of {', '.join(sorted(models))}, which are not always searched together",
                "allowed: axes of one of them",
            )


def _condition_problems(
    space: Space, condition: dict[str, Any], path: tuple[str | int, ...]
) -> Iterator[Problem]:
    for key, wanted in condition.items():
        if key == "model":
            possible: list[Any] | None = list(space.model.families)
        elif key in space.search.space:
            possible = space.values.get(key)
        else:
            yield unknown_key((*path, key), ["model", *space.search.space])
            continue
        if possible is None and count_values(space.search.space[key]) is None:
            yield Problem((*path, key), "a condition on an interval", "allowed: axes with a list")
            continue
        if possible is None:
            # Refused already, for the number of its values.
            continue
        known = {canonical_json(value) for value in possible}
        for value in alternatives(wanted, possible):
            if canonical_json(value) not in known:
                yield Problem(
                    (*path, key),
                    f"{shown(value)} is no value of this axis",
                    f"allowed: {_listed(possible)}",
                )


def _cycle_problems(space: Space) -> Iterator[Problem]:
    placed = {"model"}
    waiting = dict(space.search.space)
    while waiting:
        ready = [n for n, a in waiting.items() if set(a.when or {}) <= placed]
        if not ready:
            yield Problem(
                ("search", "space", next(iter(waiting)), "when"),
                f"the conditions of {', '.join(waiting)} wait for each other",
                "allowed: conditions without a circle",
            )
            return
        placed.update(ready)
        for name in ready:
            del waiting[name]


def _unknown_name(path: KeyPath, name: str, names: list[str]) -> Problem:
    problem = unknown_key((name,), names)
    return Problem(path, f"unknown axis `{name}`", problem.allowed)


def _representatives(axis: Axis) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield values that tell whether all values of `axis` are valid, and where each stands."""
    form, value = axis.form, axis.form_value(axis.form)
    if form == "float":
        yield ("min",), sample(axis, 0.0)
        yield ("max",), sample(axis, 1 - 1e-12)
    elif form == "int":
        yield ("min",), value.min
        yield ("max",), value.max - (value.max - value.min) % value.step
    else:
        listed = form in ("grid", "choice")
        for index, item in enumerate(discrete_values(axis)):
            yield (index,) if listed else (), item


def _about(keys: tuple[str, ...], problems: Iterable[Problem], raw: Any) -> Iterator[Problem]:
    """Yield the problems of the value at `keys`.

    Rules between values may hold only together with other axes; they wait for whole
    combinations.
    """
    for problem in problems:
        common = min(len(keys), len(problem.path))
        if not common or problem.path[:common] != keys[:common]:
            continue
        if common < len(keys):
            # Of a section above: it has no such key, is of another kind, or has a rule.
            section = raw
            for part in problem.path:
                section = section[part]
            if problem.found not in ("unknown key", shown(section)):
                continue
        yield problem


def _listed(values: list[Any]) -> str:
    text = ", ".join(map(shown, values[:_VALUES_SHOWN]))
    return text if len(values) <= _VALUES_SHOWN else f"{text}, ... ({len(values):,} values)"


def _axis_names(kind: type[Section]) -> list[str]:
    return [name for name in field_names(kind) if name == "epochs" or affects_result(kind, name)]

"""Turn pydantic's errors into problems with key path, offending value and what is allowed."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gridfold.errors import KeyPath, Problem
from gridfold.study.sections.base import PATTERN_MEANINGS
from gridfold.wording import counted

_TYPE_NAMES = {
    "bool_type": "true or false",
    "dict_type": "a mapping of `key: value` lines",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "list_type": "a list",
    "model_attributes_type": "a mapping of `key: value` lines",
    "model_type": "a mapping of `key: value` lines",
    "string_type": "text",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


def problems_of(error: ValidationError, model: type[BaseModel], raw: Any) -> list[Problem]:
    """Return one problem for each offending value in `raw`.

    A value that fits no member of a union makes pydantic report every member; here that is one
    problem that lists what each member would accept.
    """
    grouped: dict[KeyPath, list[ErrorDetails]] = {}
    for details in error.errors():
        grouped.setdefault(_key_path(details, raw), []).append(details)
    problems = []
    for path, group in grouped.items():
        if any(_is_inside(other, path) for other in grouped):
            # The member that the value was meant for has said more, further inside.
            group = [d for d in group if not _is_of_another_kind(d)]
        elif not all(_is_of_another_kind(d) for d in group):
            group = [d for d in group if not _is_type_mismatch(d)]
        if group:
            problems.append(_problem(path, group, model))
    return problems


def shown(value: Any) -> str:
    """Return `value` as a user would write it, cut to a line."""
    text = (
        str(value)
        if isinstance(value, float)
        else json.dumps(value, ensure_ascii=False, default=str)
    )
    return text if len(text) <= 80 else text[:77] + "..."


def _is_inside(path: KeyPath, ancestor: KeyPath) -> bool:
    return len(path) > len(ancestor) and path[: len(ancestor)] == ancestor


def _is_type_mismatch(details: ErrorDetails) -> bool:
    return details["type"] in _TYPE_NAMES and details["type"] != "finite_number"


def _is_of_another_kind(details: ErrorDetails) -> bool:
    return _is_type_mismatch(details) or details["type"] == "literal_error"


def _key_path(details: ErrorDetails, raw: Any) -> KeyPath:
    """Drop from pydantic's location what names a union member instead of a key."""
    path: list[str | int] = []
    here = raw
    for position, part in enumerate(details["loc"]):
        is_last = position == len(details["loc"]) - 1
        in_mapping = isinstance(here, dict) and part in here
        if in_mapping or (isinstance(here, list) and isinstance(part, int) and part < len(here)):
            here = here[part]
            path.append(part)
        elif is_last and details["type"] == "missing":
            path.append(part)
    return tuple(path)


def _problem(path: KeyPath, group: list[ErrorDetails], model: type[BaseModel]) -> Problem:
    first = group[0]
    kind = first["type"]
    if kind == "extra_forbidden":
        return unknown_key(path, _keys_at(model, first["loc"][:-1]))
    if kind == "missing":
        description = _description(model, first["loc"])
        return Problem(path, "missing", f"required: {description or 'any value'}")
    if kind == "union_tag_not_found":
        tag = first["ctx"]["discriminator"].strip("'")
        return Problem((*path, tag), "missing", f"required: {_tags(model, first['loc'], tag)}")
    if kind == "union_tag_invalid":
        tag = first["ctx"]["discriminator"].strip("'")
        allowed = first["ctx"]["expected_tags"].replace("'", "")
        return Problem((*path, tag), shown(first["ctx"]["tag"]), f"allowed: {allowed}")
    if kind == "value_error":
        found, _, allowed = str(first["ctx"]["error"]).rpartition("; allowed: ")
        return Problem(path, found, f"allowed: {allowed}")
    accepted = dict.fromkeys(_accepted(details, model) for details in group)
    return Problem(path, shown(first["input"]), f"allowed: {', or '.join(accepted)}")


def _accepted(details: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "model_type":
        # An axis is the one section that may also be a list.
        members = next(_models_at(model, details["loc"]))
        prefix = "a list of values, or " if "grid" in members.model_fields else ""
        return f"{prefix}{_TYPE_NAMES[kind]}; keys: {', '.join(field_names(members))}"
    if kind == "model_attributes_type":
        tag = discriminator(list(_models_at(model, details["loc"])))
        return f"a mapping with `{tag}: {_tags(model, details['loc'], tag)}`".replace(", ", " | ")
    if kind in _TYPE_NAMES:
        return _TYPE_NAMES[kind]
    if kind in _BOUNDS:
        key, word = _BOUNDS[kind]
        bound = context[key]
        return f"a number {word} {bound if isinstance(bound, int) else format(bound, 'g')}"
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "")
    if kind == "too_short":
        count = context["min_length"]
        return f"at least {count} value" if count == 1 else f"at least {count} values"
    if kind == "string_too_short":
        return f"at least {counted(context['min_length'], 'character')}"
    if kind == "too_long":
        return f"at most {counted(context['max_length'], 'value')}"
    if kind == "string_pattern_mismatch":
        return PATTERN_MEANINGS[str(context["pattern"])]
    return str(details["msg"])


def unknown_key(path: KeyPath, keys: list[str]) -> Problem:
    """Return the problem of a key that does not exist, with the likeliest intended one."""
    close = difflib.get_close_matches(str(path[-1]), keys, n=1)
    hint = f"did you mean `{close[0]}`? " if close else ""
    return Problem(path, "unknown key", f"{hint}allowed: {', '.join(keys)}")


def _keys_at(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    return field_names(next(_models_at(model, location)))


def field_names(section: type[BaseModel]) -> list[str]:
    """Return the keys of a section as they stand in the file."""
    return [field.alias or name for name, field in section.model_fields.items()]


def _description(model: type[BaseModel], location: tuple[Any, ...]) -> str | None:
    for parent in _models_at(model, location[:-1]):
        field = parent.model_fields.get(str(location[-1]))
        if field is not None and field.description:
            return field.description.rstrip(".")
    return None


def discriminator(members: list[type[BaseModel]]) -> str:
    """Return the field whose fixed values tell the members of a union apart."""
    return next(
        name
        for name in members[0].model_fields
        if all(name in member.model_fields for member in members)
        and len({str(member.model_fields[name].annotation) for member in members}) == len(members)
    )


def _tags(model: type[BaseModel], location: tuple[Any, ...], tag: str) -> str:
    return ", ".join(
        str(name)
        for member in _models_at(model, location)
        for name in typing.get_args(member.model_fields[tag].annotation)
    )


def _models_at(model: type[BaseModel], location: tuple[Any, ...]) -> Iterator[type[BaseModel]]:
    """Yield the section models that stand at a pydantic location."""
    candidates = [model]
    for part in location:
        following: list[type[BaseModel]] = []
        for candidate in candidates:
            field = _field(candidate, part)
            if field is not None:
                following.extend(models_in(field.annotation))
            elif isinstance(part, str) and part in _tag_values(candidate):
                following.append(candidate)
        # A key of a `dict[str, Section]` or an index of a list leads to the same members.
        candidates = following or candidates
    yield from candidates


def _field(model: type[BaseModel], part: Any) -> Any:
    for name, field in model.model_fields.items():
        if part in (name, field.alias):
            return field
    return None


def _tag_values(model: type[BaseModel]) -> tuple[Any, ...]:
    return tuple(
        value
        for field in model.model_fields.values()
        if typing.get_origin(field.annotation) is typing.Literal
        for value in typing.get_args(field.annotation)
    )


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the section models that an annotation mentions, through unions and containers."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from models_in(argument)

"""Answers what the example and the tables both ask about a section of the study model."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gridfold.reference.schema import Schema, allowed
from gridfold.study.sections.explain import discriminator, models_in

# What the key says that tells the members of a union apart.
_TAG_MEANINGS = {
    "source": "Where samples come from.",
    "kind": "Course of the learning rate.",
    "type": "How configurations are taken from the space.",
    "method": "How samples are split.",
}


@dataclass(frozen=True)
class Key:
    """One key of a section.

    Attributes
    ----------
    name : str
        Name of the key, as it stands in the file.
    field : FieldInfo
    allowed : str
        Values that the key may have, in words.
    meaning : str
        What the key means: one or more sentences.
    members : tuple of type
        The section below it, or the alternatives when there are several; none for a plain value.
    required : bool
        Whether the key has no default.
    """

    name: str
    field: FieldInfo
    allowed: str
    meaning: str
    members: tuple[type[BaseModel], ...]
    required: bool

    @property
    def default(self) -> Any:
        """Its default; None when it is required."""
        return None if self.required else self.field.get_default(call_default_factory=True)

    @property
    def tag(self) -> str | None:
        """The key that tells its members apart."""
        return discriminator(list(self.members)) if len(self.members) > 1 else None


def keys_of(
    section: type[BaseModel], schema: Schema, alternatives: tuple[type[BaseModel], ...] = ()
) -> Iterator[Key]:
    """Yield the keys of a section, first the one that tells it from its `alternatives`."""
    tag = discriminator(list(alternatives)) if len(alternatives) > 1 else ""
    properties = schema["$defs"].get(section.__name__, schema)["properties"]
    fields = {field.alias or name: field for name, field in section.model_fields.items()}
    for name in sorted(fields, key=lambda name: name != tag):
        field, text = fields[name], allowed(properties[name])
        meaning = sentence(field.description or "")
        if name == tag:
            values = [value for member in alternatives for value in tags(member, tag)]
            text, meaning = ", ".join(f"`{value}`" for value in values), _TAG_MEANINGS[tag]
        is_mapping = typing.get_origin(field.annotation) is dict
        members = () if is_mapping else tuple(models_in(field.annotation))
        required = field.is_required() or name == tag
        yield Key(name, field, text, meaning, members, required)


def tags(member: type[BaseModel], tag: str) -> tuple[Any, ...]:
    """Return the values of `tag` that choose `member`."""
    return typing.get_args(member.model_fields[tag].annotation)


def summary(section: type[BaseModel]) -> str:
    """Return what a section is, in a sentence."""
    return sentence(section.__doc__ or "")


_SWITCHES = ("on", "off", "yes", "no")


def as_yaml(value: Any) -> str:
    """Return `value` in YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {as_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_yaml, value)) + "]"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value):
        # Readers of YAML 1.1 take these words for true and false.
        return json.dumps(value) if value.lower() in _SWITCHES else value
    return json.dumps(value)


def sentence(text: str) -> str:
    """Return `text` on one line, with a full stop."""
    text = " ".join(text.split())
    return text if not text or text.endswith(".") else f"{text}."

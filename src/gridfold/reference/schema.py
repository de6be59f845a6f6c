"""Writes the JSON schema of study files, and says in words what a property allows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gridfold.objectives import RULES
from gridfold.problems import MEASURES
from gridfold.study import Study
from gridfold.study.sections.base import PATTERN_MEANINGS
from gridfold.study.sections.search import FORMS

DRAFT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_BOUNDS = {
    "exclusiveMinimum": "above",
    "minimum": "at least",
    "exclusiveMaximum": "below",
    "maximum": "at most",
}
_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "`true` or `false`",
    "null": "`null`",
}


def study_schema() -> Schema:
    """Return the JSON schema (draft 2020-12) of the study file.

    It says what single values may be. What holds between values, only the model knows.
    """
    schema = Study.model_json_schema(by_alias=True)
    for node in _objects(schema):
        _require_tag(node, schema["$defs"])
    _admit_shorthands(schema["$defs"])
    for node in _objects(schema):
        _strip(node)
    return {"$schema": DRAFT, "title": "gridfold study", **schema}


def allowed(schema: Mapping[str, Any]) -> str:
    """Return in words what a property allows, in Markdown."""
    if "anyOf" in schema or "oneOf" in schema:
        members = [*schema.get("anyOf", []), *schema.get("oneOf", [])]
        return " or ".join(dict.fromkeys(map(allowed, members)))
    if "$ref" in schema:
        return "section"
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("enum") == [*MEASURES]:
        return "measure"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "pattern" in schema:
        return PATTERN_MEANINGS[schema["pattern"]]
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_plural(allowed(schema.get('items', {})))}"
    if kind == "object":
        values = schema.get("additionalProperties")
        inner = allowed(values) if isinstance(values, dict) else "any value"
        return f"mapping to {_plural(inner)}"
    if kind is None:
        return "any value"
    bounds = [f"{word} {schema[key]}" for key, word in _BOUNDS.items() if key in schema]
    return " ".join([_TYPES[kind], " and ".join(bounds)]).strip()


def _plural(text: str) -> str:
    return re.sub(r"\b(number|value|list|mapping|measure)\b", r"\1s", text)


def _objects(node: Any) -> Iterator[Schema]:
    """Yield every schema in a schema, properties that are named like keywords included."""
    if isinstance(node, dict):
        yield node
        for value in list(node.values()):
            yield from _objects(value)
    elif isinstance(node, list):
        for item in node:
            yield from _objects(item)


def _require_tag(node: Schema, definitions: Schema) -> None:
    """Make the tag of a union's members required, also where the model has a default for it."""
    discriminator = node.get("discriminator")
    if isinstance(discriminator, dict) and "mapping" in discriminator:
        for reference in discriminator["mapping"].values():
            member = definitions[reference.rpartition("/")[2]]
            required = member.setdefault("required", [])
            if discriminator["propertyName"] not in required:
                required.append(discriminator["propertyName"])


def _admit_shorthands(definitions: Schema) -> None:
    search = definitions["Search"]["properties"]
    search["strategy"]["oneOf"].insert(0, {"const": "grid"})
    search["stop"]["anyOf"].insert(0, {"const": "auto"})
    # A rule alone, without its key.
    search["select"]["anyOf"].insert(0, {"enum": list(RULES)})
    axis = search["space"]["additionalProperties"]
    search["space"]["additionalProperties"] = {
        "anyOf": [
            {"type": "array", "minItems": 1, "description": "Short for `grid`."},
            axis,
        ]
    }
    forms = definitions["Axis"]["properties"]
    for form in FORMS:
        [given, _null] = forms[form].pop("anyOf")
        forms[form].pop("default")
        forms[form].update(given)
    definitions["Axis"]["oneOf"] = [{"required": [form]} for form in FORMS]
    # `mlp:` with nothing after it means all defaults; the others have a key without default.
    families = definitions["Model"]["properties"]
    for name in ("application", "saved", "python", "custom"):
        [given, _null] = families[name].pop("anyOf")
        families[name].update(given)
    for family in families.values():
        family.pop("default")
    definitions["Model"]["minProperties"] = 1


def _strip(node: Schema) -> None:
    """Remove what helps neither editors nor readers."""
    node.pop("discriminator", None)
    node.pop("affects_result", None)
    if node.get("anyOf") == [{"type": "integer"}, {"type": "number"}]:
        del node["anyOf"]
        node["type"] = "number"
    # A keyword here is a text; a property of that name (`report.title`) is a schema.
    if isinstance(node.get("title"), str):
        del node["title"]

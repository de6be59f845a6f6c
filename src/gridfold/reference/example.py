"""Writes an example study that runs, with each key and what it means above it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from gridfold.reference.schema import Schema
from gridfold.reference.walk import Key, as_yaml, keys_of, sentence, summary, tags
from gridfold.study import Study
from gridfold.study.sections.objectives import Limit
from gridfold.study.sections.search import Axis, Search

_WIDTH = 88

# Values where the model has no default, or where the default shows too little.
_VALUES: dict[str, Any] = {
    "study": "reference",
    "data": {"source": "digits"},
    "problem": {"type": "multiclass"},
    "model": {"mlp": {}, "cnn": {}},
    "training": {"early_stopping": {}},
    "search": {
        "zip": [["mlp.units", "mlp.dropout"]],
        "exclude": [{"mlp.layers": 2, "mlp.activation": ["tanh", "gelu"]}],
    },
    "resampling": {"method": "stratified"},
}
_AXES: dict[str, Any] = {
    "mlp.units": [32, 64],
    "mlp.activation": {"choice": ["relu", "tanh", "gelu"]},
    "mlp.layers": {"range": {"start": 1, "stop": 2}},
    "mlp.dropout": {"linspace": {"start": 0.0, "stop": 0.5, "num": 2}},
    "training.learning_rate": {
        "logspace": {"start": 0.001, "stop": 0.01, "num": 2},
        "role": "nuisance",
    },
    "cnn.filters": {"int": {"min": 8, "max": 16, "step": 8}},
    "cnn.dense_units": {"grid": [0, 32], "when": {"cnn.filters": 16}},
}
_RANDOM_AXES: dict[str, Any] = {
    "training.weight_decay": {"float": {"min": 0.0001, "max": 0.1, "log": True}},
}
# Values of required keys in what is only mentioned, as a comment.
_MENTIONED: dict[str, Any] = {
    "targets": ["y"],
    "function": "data.py:read",
    "build": "model.py:build_model",
    "train": "loop.py:train",
    "backbone": "MobileNetV2",
    "path": "model.keras",
    "length": 24,
    "n": 20,
    "tuner": "hyperband",
    "rate": 0.9,
    "at": [10, 15],
}


def example_study(schema: Schema, notice: str) -> str:
    """Return the text of the example."""
    text = (
        "Every key of the study file, in a study that runs. A value is the key's default unless "
        "the comment above it says otherwise."
    )
    lines = ["# yaml-language-server: $schema=study.schema.json", *_comment(text)]
    lines += _comment(notice)
    for key in keys_of(Study, schema):
        lines += ["", *_key(key, _VALUES, schema)]
    return "\n".join(lines) + "\n"


def _section(
    section: type[BaseModel],
    given: Mapping[str, Any],
    schema: Schema,
    alternatives: tuple[type[BaseModel], ...] = (),
) -> list[str]:
    lines = []
    for key in keys_of(section, schema, alternatives):
        if section is Search and key.name == "space":
            lines += [*_comment(key.meaning), "space:", *_indented(_space(schema))]
        elif section is Search and key.name == "constraints":
            lines += [*_comment(key.meaning), "constraints:", *_indented(_limits(schema))]
        else:
            lines += _key(key, given, schema)
    return lines


def _key(key: Key, given: Mapping[str, Any], schema: Schema) -> list[str]:
    if not key.members:
        return _plain(key, given)
    values = given.get(key.name, {})
    chosen, tag = key.members[0], key.tag
    if tag is not None:
        values = {tag: tags(chosen, tag)[0], **values}
        chosen = next(member for member in key.members if values[tag] in tags(member, tag))
    lines = [f"{key.name}:", *_indented(_section(chosen, values, schema, key.members))]
    for member in key.members:
        if member is not chosen:
            lines += _indented(_instead(key, member, chosen, schema))
    if key.name not in given and key.default is None and not key.required:
        return _mention(f"Also: {key.meaning}", lines)
    return [*_comment(key.meaning or summary(chosen)), *lines]


def _plain(key: Key, given: Mapping[str, Any]) -> list[str]:
    value = given.get(key.name, key.default)
    remarks = [key.meaning, f"Allowed: {key.allowed}."]
    if key.required:
        value = _MENTIONED[key.name] if value is None else value
        remarks.append("Required.")
    elif value != key.default and key.default is not None:
        remarks.append(f"Default: {as_yaml(key.default)}.")
    return [*_comment(" ".join(filter(None, remarks))), f"{as_yaml(key.name)}: {as_yaml(value)}"]


def _instead(
    key: Key, member: type[BaseModel], chosen: type[BaseModel], schema: Schema
) -> list[str]:
    """Mention what another member of a union has and the chosen one has not."""
    assert key.tag is not None
    tag = tags(member, key.tag)[0]
    lines = [f"{key.tag}: {tag}"]
    for own in keys_of(member, schema, key.members):
        if own.name != key.tag and own.name not in chosen.model_fields:
            lines += _key(own, {"path": f"samples.{tag}"}, schema)
    return _mention(f"Instead: {summary(member)}", lines)


def _space(schema: Schema) -> list[str]:
    lines = []
    for name, axis in _AXES.items():
        lines += _axis(name, axis, schema)
    with_random = [
        line for name, axis in _RANDOM_AXES.items() for line in _axis(name, axis, schema)
    ]
    return [*lines, *_mention("Also, with `strategy: {type: random}`, an interval", with_random)]


def _axis(name: str, axis: Any, schema: Schema) -> list[str]:
    if isinstance(axis, list):
        return [*_comment("Short for `grid`."), f"{name}: {as_yaml(axis)}"]
    lines = []
    for key in keys_of(Axis, schema):
        if key.name in axis:
            lines += _key(key, axis, schema)
    return [f"{name}:", *_indented(lines)]


def _limits(schema: Schema) -> list[str]:
    given = {"at_most": 1_000_000, "at_least": 0}
    limits = [line for key in keys_of(Limit, schema) for line in _key(key, given, schema)]
    return ["parameters:", *_indented(limits)]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(sentence(text), _WIDTH, break_on_hyphens=False)]


def _mention(heading: str, lines: list[str]) -> list[str]:
    """Turn lines into a comment; comments in them stand out by their indentation."""
    inside = [
        re.sub(r"^( *)#", r"\1   ", line) if line.lstrip().startswith("#") else line
        for line in lines
    ]
    return ["#", *_comment(heading), *(f"#   {line}".rstrip() for line in inside)]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}".rstrip() for line in lines]

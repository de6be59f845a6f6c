"""Writes the tables of `docs/study-file.md`, with each key of the study file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from gridfold.reference.schema import Schema
from gridfold.reference.walk import Key, as_yaml, keys_of, summary, tags
from gridfold.study import Study
from gridfold.study.sections.objectives import Limit
from gridfold.study.sections.search import Axis

_INTRODUCTION = """\
# The study file

<!-- {notice} -->

One YAML file describes one study. Its model is closed: a key that does not exist, a value of
another type and a combination that makes no sense are refused before anything runs, all at once,
each with its line and with what would be allowed.

[`config/reference.yaml`](../config/reference.yaml) shows every key in a study that runs. Editors
that speak with the YAML language server complete and check keys when the file begins with

```yaml
# yaml-language-server: $schema=study.schema.json
```

YAML is read as version 1.2: `1e-3` is a number, `no` and `on` are words. Tabs, duplicate keys,
anchors, aliases and tags are refused, because readers take them for different things.
"""

# What leads to the table of a section.
_LEADS: dict[str, str] = {
    "data": """\
The held-out test set is drawn first, and the search never sees it. `source` decides which other
keys there are; those of the first table go with every source.""",
    "problem": """\
The type fixes the output layer, the loss and the measures. The other keys change one of them, as
far as that makes sense with the type.""",
    "model": """\
Name one family or several; with several, the family itself is searched. `mlp:` with nothing after
it takes all defaults.""",
    "training": """\
Each of these values may also be an axis of the space, as `training.<key>`, except for the two that
can't change a result: `steps_per_execution` and `checkpoint_every`.""",
    "search": """\
The space maps the path of a value to the values that it takes. A plain list is short for `grid`.
Axes of a family, such as `mlp.units`, are searched with that family only; axes of `training` with
all of them.

```yaml
search:
  strategy: {type: random, n: 50, seed: 1}
  space:
    mlp.units: [32, 64, 128]
    mlp.dropout: {linspace: {start: 0.0, stop: 0.5, num: 6}}
    training.learning_rate: {float: {min: 0.0001, max: 0.1, log: true}, role: nuisance}
    training.optimizer: [adam, sgd]
    training.momentum: {grid: [0.0, 0.9], when: {training.optimizer: sgd}}
  exclude:
    - {mlp.units: 128, mlp.dropout: 0.0}
```""",
    "audit": """\
What the [audit](audit.md) finds about data and splits is told before anything is trained. Findings
that are as they should be are accepted with a reason:

```yaml
audit:
  accept: {GF103: "two readers have labelled these images, by design"}
  fail_on: error
```""",
    "resampling": """\
The same splits serve every configuration, so that comparisons are paired. `method` decides which
other keys there are; those of the first table go with every method.""",
    "execution": """\
Nothing here changes a result, and nothing here is about a machine: partition, memory and time
limits belong to the [profile](../profiles).""",
    "final": """\
A change here makes the final model anew from what is trained; no trial is trained again.""",
    "report": """\
A change here draws the report anew and retrains nothing.""",
}


def study_tables(schema: Schema, notice: str) -> str:
    """Return the tables as one Markdown page."""
    top = list(keys_of(Study, schema))
    parts = [_INTRODUCTION.format(notice=notice), "## Sections\n", _table(top, "")]
    for key in top:
        if key.members:
            parts += [f"## `{key.name}`\n", f"{_LEADS[key.name]}\n"]
            parts += _section(key, key.name, schema, level=3)
    return "\n".join(parts)


def _section(key: Key, path: str, schema: Schema, level: int) -> Iterator[str]:
    """Yield the tables of what stands below a key."""
    if key.tag is None:
        yield from _with_nested(list(keys_of(key.members[0], schema)), path, schema, level)
        return
    members = {member: list(keys_of(member, schema, key.members)) for member in key.members}
    first, *others = members.values()
    shared = [k for k in first if k.name == key.tag or all(_has(other, k) for other in others)]
    yield from _with_nested(shared, path, schema, level)
    for member, keys in members.items():
        own = [k for k in keys if not _has(shared, k) and k.name != key.tag]
        names = ", ".join(f"`{value}`" for value in tags(member, key.tag))
        yield f"{'#' * level} `{path}.{key.tag}`: {names}\n"
        yield f"{summary(member)}\n"
        if own:
            yield from _with_nested(own, path, schema, level + 1)


def _with_nested(keys: list[Key], path: str, schema: Schema, level: int) -> Iterator[str]:
    yield _table(keys, path)
    for key in keys:
        nested = f"{path}.{key.name}"
        if key.members:
            yield f"{'#' * level} `{nested}`\n"
            yield f"{key.meaning}\n"
            yield from _section(key, nested, schema, level + 1)
        elif nested == "search.constraints":
            yield f"{'#' * level} A limit of `search.constraints`\n"
            yield f"{summary(Limit)}\n"
            yield _table(keys_of(Limit, schema), "")
        elif nested == "search.space":
            yield f"{'#' * level} An axis of `search.space`\n"
            yield f"{summary(Axis)}\n"
            axis = list(keys_of(Axis, schema))
            yield _table(axis, "")
            for form in axis:
                if form.members:
                    yield f"{'#' * (level + 1)} `{form.name}`\n"
                    yield _table(keys_of(form.members[0], schema), "")


def _has(keys: Iterable[Key], wanted: Key) -> bool:
    """Tell whether `wanted` is among `keys` with the same meaning and default."""
    return any(
        (key.name, key.allowed, key.meaning, key.default)
        == (wanted.name, wanted.allowed, wanted.meaning, wanted.default)
        for key in keys
    )


def _table(keys: Iterable[Key], path: str) -> str:
    rows = ["| Key | Allowed | Default | Meaning |", "| --- | --- | --- | --- |"]
    for key in keys:
        meaning = key.meaning or (summary(key.members[0]) if key.members else "")
        cells = [f"`{key.name}`", _allowed(key, path), _default(key), meaning]
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def _allowed(key: Key, path: str) -> str:
    if not key.members:
        return key.allowed
    anchor = f"{path}.{key.name}".replace(".", "").lower()
    return key.allowed.replace("section", f"[section](#{anchor})")


def _default(key: Key) -> str:
    if key.required:
        return "**required**"
    if isinstance(key.default, BaseModel):
        shown = {key.tag: getattr(key.default, key.tag)} if key.tag is not None else {}
        return f"`{as_yaml(shown)}`"
    return f"`{as_yaml(key.default)}`"

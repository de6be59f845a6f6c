"""Checks the columns of a table against the keys that name them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from gridfold.csvfiles.format import BROKEN, Format
from gridfold.csvfiles.head import Head, Unreadable, column_notes, look
from gridfold.csvfiles.numbers import Strays, in_order
from gridfold.csvfiles.texts import doubt_about
from gridfold.errors import Problem
from gridfold.study.sections.explain import shown, unknown_key

# The roles of a table's columns, one column each but for the lists.
_LISTS = ("targets", "features", "categories", "ignore")
_SINGLE_ROLES = ("groups", "weight", "id", "time")


def column_problems(data: Any) -> Iterator[Problem]:
    """Yield columns in two roles, those that the file doesn't have, and faults of the file."""
    lists = {role: getattr(data, role) for role in _LISTS}
    named = {role: names for role, names in lists.items() if isinstance(names, list)}
    named |= {role: [getattr(data, role)] for role in _SINGLE_ROLES if getattr(data, role)}
    head = yield from _head(data, data.path, named)
    if head is not None:
        yield from _absent(named, head.names, data.path)
        if not head.problems:
            yield from _strays(data, head)
    features = named.get("features", [])
    if data.sequence is None:
        for name in data.targets:
            if name in features:
                yield Problem(
                    ("data", "features"),
                    f"the target `{name}` is among the features",
                    "allowed: each column in one role",
                )
    others = [(role, name) for role in _SINGLE_ROLES for name in named.get(role, [])]
    for index, (role, name) in enumerate(others):
        taken = [*features, *data.targets, *named.get("categories", []), *data.ignore]
        taken += [other for _, other in others[:index]]
        if name in taken:
            yield Problem(
                ("data", role),
                f"the column `{name}` has another role, too",
                "allowed: each column in one role",
            )
    taken = [*named.get("categories", []), *(data.targets if data.sequence is None else ())]
    for position, name in enumerate(data.ignore):
        if name in taken:
            yield Problem(
                ("data", "ignore", position),
                f"the column `{name}` has a role",
                "allowed: columns without one",
            )
    if features and data.ignore:
        yield Problem(
            ("data", "ignore"),
            f"{shown(data.ignore)} with `data.features`",
            "allowed: one of both",
        )
    if features:
        for position, name in enumerate(named.get("categories", [])):
            if name not in features:
                yield Problem(
                    ("data", "categories", position),
                    f"`{name}` is not among the features",
                    f"allowed: {', '.join(features)}",
                )
    if data.sequence is not None and data.time is None:
        yield Problem(
            ("data", "sequence"), "windows without `data.time`", "allowed: name the column of time"
        )
    if data.sequence is not None and data.reshape is not None:
        yield Problem(
            ("data", "reshape"),
            f"{data.reshape} with `data.sequence`",
            f"allowed: leave it out; samples have the shape [{data.sequence.length}, columns]",
        )


def list_problems(data: Any) -> Iterator[Problem]:
    """Yield what is wrong with CSV files of images."""
    named = {"image": [data.image], "targets": data.targets}
    named |= {role: [getattr(data, role)] for role in ("groups", "weight") if getattr(data, role)}
    for key in ("path", "test_path"):
        path = getattr(data, key)
        if path is not None and os.path.isfile(path):
            head = yield from _head(data, path, named, key)
            if head is not None:
                yield from _absent(named, head.names, path)


def _head(
    data: Any, path: str, named: Mapping[str, Sequence[str]], key: str = "path"
) -> Generator[Problem, None, Head | None]:
    """Yield what is wrong with a CSV file, and return its head if it has one."""
    how = Format.of(data.model_dump())
    try:
        head = look(
            path,
            "parquet" if data.source == "parquet" else "csv",
            how,
            [name for names in named.values() for name in names],
        )
    except Unreadable as error:
        where = key if error.key == "path" else error.key
        yield Problem(("data", where), f"{path}: {error.found}", error.remedy)
        return None
    except BROKEN:
        # Told by the check of the path, or by the job that reads the whole file.
        return None
    for found, remedy in head.problems:
        yield Problem(("data", key), f"{path}: {found}", remedy)
    return head


def _absent(
    named: Mapping[str, Sequence[str]], header: Sequence[str], path: str
) -> Iterator[Problem]:
    there = {*header}
    for role, names in named.items():
        for position, name in enumerate(names):
            where = ("data", role, position) if role in _LISTS else ("data", role)
            if name not in there:
                hint = unknown_key((name,), [*header]).allowed
                yield Problem(where, f"no column {shown(name)} in {path}", hint)


def _features(data: Any, head: Head) -> list[str]:
    if data.features is not None:
        there = {*head.names}
        return [name for name in data.features if name in there]
    used = {*data.ignore, *(getattr(data, role) for role in _SINGLE_ROLES)}
    used |= set() if data.sequence else {*data.targets}
    return [name for name in head.names if name not in used]


def _strays(data: Any, head: Head) -> Iterator[Problem]:
    """Yield texts among numbers, as far as the first rows tell."""
    is_auto = data.categories == "auto"
    features = dict.fromkeys(_features(data, head))
    for name in [*features, *([data.weight] if data.weight in head.names else [])]:
        must = name not in features or (not is_auto and name not in data.categories)
        if must or (is_auto and head.whole):
            yield from _strays_of(data, head, name, must=must, is_feature=name in features)


def target_problems(data: Any) -> Iterator[Problem]:
    """Yield texts in targets that must be numbers, as far as the first rows tell."""
    try:
        head = look(data.path, data.source, Format.of(data.model_dump()), data.targets)
    except BROKEN:
        # Told by the other checks.
        return
    for name in data.targets:
        if name in head.names and not head.problems:
            yield from _strays_of(data, head, name, must=True, is_feature=False)


def labels(data: Any) -> list[str]:
    """Return the different labels of a small table's target; none if its first rows are not all."""
    try:
        how = Format.of(data.model_dump())
        head = look(data.path, data.source, how, data.targets)
    except BROKEN:
        # Told by the other checks.
        return []
    if not head.whole or head.problems or any(name not in head.names for name in data.targets):
        return []
    texts = head.texts_of(data.targets[0])
    return in_order({text for text in texts if text and text not in how.missing})


def _strays_of(
    data: Any, head: Head, name: str, *, must: bool, is_feature: bool
) -> Iterator[Problem]:
    how = Format.of(data.model_dump())
    texts = head.texts_of(name)
    counts = Counter(text for text in texts if text and text not in how.missing)
    strays = Strays.among(counts, how)
    if strays.texts and (must or strays.are_mistakes):
        row = next(row for row, text in enumerate(texts) if text in strays.texts)
        yield Problem(
            ("data", "path"),
            f"{data.path}: {strays.found(name, row, texts[row])}",
            strays.remedy(texts[row], how, is_feature=is_feature),
        )
    elif strays.texts and is_feature and data.categories == "auto" and head.whole:
        row = next(row for row, text in enumerate(texts) if text in counts)
        is_listed = data.features is not None
        if doubt := doubt_about(name, counts, (row, texts[row]), is_listed=is_listed):
            yield Problem(("data", "path"), f"{data.path}: {doubt.found}", doubt.remedy)


def notes(data: Any) -> list[str]:
    """Return what is guessed about the table of a valid study, as far as its first rows tell."""
    if data.source not in ("csv", "parquet"):
        return []
    listed = () if data.categories == "auto" else data.categories
    asked = [*data.targets, *(data.features or ()), *listed, *data.ignore]
    asked += [name for role in _SINGLE_ROLES if (name := getattr(data, role))]
    try:
        head = look(data.path, data.source, Format.of(data.model_dump()), asked)
    except BROKEN:
        # Told by the job that reads the whole file.
        return []
    features = [] if data.features else _features(data, head)
    guessed = [name for name in features if name not in listed]
    return [*head.left_out, *column_notes(head, guessed, getattr(data, "separator", ","))]

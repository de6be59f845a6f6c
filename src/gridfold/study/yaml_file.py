"""Strict YAML: what is ambiguous is refused with its line, and numbers read as in YAML 1.2."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gridfold.errors import KeyPath, Problem, StudyError

# Far deeper than any study; PyYAML composes by recursion and would end in a RecursionError.
_DEEPEST = 32
_LARGEST_INT = 2**63 - 1
# Of a file: more than that is no study that anybody has written.
_MOST_BYTES = 2**20
_A_STUDY_FILE = "allowed: the path of a study file (YAML)"


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's scalars: `1e-3` is a number, `no` and `on` are words."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, Any]]] = {}  # noqa: RUF012 (as the base)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"
        r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    # PyYAML's own constructor reads a leading zero as octal, which YAML 1.2 does not.
    digits = str(loader.construct_scalar(node))
    if _digits_beyond_64_bits(digits):
        raise yaml.constructor.ConstructorError(None, None, "a whole number beyond 64 bits")
    return int(digits)


def _digits_beyond_64_bits(text: str) -> int:
    """Return the number of digits of a whole number that has no 64 bits, else 0."""
    digits = text.lstrip("+-0")
    # Counted first: Python refuses to convert thousands of digits.
    if len(digits) > len(str(_LARGEST_INT)) or int(digits or 0) > _LARGEST_INT:
        return len(digits)
    return 0


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


@dataclass(frozen=True)
class YamlDocument:
    """A YAML mapping and the line of each of its keys.

    Attributes
    ----------
    data : dict
        The content.
    lines : dict
        Line (from 1) of each key path.
    """

    data: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def line_of(self, path: KeyPath) -> int | None:
        """Return the line of `path`, or of its nearest ancestor that stands in the file."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


def typed(value: Any) -> Any:
    """Return `value` with every text in it read as a YAML scalar.

    For values from a command line, where ``{folds: 5}`` arrives as ``{"folds": "5"}``.
    """
    if isinstance(value, Mapping):
        return {str(key): typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, str):
        try:
            return yaml.load(value, Loader=_Loader)  # nosec B506  # a SafeLoader
        except (yaml.YAMLError, ValueError, RecursionError):
            return value
    return value


def read_yaml(file: Path) -> YamlDocument:
    """Read one YAML mapping, refusing what two readers could understand differently.

    Raises
    ------
    StudyError
        For an unreadable file, a syntax error, tabs, duplicate keys, anchors, tags,
        several documents, or anything but a mapping at the top.
    """
    text = _text(file)
    problems = _character_problems(text)
    if problems:
        raise StudyError(str(file), problems)
    loader = _Loader(text)
    try:
        problems = _event_problems(text)
        if problems:
            raise StudyError(str(file), problems)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            is_list = isinstance(node, yaml.SequenceNode)
            kind = "a list" if is_list else "a single value"
            found = "an empty file" if node is None else f"{kind} at the top level"
            raise StudyError(
                str(file), [Problem((), found, "allowed: a mapping with keys such as `data:`")]
            )
        lines: dict[KeyPath, int] = {}
        problems = list(_walk(node, (), lines))
        if problems:
            raise StudyError(str(file), problems)
        return YamlDocument(loader.construct_document(node), lines)
    except yaml.YAMLError as error:
        raise StudyError(str(file), [_syntax_problem(error)]) from None
    finally:
        loader.dispose()


def _text(file: Path) -> str:
    try:
        if file.exists() and not file.is_file():
            # A pipe would be waited for, or could not be read again by the jobs.
            kind = "a folder" if file.is_dir() else "no regular file, but a pipe or a device"
            raise StudyError(str(file), [Problem((), kind, _A_STUDY_FILE)])
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise StudyError(str(file), [Problem((), "no such file", _A_STUDY_FILE)]) from None
    except (OSError, ValueError) as error:
        # ValueError: a path with a NUL character.
        found = getattr(error, "strerror", None) or str(error)
        raise StudyError(
            str(file), [Problem((), found, "allowed: the path of a readable study file (YAML)")]
        ) from None
    if len(content) > _MOST_BYTES:
        found = f"more than {_MOST_BYTES // 2**20} MB"
        raise StudyError(str(file), [Problem((), found, _A_STUDY_FILE)])
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = Problem(
            (), f"the byte 0x{content[error.start]:02x} is not UTF-8", "allowed: UTF-8 text", line
        )
        raise StudyError(str(file), [problem]) from None


def _character_problems(text: str) -> list[Problem]:
    problems = [
        Problem((), "a tab in the indentation", "allowed: spaces, two for each level", number)
        for number, line in enumerate(text.split("\n"), start=1)
        if "\t" in line[: len(line) - len(line.lstrip())]
    ]
    for match in yaml.reader.Reader.NON_PRINTABLE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        found = f"the control character U+{ord(match.group()):04X}"
        problems.append(Problem((), found, "allowed: printable text", line))
    return problems


def _event_problems(text: str) -> list[Problem]:
    problems = []
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else None
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            problems.append(
                Problem((), "too deep a nesting", f"allowed: at most {_DEEPEST} levels", line)
            )
            break
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            problems.append(
                Problem(
                    (),
                    f"the YAML anchor or alias `{sign}{anchor}`",
                    "allowed: write the value out, so that a reader sees what is run",
                    line,
                )
            )
        tag = getattr(event, "tag", None)
        if tag is not None:
            problems.append(
                Problem((), f"the YAML tag `{tag}`", "allowed: plain values without tags", line)
            )
    return problems


def _walk(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> Iterator[Problem]:
    """Record the line of each key, make it text, and yield what is wrong with keys and values."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                yield Problem(path, "a key that is a list or mapping", "allowed: text keys", line)
                continue
            # As written: `1` and `01`, or `true` and `True`, are different keys of a mapping.
            key_node.tag = "tag:yaml.org,2002:str"
            key = key_node.value
            yield from _scalar_problems(key_node, path)
            if key in seen:
                yield Problem(
                    (*path, key),
                    f"the key stands twice, on lines {seen[key]} and {line}",
                    "allowed: each key once",
                    line,
                )
                continue
            seen[key] = line
            lines[(*path, key)] = line
            yield from _walk(value_node, (*path, key), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            yield from _walk(item, (*path, index), lines)
    else:
        yield from _scalar_problems(node, path)


def _scalar_problems(node: yaml.Node, path: KeyPath) -> Iterator[Problem]:
    line = node.start_mark.line + 1
    if any("\ud800" <= character <= "\udfff" for character in node.value):
        yield Problem(path, "half a surrogate pair (`\\ud800`)", "allowed: whole characters", line)
    if node.tag == "tag:yaml.org,2002:int" and (digits := _digits_beyond_64_bits(node.value)):
        yield Problem(
            path, f"a number with {digits} digits", "allowed: whole numbers of 64 bits", line
        )


def _syntax_problem(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    if isinstance(error, yaml.composer.ComposerError):
        # With anchors refused before, the one thing that the composer refuses.
        line = mark.line + 1 if mark is not None else None
        return Problem((), "a second document (`---`)", "allowed: one document in a file", line)
    what = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    return Problem(
        (),
        f"not valid YAML: {what}" + (f" ({context})" if context else ""),
        "allowed: `key: value` lines, nested by two spaces; quote values with `:` or `#` in them",
        mark.line + 1 if mark is not None else None,
    )

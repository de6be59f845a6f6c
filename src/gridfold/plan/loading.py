"""Read a study: strict YAML, closed model, checks across sections, expansion; all errors shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gridfold.errors import KeyPath, Problem, StudyError
from gridfold.space.checks import space_problems
from gridfold.space.expansion import expand
from gridfold.space.space import Expansion, Space
from gridfold.space.starting_points import start_problems
from gridfold.study import Study
from gridfold.study.checks.sections import section_problems
from gridfold.study.sections.explain import problems_of
from gridfold.study.yaml_file import YamlDocument, read_yaml


@dataclass(frozen=True)
class LoadedStudy:
    """A valid study with the configurations of its space.

    Attributes
    ----------
    study : Study
    expansion : Expansion
    files : tuple of Path
        The files it was read from, later ones overriding earlier ones.
    given : dict
        What stands in these files and over them, without the defaults.
    """

    study: Study
    expansion: Expansion
    files: tuple[Path, ...]
    given: Mapping[str, Any]


def load_study(
    files: Iterable[Path | str], overrides: Mapping[str, Any] | None = None
) -> LoadedStudy:
    """Read, validate and expand a study.

    Parameters
    ----------
    files : iterable of path
        Study files; a later one overrides single values of the earlier ones.
    overrides : mapping, optional
        Values from the command line, over all files.

    Raises
    ------
    StudyError
        With every problem that could be found.
    """
    paths = tuple(Path(file) for file in files)
    source = ", ".join(map(str, paths)) or "the command line"
    data: dict[str, Any] = {}
    lines: dict[KeyPath, int] = {}
    for path in paths:
        document = read_yaml(path)
        data = _merged(data, document.data)
        if len(paths) == 1:
            lines = document.lines
    over = _with_text_keys(overrides or {})
    return _loaded(source, YamlDocument(_merged(data, over), lines), over, paths)


def load_recorded(study: Mapping[str, Any], files: Iterable[str], file: Path) -> LoadedStudy:
    """Return the study as it was when a run of it began, from the record of that run.

    Parameters
    ----------
    study : mapping
        Without the defaults.
    files : iterable of str
        The files it was read from.
    file : Path
        Where the record lies; problems are told of it.

    Raises
    ------
    StudyError
        When this version of gridfold can't run that study.
    """
    return _loaded(str(file), YamlDocument(dict(study)), {}, tuple(map(Path, files)))


def load_checked(
    study: Mapping[str, Any], files: Iterable[str], file: Path, expansion: Expansion | None
) -> LoadedStudy:
    """Return a study that this version has found to be valid, the files that it names included.

    They may be others by now.

    Parameters
    ----------
    study, files, file
        As of :func:`load_recorded`.
    expansion : Expansion or None
        What was found in its search space, where that is known.

    Raises
    ------
    StudyError
        When gridfold itself has become another one, which can't run that study.
    """
    paths, document = tuple(map(Path, files)), YamlDocument(dict(study))
    return _loaded(str(file), document, {}, paths, was_checked=True, expansion=expansion)


def _loaded(
    source: str,
    document: YamlDocument,
    over: Mapping[str, Any],
    files: tuple[Path, ...],
    *,
    was_checked: bool = False,
    expansion: Expansion | None = None,
) -> LoadedStudy:
    """Return the study of a document, in which the values of `over` have no lines."""
    data = document.data
    study, expansion, problems = _validate(data, expansion, was_checked=was_checked)
    if study is None or expansion is None or problems:
        written = [dataclasses.replace(p, path=_as_written(p.path, data)) for p in problems]
        raise StudyError(
            source,
            [
                # The command line has no lines, and the file's would point to another value.
                p
                if _stands_in(over, p.path)
                else dataclasses.replace(p, line=document.line_of(p.path))
                for p in written
            ],
        )
    return LoadedStudy(study, expansion, files, data)


def _validate(
    data: dict[str, Any], expansion: Expansion | None, *, was_checked: bool
) -> tuple[Study | None, Expansion | None, list[Problem]]:
    problems: list[Problem] = []
    study = None
    try:
        study = Study.model_validate(data)
        sections = {name: getattr(study, name) for name in Study.model_fields}
    except ValidationError as error:
        problems += problems_of(error, Study, data)
        sections = _valid_sections(data)
    if not was_checked:
        problems += section_problems(sections)
    needed = ("search", "model", "training", "problem", "data")
    if expansion is None and all(name in sections for name in needed):
        space = Space(*(sections[name] for name in needed))
        found = [] if was_checked else space_problems(space) or list(start_problems(space))
        if not found:
            expansion, found = expand(space)
        problems += found
    return study, expansion, problems


def _as_written(path: KeyPath, data: Any) -> KeyPath:
    """Drop from `path` what only the long form of a shorthand has."""
    written: list[str | int] = []
    here = data
    for part in path:
        if isinstance(here, dict):
            here = here.get(str(part))
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        elif (isinstance(here, list) and part == "grid") or (
            isinstance(here, str) and part == "type"
        ):
            continue
        else:
            here = None
        written.append(part)
    return tuple(written)


def _stands_in(over: Any, path: KeyPath) -> bool:
    """Tell whether the value at `path`, or one that holds it, comes from `over`."""
    for part in path:
        if not isinstance(over, Mapping):
            return True
        if part not in over:
            return False
        over = over[part]
    return not isinstance(over, Mapping)


def _valid_sections(data: dict[str, Any]) -> dict[str, Any]:
    """Return the sections that are valid by themselves, so that the rest can still be checked."""
    sections = {}
    for name, field in Study.model_fields.items():
        if name not in data:
            if not field.is_required():
                sections[name] = field.get_default(call_default_factory=True)
            continue
        try:
            sections[name] = TypeAdapter(field.rebuild_annotation()).validate_python(data[name])
        except ValidationError:
            continue
    return sections


def _with_text_keys(value: Any) -> Any:
    """Return `value` with keys as in a study file, where `1` and `true` as a key are text."""
    if isinstance(value, Mapping):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_text_keys(item) for item in value]
    return value


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; anything else in `over` replaces what stands in `base`."""
    result = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = _merged(result[key], value)
        else:
            result[key] = dict(value) if isinstance(value, Mapping) else value
    return result

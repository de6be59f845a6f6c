"""Finds the study that a verb is about: study files, a results folder, or the only study here."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gridfold.errors import GridfoldError, Problem, StudyError
from gridfold.paths import StudyPaths

if TYPE_CHECKING:
    from gridfold.plan.plan import Plan

USUAL_STUDY = Path("study.yaml")
_SUFFIXES = (".yaml", ".yml")
# Where study files lie, relative to the folder in which Snakemake is started.
_FOLDERS = (Path(), Path("config"))


def plan_of(
    named: Sequence[Path], results: Path, values: Mapping[str, Any], *, as_last_run: bool
) -> Plan:
    """Return the plan of the study that the command line names.

    Parameters
    ----------
    named : sequence of Path
        Study files, of which later ones override earlier ones; or one folder of results, which
        stands for what its last run was asked for; or nothing, for the only study here.
    results : Path
        Folder of all results.
    values : mapping
        Values over those of the files, from ``--config``.
    as_last_run : bool
        Whether files without `values` stand for what their last run was asked for, ``--config``
        included. Otherwise it is only told that the last run had other values.

    Raises
    ------
    StudyError
        When the study can't be run.
    GridfoldError
        When a folder is no study's, or has no record of its last run.
    click.UsageError
        When nothing is named, and there is no study here, or several.
    """
    from gridfold.plan.plan import Plan

    named = named or [_only_study()]
    folders = [path for path in named if path.is_dir()]
    if not folders:
        last = {} if values else _values_of_last_run(named, results)
        if last:
            _tell_values(last, is_taken=as_last_run)
        return Plan.load(named, values or (last if as_last_run else {}), results)
    if len(named) > 1 or values:
        other = "other studies" if len(named) > 1 else "--config"
        raise GridfoldError(
            f"{folders[0]} is a folder, which stands for its last run, and can't be given with "
            f"{other}; allowed: study files, or one folder as results/demo"
        )
    (folder,) = folders
    try:
        return Plan.load_last_run(folder)
    except FileNotFoundError:
        raise GridfoldError(_not_recorded(folder)) from None


def results_of(named: Path | None, results: Path) -> Path:
    """Return the folder of results of the study that the command line names.

    Parameters
    ----------
    named : Path or None
        A study file or the folder itself; None for the only study here.
    results : Path
        Folder of all results.
    """
    named = named or _only_study()
    return results / _name_in(named) if is_study_file(named) else named


def is_study_file(path: Path) -> bool:
    """Return whether a path is that of a study file by its name."""
    return path.suffix in _SUFFIXES


def is_folder_of_study(path: Path) -> bool:
    """Return whether a folder has what only folders of a study's results have."""
    paths = StudyPaths(path)
    return any(file.exists() for file in (paths.last_run, paths.ledger, paths.runs, paths.tables))


def _only_study() -> Path:
    """Return the study that nobody has to name: ``study.yaml``, else the only one here."""
    if USUAL_STUDY.exists():
        return USUAL_STUDY
    files = [
        file
        for folder in _FOLDERS
        if folder.is_dir()
        for file in sorted(folder.iterdir())
        if is_study_file(file) and _declares_study(file)
    ]
    if len(files) == 1:
        return files[0]
    found = f"There are several: {', '.join(map(str, files))}." if files else "There is none here."
    raise click.UsageError(
        f"Which study? {found} Name a study file, or a folder of results, as results/demo."
    )


def _declares_study(file: Path) -> bool:
    """Tell whether a file is a whole study, and not values over one, without reading it as YAML."""
    if not file.is_file():
        # A pipe would be waited for.
        return False
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return re.search(r"^study\s*:", text, re.M) is not None


def _name_in(file: Path) -> str:
    """Return the name of the study in a study file."""
    from gridfold.study.yaml_file import read_yaml

    name = read_yaml(file).data.get("study")
    if not isinstance(name, str):
        raise StudyError(str(file), [Problem(("study",), "no name", "allowed: `study: a-name`")])
    return name


def _values_of_last_run(files: Sequence[Path], results: Path) -> Mapping[str, Any]:
    """Return the values that the last run of these files had over theirs; none if unknown."""
    from gridfold.store.last_run import LastRun
    from gridfold.typed_json import DamagedRecord

    try:
        names = [_name_in(file) for file in files if _declares_study(file)]
        run = LastRun.read(StudyPaths.of(names[-1], results).last_run) if names else None
    except (StudyError, OSError, DamagedRecord):
        # The plan says what is wrong with the files; without a record there were no values.
        return {}
    if run is None or run.files != [str(file) for file in files]:
        return {}
    return run.overrides


def _tell_values(values: Mapping[str, Any], *, is_taken: bool) -> None:
    import shlex

    from gridfold.study.command import config_words

    words = f"--config {shlex.join(config_words(values))}"
    text = (
        f"as in the last run, with {words}"
        if is_taken
        else f"without {words}, which the last run had; give it here, too, if it is meant"
    )
    print(f"note: {text}", file=sys.stderr)


def _not_recorded(folder: Path) -> str:
    if is_folder_of_study(folder):
        return (
            f"{folder} has no {StudyPaths(folder).last_run.name}, which says what was run: it was "
            "made by an earlier version of gridfold. Name the study file instead, as in "
            "`gridfold status study.yaml`."
        )
    return f"{folder} has no results of a study; allowed: study files, or a folder as results/demo"

"""Finds what earlier runs have left: results of another study, damaged files, running jobs.

Snakemake keeps in ``.snakemake`` with which parameters an output was made, and records it when it
sees the job end. That says nothing of results that were copied or moved without this folder, and of
jobs on a cluster that have outlived their Snakemake. Their outputs look complete, and no change of
data, settings or code would be noticed. So every job leaves beside its log a note of the request
that it answered (:mod:`gridfold.store.request_notes`), and where Snakemake has no record the notes
are looked at before anything is run or told.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from snakemake.io import apply_wildcards, regex_from_filepattern

from gridfold.store import request_notes
from gridfold.store.seals import aside, set_aside
from gridfold.terminal import say
from gridfold.wording import counted

# With these Snakemake runs no job: what it finds must stay as it is.
_ONLY_LOOKING = frozenset(
    {
        "--unlock",
        "--touch",
        "-t",
        "--cleanup-metadata",
        "--summary",
        "-S",
        "--detailed-summary",
        "-D",
        "--report",
        "--dag",
        "--rulegraph",
        "--filegraph",
        "--d3dag",
        "--lint",
        "--list-rules",
        "--list",
        "-l",
        "--list-target-rules",
        "--lt",
        "--delete-all-output",
        "--delete-temp-output",
        "--archive",
        "--containerize",
        "--list-changes",
        "--lc",
        "--list-untracked",
        "--lu",
        "--generate-unit-tests",
        "--print-compilation",
    }
)
# Parts of a file name in Snakemake's own folder.
_LONGEST_NAME = 255


def runs_jobs(workflow: Any) -> bool:
    """Return whether this Snakemake is the main one and was started to run jobs, not only to look.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    asked = {word.partition("=")[0] for word in sys.argv[1:]}
    return bool(workflow.is_main_process) and not any(map(_only_looks, asked))


def _only_looks(word: str) -> bool:
    """Tell whether a word of the command line is, or abbreviates, an option that runs no job."""
    if word in _ONLY_LOOKING:
        return True
    return len(word) > 3 and any(o.startswith(word) for o in _ONLY_LOOKING if o.startswith("--"))


def drop_outdated(workflow: Any, logs: Path, cut_short: Sequence[Path] = ()) -> bool:
    """Delete what is not an answer to the study as it is now, where Snakemake would not notice.

    It is made again then, from the run store where it can be, and with it what later rules have
    made: Snakemake does not look for a missing file while what was made of it is there. A dry run
    deletes nothing, so that its list of jobs lacks those; it says so.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        With all its rules.
    logs : Path
        Folder of the logs of the study.
    cut_short : sequence of Path, optional
        Tables that lack what a smaller budget has left out.

    Returns
    -------
    bool
        Whether there was something.
    """
    if not runs_jobs(workflow):
        return False
    if not workflow.output_settings.dryrun:
        _make_room(workflow, logs)
    unseen = list(_unseen(workflow, logs))
    found = {
        "made after the last Snakemake was killed, for a study that has changed since": unseen,
        "made for other data, settings or code than the study has now, or for unknown ones": [
            file for file in _untracked(workflow, logs) if file not in unseen
        ],
        "damaged": _damaged(workflow, logs),
    }
    listed = {file for files in found.values() for file in files}
    found["without what an earlier budget has left out"] = [
        file for file in cut_short if file not in listed
    ]
    for reason, files in found.items():
        if files:
            more = ", ..." if len(files) > 1 else ""
            say(f"{counted(len(files), 'file')} to be made again, {reason}: {files[0]}{more}")
    outdated = {file for files in found.values() for file in files}
    if not outdated:
        return False
    if workflow.output_settings.dryrun:
        say("a dry run leaves them, so the jobs that make them are not listed")
        return True
    made_beside = _made_beside(workflow, logs, outdated)
    for file in [*outdated, *made_beside, *_made_later(workflow, logs, outdated)]:
        if file.is_dir() and not file.is_symlink():
            # Somebody has made it, and nobody knows what is in it.
            set_aside(file, "a folder where a file should be", "and the file made again")
        else:
            file.unlink(missing_ok=True)
        # Once it is made again, what a job has found damaged is of no use.
        if not (damaged := aside(file)).is_dir():
            damaged.unlink(missing_ok=True)
    return True


def _make_room(workflow: Any, logs: Path) -> None:
    """Set folders aside that lie where jobs write logs and Snakemake its benchmarks."""
    for rule in _rules(workflow, logs):
        for pattern in filter(None, (rule.log[0], rule.benchmark)):
            for made in _made(rule):
                file = Path(apply_wildcards(str(pattern), made))
                if file.is_dir():
                    set_aside(file, "a folder where a file should be", "and the file written")


def _made_beside(workflow: Any, logs: Path, files: Set[Path]) -> Iterator[Path]:
    """Yield all outputs of the jobs that make one of `files`.

    Snakemake does not look for a missing file that no other job wants, as a table for people.
    """
    for rule in _rules(workflow, logs):
        for made in _made(rule):
            outputs = _outputs(rule, made)
            if not files.isdisjoint(outputs):
                yield from outputs


def _made_later(workflow: Any, logs: Path, files: Set[Path]) -> Iterator[Path]:
    """Yield the outputs of the rules that follow the first one that makes one of `files`.

    The rules stand in the order in which data flow, but for those that decide about a stage of a
    search and train it in turn. Those are all looked at again by `collect`, which comes after them.
    """
    is_past = False
    for rule in _rules(workflow, logs):
        if is_past:
            yield from (file for made in _made(rule) for file in _outputs(rule, made))
        else:
            outputs = {file for made in _made(rule) for file in _outputs(rule, made)}
            is_past = not outputs.isdisjoint(files)


def _unseen(workflow: Any, logs: Path) -> Iterator[Path]:
    """Yield what jobs that nobody saw end have made for a request that the study no longer has."""
    for log, note in request_notes.unseen(logs).items():
        for rule in _rules(workflow, logs):
            match = re.fullmatch(regex_from_filepattern(str(rule.log[0])), str(log))
            wanted = _request(rule, match.groupdict()) if match else None
            if match and wanted is not None and note != request_notes.digest(wanted):
                yield from filter(Path.exists, _outputs(rule, match.groupdict()))


def _untracked(workflow: Any, logs: Path) -> list[Path]:
    """Return the outputs without Snakemake's record whose job has answered another request."""
    answered: dict[Path, list[bool]] = defaultdict(list)
    for rule in _rules(workflow, logs):
        for wildcards in _made(rule):
            files = [f for f in _outputs(rule, wildcards) if f.exists() and not _is_recorded(f)]
            wanted = _request(rule, wildcards) if files else None
            if wanted is not None:
                log = apply_wildcards(str(rule.log[0]), wildcards)
                for file in files:
                    answered[file].append(request_notes.answers(log, wanted) is True)
    # Some files can be made by two rules, of which a study uses one.
    return [file for file, by_rule in answered.items() if not any(by_rule)]


def _damaged(workflow: Any, logs: Path) -> list[Path]:
    """Return the outputs that are not what their jobs have written.

    Those of single jobs must also be whole: nobody may have noted down what they hold.
    """
    altered = request_notes.altered_outputs(logs)
    found: dict[Path, None] = {}
    for rule in _rules(workflow, logs):
        for file in (file for made in _made(rule) for file in _outputs(rule, made)):
            must_be_whole = not rule.has_wildcards() and file.is_file()
            if (
                file in altered
                or _lies_aside(file)
                or _is_no_file(file)
                or (must_be_whole and not is_whole(file))
            ):
                found[file] = None
    return [*found]


def _lies_aside(file: Path) -> bool:
    """Tell whether a job has found a file damaged, and nobody has made it again."""
    return aside(file).is_file() and not file.exists()


def _is_no_file(file: Path) -> bool:
    """Tell whether a folder, or a link to nowhere or in a circle, lies in the place of a file."""
    return not file.is_file() and os.path.lexists(file)


def is_whole(file: Path) -> bool:
    """Tell, without reading large files, whether a file can be what its name says.

    Parameters
    ----------
    file : Path
        JSON is read; of Parquet, the mark at its end; of ``.npz`` and ``.keras``, the table of
        contents, which is at the end, too; of ``.npy``, head and size. Any other file must only not
        be empty.
    """
    if file.suffix == ".json":
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            return False
        return True
    if file.suffix in (".npz", ".keras"):
        return zipfile.is_zipfile(file)
    if file.suffix == ".npy":
        try:
            np.load(file, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError):
            return False
        return True
    size = file.stat().st_size
    if file.suffix == ".parquet" and size > 8:
        with file.open("rb") as stream:
            stream.seek(-4, 2)
            return stream.read() == b"PAR1"
    return size > 0 and file.suffix != ".parquet"


def _rules(workflow: Any, logs: Path) -> Iterator[Any]:
    """Yield the rules of this study whose jobs leave notes; there may be other studies' beside."""
    for rule in workflow.rules:
        is_ours = rule.output and rule.log and Path(str(rule.log[0])).is_relative_to(logs)
        if is_ours and "request" in dict(rule.params.items()):
            yield rule


def _request(rule: Any, wildcards: dict[str, str]) -> str | None:
    """Return the request of a job as it is now; None for a job that the study no longer has."""
    try:
        request: str = dict(rule.params.items())["request"](SimpleNamespace(**wildcards))
    except (LookupError, ValueError, AssertionError):
        return None
    return request


def _outputs(rule: Any, wildcards: dict[str, str]) -> list[Path]:
    return [Path(apply_wildcards(str(output), wildcards)) for output in rule.output]


def _made(rule: Any) -> Iterator[dict[str, str]]:
    """Yield the wildcards of the jobs of a rule whose first output exists."""
    pattern = str(rule.output[0])
    if not rule.has_wildcards():
        yield {}
        return
    expression = re.compile(regex_from_filepattern(pattern))
    folder = Path(pattern).parent
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        if match := expression.fullmatch(str(file)):
            yield match.groupdict()


def _is_recorded(output: Path) -> bool:
    """Return whether Snakemake has a record of how an output was made."""
    name = base64.urlsafe_b64encode(str(output).encode()).decode()
    step = _LONGEST_NAME - 1
    parts = [name[i : i + step] for i in range(0, len(name), step)]
    folders = [f"@{part}" for part in parts[:-1]]
    return Path(".snakemake", "metadata", *folders, parts[-1]).exists()

"""A run takes a snapshot of what it reads, and all its jobs read that and nothing else.

Jobs of a long run begin at different times: on a cluster each reads the rules and the study anew. A
file that is edited meanwhile, and perhaps put back, must not make a study of two halves. So a run
begins with ``results/<study>/request/<digest>/``: what it was asked for, and copies of study files,
code and notebook, and the configurations of its search space, which take longer to find in each
job than to read. Data files, saved models and weights are too large for copies; their digests are
kept, and whoever reads them compares. Edits count for the next run.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gridfold.atomic import replacing
from gridfold.canonical import canonical_json
from gridfold.errors import GridfoldError, StudyError
from gridfold.plan.files import code_files, large_files
from gridfold.plan.fingerprint import package_digest
from gridfold.plan.plan import Plan
from gridfold.space.space import Expansion
from gridfold.store.seals import set_aside
from gridfold.store.snapshot import Snapshot
from gridfold.study.yaml_file import read_yaml
from gridfold.usercode import sources
from gridfold.usercode.digests import digest_of_source
from gridfold.usercode.notebooks import digest_of_cells

_RECORD = "request.json"
_EXPANSION = "expansion.json.gz"


def take(plan: Plan) -> tuple[Plan, Path]:
    """Write the snapshot of a plan that is about to run.

    Returns
    -------
    (Plan, Path)
        The plan as the jobs see it, and the folder of the snapshot.

    Raises
    ------
    OSError
        When it can't be written.
    """
    files = [*plan.files, *code_files(plan.study)]
    copied = {file.absolute(): file.read_bytes() for file in files}
    found = sources.sources_of(copied, large_files(plan.study))
    asked = plan.run
    snapshot = Snapshot(
        asked.files,
        asked.overrides,
        asked.study,
        str(plan.paths.root.parent),
        plan.content,
        dict(plan.versions),
        package_digest(),
    )
    # Not the times of large files, which say nothing about what is in them.
    text = snapshot.text() + json.dumps([[s.file, s.sha256] for s in found])
    folder = plan.paths.snapshot(hashlib.sha256(text.encode()).hexdigest()[:12])
    try:
        _write(folder, snapshot, plan.expansion, found, copied)
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        # What lies in the place of a file is not ours.
        set_aside(folder, error, "and written again")
        _write(folder, snapshot, plan.expansion, found, copied)
    return plan.as_asked_for(snapshot), folder


def _write(
    folder: Path,
    snapshot: Snapshot,
    expansion: Expansion,
    found: Sequence[sources.Source],
    copied: Mapping[Path, bytes],
) -> None:
    # Another run may have been asked for the same.
    if not sources.is_complete(folder) or sources.read(folder) != found:
        sources.write(folder, found, copied)
    # The same in each run, or nothing that is there already could be left alone.
    content = gzip.compress(msgspec.json.encode(expansion), compresslevel=1, mtime=0)
    if not ((file := folder / _EXPANSION).is_file() and file.read_bytes() == content):
        with replacing(file) as temporary:
            temporary.write_bytes(content)
    record = folder / _RECORD
    if not (record.is_file() and record.read_bytes() == snapshot.text().encode()):
        snapshot.write(record)


def plan_of(files: Iterable[Path | str], overrides: Mapping[str, Any], results: Path | str) -> Plan:
    """Return the plan of a study as the run sees it that this process belongs to.

    Outside of a run, that is the study as it is now.

    Raises
    ------
    StudyError
        When the study can't be run.
    GridfoldError
        When gridfold itself is another one than when the run began.
    """
    names = [*map(str, files)]
    for folder in sources.folders():
        snapshot = Snapshot.read(folder / _RECORD)
        same_place = Path(snapshot.results) == Path(results)
        same_values = canonical_json(snapshot.overrides) == canonical_json(overrides)
        if snapshot.files == names and same_place and same_values:
            if snapshot.package != package_digest():
                raise GridfoldError(
                    "gridfold was changed since this run began; start the same command again"
                )
            return Plan.of_snapshot(snapshot, folder / _RECORD, _expansion(folder / _EXPANSION))
    return Plan.load(names, overrides, results)


def _expansion(file: Path) -> Expansion | None:
    """Return what a run has found in its search space; None where that can't be read any more."""
    try:
        return msgspec.json.decode(gzip.decompress(file.read_bytes()), type=Expansion)
    except (OSError, EOFError, zlib.error, msgspec.DecodeError):
        return None


def changed_files(plan: Plan) -> list[str]:
    """Return the files of a study that are not as they were when a run of it began.

    Comments and layout of code don't count.

    Parameters
    ----------
    plan : Plan
        As the jobs of the run see it.
    """
    files = [*plan.files, *code_files(plan.study)]
    names = [sources.from_here(file) for file in files if _differs(file, sources.readable(file))]
    if plan.current_content() != plan.content:
        names.append("the data files")
    return names


def _differs(file: Path, copy: Path) -> bool:
    try:
        if file.read_bytes() == copy.read_bytes():
            return False
        if file.suffix == ".py":
            return digest_of_source(file.read_bytes()) != digest_of_source(copy.read_bytes())
        if file.suffix == ".ipynb":
            return digest_of_cells(file.read_bytes()) != digest_of_cells(copy.read_bytes())
        return read_yaml(file).data != read_yaml(copy).data
    except (OSError, ValueError, LookupError, SyntaxError, StudyError):
        return True

"""Each job notes which request it has answered, and with which files.

The note lies beside the log of the job. Its first line is the SHA-256 of the request; by it the
next run can tell outdated outputs. Snakemake knows which parameters an output was made with as long
as its folder ``.snakemake`` is there, which is not moved with results, and only of jobs that it has
seen end. The notes tell the same where it can't, see :mod:`gridfold.workflow.earlier_run`, and
whoever wants to know whether an answer is that of the study as it is now.

The other lines are the files that the job has written, with their checksums
(:class:`gridfold.store.outputs.WrittenFile`). Notes of earlier versions have none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from gridfold.atomic import write_text
from gridfold.store.outputs import WrittenFile, altered
from gridfold.store.seals import set_aside

# Of a job whose end no Snakemake has seen yet, and of all others.
_UNSEEN, _SEEN = ".request", ".answered"


def write(log_file: str, request: str, outputs: Iterable[Path] = ()) -> None:
    """Write down, at the end of a job, which request it has answered.

    Parameters
    ----------
    log_file : str
        Log of the job; its name tells the job.
    request : str
        The job's parameter, one canonical JSON text.
    outputs : iterable of Path
        What the job has written.
    """
    note = Path(log_file).with_suffix(_UNSEEN)
    _write(note, digest(request), map(WrittenFile.of, outputs))


def _write(note: Path, answered: str, written: Iterable[WrittenFile]) -> None:
    write_text(note, "\n".join([answered, *(version.line(note.parent) for version in written)]))


def settle(logs: Path) -> None:
    """Mark all notes as seen: Snakemake has seen the jobs end and keeps records of its own.

    Parameters
    ----------
    logs : Path
        Folder of the logs of a study.
    """
    for note in _notes(logs, _UNSEEN):
        settled = note.with_suffix(_SEEN)
        if settled.is_dir():
            set_aside(settled, "a folder where a note should be", "and the note put there")
        note.replace(settled)


def unseen(logs: Path) -> dict[Path, str]:
    """Return the digests of jobs whose end no Snakemake has seen, by their logs, sorted."""
    return {note.with_suffix(".log"): _read(note)[0] for note in _notes(logs, _UNSEEN)}


def answers(log_file: Path | str, request: str) -> bool | None:
    """Return whether the last job with this log has answered this very request.

    None without a note, as of jobs of earlier versions.
    """
    for suffix in (_UNSEEN, _SEEN):
        note = Path(log_file).with_suffix(suffix)
        if note.is_file():
            return _read(note)[0] == digest(request)
    return None


def altered_outputs(logs: Path) -> set[Path]:
    """Return the files of a study that no longer hold what its jobs have written.

    What has only been copied or touched is known again the next time.

    Parameters
    ----------
    logs : Path
        Folder of the logs of the study.
    """
    read = {note: _read(note) for suffix in (_SEEN, _UNSEEN) for note in _notes(logs, suffix)}
    found, touched = altered(version for _, written in read.values() for version in written)
    for note, (answered, written) in read.items():
        if not touched.isdisjoint(version.file for version in written):
            news = [v.touched() if v.file in touched else v for v in written]
            _write(note, answered, news)
    return found


def digest(request: str) -> str:
    """Return what a note holds of a request: its SHA-256, in hex."""
    return hashlib.sha256(request.encode()).hexdigest()


def _notes(logs: Path, suffix: str) -> Iterator[Path]:
    """Yield the notes with an ending, sorted; what is no file is none, what is hidden not yet."""
    notes = sorted(logs.rglob(f"*{suffix}"))
    return (note for note in notes if note.is_file() and not note.name.startswith("."))


def _read(note: Path) -> tuple[str, list[WrittenFile]]:
    """Return the digest of the request, and the files; a damaged line tells of no file."""
    answered, *lines = note.read_text(encoding="utf-8", errors="replace").split("\n")
    written = []
    for line in lines:
        try:
            written.append(WrittenFile.parse(line, note.parent))
        except ValueError:
            continue
    return answered, written

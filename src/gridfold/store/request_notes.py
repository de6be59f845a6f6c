"""Each job notes which request it has answered, since jobs go on when Snakemake is killed.

The note is the SHA-256 of the request, beside the log of the job; by it the next run can tell
outdated outputs. Snakemake knows which parameters an output was made with as long as its folder
``.snakemake`` is there, which is not moved with results, and only of jobs that it has seen end. The
notes tell the same where it can't, see :mod:`gridfold.workflow.earlier_run`, and whoever wants to
know whether an answer is that of the study as it is now.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from gridfold.atomic import write_text

# Of a job whose end no Snakemake has seen yet, and of all others.
_UNSEEN, _SEEN = ".request", ".answered"


def write(log_file: str, request: str) -> None:
    """Write down, at the end of a job, which request it has answered.

    Parameters
    ----------
    log_file : str
        Log of the job; its name tells the job.
    request : str
        The job's parameter, one canonical JSON text.
    """
    write_text(Path(log_file).with_suffix(_UNSEEN), digest(request))


def settle(logs: Path) -> None:
    """Mark all notes as seen: Snakemake has seen the jobs end and keeps records of its own.

    Parameters
    ----------
    logs : Path
        Folder of the logs of a study.
    """
    for note in _notes(logs):
        note.replace(note.with_suffix(_SEEN))


def unseen(logs: Path) -> dict[Path, str]:
    """Return the digests of jobs whose end no Snakemake has seen, by their logs, sorted."""
    return {note.with_suffix(".log"): note.read_text(encoding="utf-8") for note in _notes(logs)}


def answers(log_file: Path | str, request: str) -> bool | None:
    """Return whether the last job with this log has answered this very request.

    None without a note, as of jobs of earlier versions.
    """
    for suffix in (_UNSEEN, _SEEN):
        try:
            note = Path(log_file).with_suffix(suffix).read_bytes()
            return note == digest(request).encode()
        except FileNotFoundError:
            continue
    return None


def digest(request: str) -> str:
    """Return what a note holds of a request: its SHA-256, in hex."""
    return hashlib.sha256(request.encode()).hexdigest()


def _notes(logs: Path) -> list[Path]:
    """Return the notes that nobody has seen, sorted; a hidden one is still being written."""
    notes = logs.rglob(f"*{_UNSEEN}")
    return sorted(note for note in notes if not note.name.startswith("."))

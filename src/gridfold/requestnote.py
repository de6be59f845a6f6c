"""Beside the log of each finished job, the digest of the request that it has answered.

For :mod:`gridfold.earlierrun`, which explains why.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from gridfold.atomic import write_text

_NOTE = ".request"


def write(log_file: str, request: str) -> None:
    """Write down, at the end of a job, which request it has answered.

    Parameters
    ----------
    log_file : str
        Log of the job; its name tells the job.
    request : str
        The job's parameter, one canonical JSON text.
    """
    write_text(Path(log_file).with_suffix(_NOTE), digest(request))


def remove_all(logs: Path) -> None:
    """Take all notes away: Snakemake has seen the jobs end and keeps records of its own.

    Parameters
    ----------
    logs : Path
        Folder of the logs of a study.
    """
    for note in logs.rglob(f"*{_NOTE}"):
        note.unlink(missing_ok=True)


def read_all(logs: Path) -> dict[Path, str]:
    """Return all notes by the logs that they lie beside, in the order of their names."""
    return {
        note.with_suffix(".log"): note.read_text(encoding="utf-8")
        for note in sorted(logs.rglob(f"*{_NOTE}"))
    }


def digest(request: str) -> str:
    """Return what a note holds of a request: its SHA-256, in hex."""
    return hashlib.sha256(request.encode()).hexdigest()

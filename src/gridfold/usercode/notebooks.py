"""Check a user's notebook before anything runs, and digest its code."""

from __future__ import annotations

import json
from pathlib import Path

from gridfold.canonical import digest
from gridfold.usercode import sources

_ALLOWED = "a notebook in Python (.ipynb, format 4), relative to the working directory"


def problem_with(file: str) -> tuple[str, str] | None:
    """Return (found, allowed) when `file` is no notebook that can be run, else None."""
    if not sources.is_file(Path(file)):
        return f"no such file: {file}", _ALLOWED
    try:
        content = json.loads(sources.content(Path(file)))
    except (OSError, ValueError) as error:
        return f"{file} is not JSON: {error}", _ALLOWED
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        return f"{file} has no cells", _ALLOWED
    metadata = content.get("metadata", {})
    language = metadata.get("kernelspec", {}).get("language") or metadata.get(
        "language_info", {}
    ).get("name", "python")
    if language != "python":
        return f"{file} is written in {language}", _ALLOWED
    return None


def source_digest(file: str) -> str:
    """Return a digest of what is in the cells of a notebook; outputs and metadata don't count."""
    return digest_of_cells(sources.content(Path(file)))


def digest_of_cells(content: bytes) -> str:
    """Return the digest of a notebook's text as :func:`source_digest` has it."""
    cells = json.loads(content)["cells"]
    return digest([[cell.get("cell_type"), cell.get("source")] for cell in cells])

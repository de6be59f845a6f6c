"""Check a user's notebook before anything runs, and digest its code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gridfold.canonical import digest

_ALLOWED = "a notebook in Python (.ipynb, format 4), relative to the working directory"


def problem_with(file: str) -> tuple[str, str] | None:
    """Return (found, allowed) when `file` is no notebook that can be run, else None."""
    # Unlike `Path.is_file`, this takes any name, however long, for that of a missing file.
    if not os.path.isfile(file):
        return f"no such file: {file}", _ALLOWED
    try:
        content = _content(file)
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
    return digest([[cell.get("cell_type"), cell.get("source")] for cell in _content(file)["cells"]])


def _content(file: str) -> Any:
    return json.loads(Path(file).read_text(encoding="utf-8"))

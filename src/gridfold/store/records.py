"""Read small records of a study, JSON objects, from disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gridfold.typed_json import DamagedRecord


def read_record(file: Path) -> dict[str, Any]:
    """Return the content of a record.

    Raises
    ------
    FileNotFoundError
        When there is none.
    DamagedRecord
        When it is no JSON object; says what to do.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedRecord(f"{file} is damaged ({error}); {_REMEDY}") from None
    if not isinstance(content, dict):
        raise DamagedRecord(f"{file} is damaged (no JSON object); {_REMEDY}")
    return content


_REMEDY = "run the study again with snakemake, which makes it anew"

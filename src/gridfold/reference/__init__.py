"""Writes the files that are generated from the study model: schema, commented example, tables.

The model is the only definition of the study file. What this package adds by hand is what a
model can't know: example values, and words that lead from one table to the next.
"""

from __future__ import annotations

import json
from pathlib import Path

from gridfold.reference.example import example_study
from gridfold.reference.schema import study_schema
from gridfold.reference.table import study_tables

__all__ = ["REPAIR", "drifted", "generated_files", "write"]

REPAIR = "uv run gridfold schema --write"


def generated_files() -> dict[str, str]:
    """Return the text of each generated file, by path relative to the repository."""
    schema = study_schema()
    notice = f"Generated from src/gridfold/study by `{REPAIR}`; edit it there."
    return {
        "config/study.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        "config/reference.yaml": example_study(schema, notice),
        "docs/study-file.md": study_tables(schema, notice),
    }


def write(root: Path) -> None:
    """Write the generated files below `root`."""
    for name, text in generated_files().items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def drifted(root: Path) -> list[str]:
    """Return the generated files below `root` that are missing or not what they should be."""
    return [
        name
        for name, text in generated_files().items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != text
    ]

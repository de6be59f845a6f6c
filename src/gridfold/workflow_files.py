"""Where the Snakefile and what belongs to it lie: beside the package or, installed, inside it."""

from __future__ import annotations

from pathlib import Path

_INSTALLED = Path(__file__).parent / "workflow_files"
_REPOSITORY = Path(__file__).parent.parent.parent


def workflow_files() -> Path:
    """Return the folder that holds `Snakefile`, `rules`, `workflow` and `profiles`."""
    return _INSTALLED if _INSTALLED.is_dir() else _REPOSITORY


def workflow_path() -> str:
    """Return the path of gridfold's Snakefile, for the `module` statement of another one."""
    return str(workflow_files() / "Snakefile")

"""Environments as they are elsewhere: freshly synced, without a package, with a fake in it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable
from pathlib import Path

from workbench import ROOT


def twin_environment(folder: Path, without: Iterable[str] = ()) -> Path:
    """Make an environment with the packages of ours, less some; return its Python.

    The packages are links, so an installation into the twin leaves ours alone.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not any(entry.name.startswith(prefix) for prefix in without):
            (site / entry.name).symlink_to(entry)
    return folder / "bin" / "python"


def bare_environment(folder: Path) -> tuple[Path, dict[str, str]]:
    """Make an environment with gridfold's own code alone; return its Python and variables."""
    venv.create(folder, with_pip=False, symlinks=True)
    ours = Path(sysconfig.get_paths()["purelib"])
    (metadata,) = ours.glob("gridfold-*.dist-info")
    (site,) = folder.glob("lib/python*/site-packages")
    (site / metadata.name).symlink_to(metadata)
    return folder / "bin" / "python", {"PYTHONPATH": str(ROOT / "src")}


def programs(folder: Path, **contents: str) -> Path:
    """Put shell scripts into a folder for the PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, script in contents.items():
        file = folder / name.replace("_", "-")
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
    return folder


def run_module(
    name: str, *arguments: str | Path, python: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m name`` in a changed environment."""
    return subprocess.run(
        [str(python or sys.executable), "-m", name, *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )

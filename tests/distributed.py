"""Launching ranks in tests, and what a machine needs for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gridfold.ranks import AUTO, Launch, environment, horovod_controllers


def _needs(present: bool, what: str) -> pytest.MarkDecorator:
    # In CI everything that can be installed is, so a missing part is a failure there.
    if not present and os.environ.get("CI"):
        raise RuntimeError(f"{what}; `make test` installs it on Debian as root")
    return pytest.mark.skipif(not present, reason=what)


needs_horovod = _needs(bool(horovod_controllers()), "HOROVOD IS MISSING: run `make horovod`")
needs_mpi = _needs(
    "mpi" in horovod_controllers() and shutil.which("mpirun") is not None,
    "MPI OR HOROVOD WITH MPI IS MISSING: install openmpi-bin and libopenmpi-dev, `make horovod`",
)


def horovod(ranks: int, launcher: str) -> Launch:
    """Return a launch of ranks with ``mpirun`` or ``horovodrun`` (Gloo)."""
    if launcher == "horovodrun":
        return Launch(f"{Path(sys.executable).parent / 'horovodrun'} --gloo", ranks)
    return Launch(AUTO, ranks)


def run_on_ranks(launch: Launch, program: Sequence[str]) -> None:
    """Run a program on all ranks to its end."""
    answer = subprocess.run(
        launch.command(program),
        env={**environment(), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]

"""Launching ranks in tests, and what a machine needs for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from needs import lacking, need_horovod

from gridfold.jobs.ranks import AUTO, Launch, environment, horovod_controllers

needs_horovod = pytest.mark.usefixtures("horovod_here")
needs_mpi = pytest.mark.usefixtures("mpi_here")


@pytest.fixture
def horovod_here() -> None:
    """Go on only with Horovod."""
    need_horovod()


@pytest.fixture
def mpi_here() -> None:
    """Go on only with Horovod under MPI."""
    need_mpi()


def need_mpi() -> None:
    """Skip the test, or fail in CI, without Horovod under MPI."""
    need_horovod()
    if "mpi" not in horovod_controllers() or shutil.which("mpirun") is None:
        lacking(
            "MPI is missing, so it was NOT tested: install openmpi-bin and libopenmpi-dev, then "
            "`make horovod`"
        )


def horovod(ranks: int, launcher: str) -> Launch:
    """Return a launch of ranks with ``mpirun`` or ``horovodrun`` (Gloo)."""
    if launcher == "horovodrun":
        return Launch(f"{Path(sys.executable).parent / 'horovodrun'} --gloo", ranks)
    return Launch(AUTO, ranks)


def started_by(log: Path) -> list[str]:
    """Return what has started the ranks of a job, launcher and engine, from the outermost on."""
    lines = log.read_text().splitlines()
    command = next(line for line in lines if "gridfold.jobs.rank" in line)
    programs = [Path(word).name for word in command.split()]
    return [name for name in programs if name in ("mpirun", "apptainer")]


def run_on_ranks(launch: Launch, words: Sequence[str]) -> None:
    """Run ``python WORDS...`` on all ranks to its end."""
    answer = subprocess.run(
        launch.command(words),
        env={**environment(), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]

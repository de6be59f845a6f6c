"""Tell what a number depends on besides its configuration: code, versions, machine.

``python -m gridfold.environment.versions`` prints the versions of its environment, as JSON.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gridfold.errors import GridfoldError
from gridfold.wording import shorten

# A new version of one of these may change numbers; the others only present them.
_NUMERIC_PACKAGES = ("keras", "numpy", "scikit-learn", "tensorflow")
# What Apptainer, and Singularity before it, tell a process in a container.
_IN_CONTAINER = {"APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"}
_RECORDED_PACKAGES = ("gridfold", "snakemake", *_NUMERIC_PACKAGES, "pandas", "matplotlib")


@functools.cache
def package_version(name: str) -> str:
    """Return the installed version of a package, whatever variant provides it."""
    for distribution in (name, f"{name}-cpu"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "not installed"


def numeric_versions() -> dict[str, str]:
    """Return the versions that are part of every trial's fingerprint."""
    return {name: package_version(name) for name in _NUMERIC_PACKAGES}


def versions_in_container(container: Sequence[str]) -> dict[str, str]:
    """Return the versions that are part of a trial's fingerprint in a container.

    Parameters
    ----------
    container : sequence of str
        Command that runs another one in it.

    Raises
    ------
    GridfoldError
        When the container does not start, or has another gridfold than this one.
    """
    command = [*container, "python", "-m", __name__]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise GridfoldError(f"the container does not start: {error}") from error
    if answer.returncode:
        reason = answer.stderr.strip() or f"exit code {answer.returncode}"
        raise GridfoldError(f"the container does not start: {shlex.join(command)}\n{reason}")
    try:
        found: dict[str, str] = json.loads(answer.stdout.splitlines()[-1])
        theirs, ours = found.pop("gridfold"), package_version("gridfold")
    except (IndexError, KeyError, ValueError) as error:
        raise GridfoldError(
            f"the container does not say its versions, but: {shorten(answer.stdout, 200)!r}"
        ) from error
    if theirs != ours:
        raise GridfoldError(
            f"the container has gridfold {theirs}, and this run is planned by {ours}; build the "
            "image again"
        )
    return found


def versions_of_job(planned: Mapping[str, str]) -> dict[str, str]:
    """Return the versions that a job trains with, which must be those that it was planned with.

    A container has its own, the same for all jobs.

    Raises
    ------
    GridfoldError
        When they have changed since the run began.
    """
    found = numeric_versions()
    changed = [f"{k} {planned[k]} -> {found[k]}" for k in planned if planned[k] != found[k]]
    if changed and not _IN_CONTAINER & os.environ.keys():
        raise GridfoldError(
            f"packages have changed since this run began: {', '.join(changed)}; start the same "
            "command again"
        )
    return found


@dataclass(frozen=True)
class Environment:
    """Where and with what a process runs, for model card and report.

    Attributes
    ----------
    python : str
    packages : dict of str to str
        Version of each package.
    platform, processor, host : str
    cores : int or None
        CPU cores of the machine.
    git_commit : str or None
        Commit of the working directory; None outside of git.
    """

    python: str
    packages: dict[str, str]
    platform: str
    processor: str
    cores: int | None
    host: str
    git_commit: str | None


def environment() -> Environment:
    """Return where and with what this process runs."""
    return Environment(
        python=platform.python_version(),
        packages={name: package_version(name) for name in _RECORDED_PACKAGES},
        platform=platform.platform(),
        processor=processor(),
        cores=os.cpu_count(),
        host=platform.node(),
        git_commit=_git_commit(),
    )


def processor() -> str:
    """Return the model of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git_commit() -> str | None:
    """Return the commit of the working directory, with a mark when files differ from it."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--match="],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


if __name__ == "__main__":
    print(json.dumps({"gridfold": package_version("gridfold"), **numeric_versions()}))

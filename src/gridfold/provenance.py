"""What a number depends on besides its configuration: code, versions, machine."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gridfold.canonical import digest
from gridfold.localcode import code_digest, source_digest
from gridfold.references import split_reference
from gridfold.study import Study

# The modules that decide what a trial's numbers are. Editing any other module (a table, a figure,
# the command line) retrains nothing.
_TRAINING_MODULES = (
    "answers",
    "augmentation",
    "bigarrays",
    "checkpoint",
    "customloop",
    "distribution",
    "feeds",
    "inforce",
    "loop",
    "measures",
    "models",
    "multiinput",
    "optimisation",
    "phases",
    "predictions",
    "prepared",
    "preprocessing",
    "pretrained",
    "training",
    "trainingstate",
)
# A new version of one of these may change numbers; the others only present them.
_NUMERIC_PACKAGES = ("keras", "numpy", "scikit-learn", "tensorflow")
_RECORDED_PACKAGES = ("gridfold", "snakemake", *_NUMERIC_PACKAGES, "pandas", "matplotlib")


def training_code_digest(study: Study) -> str:
    """Return a digest of all code that can change a trial's result, the user's included."""
    package = Path(__file__).parent
    files = {name: source_digest(package / f"{name}.py") for name in _TRAINING_MODULES}
    model = study.model
    for name, own in (("model.python", model.python), ("model.custom", model.custom)):
        if own is not None:
            files[name] = code_digest(split_reference(own.reference)[0])
    if model.saved is not None:
        files["model.saved"] = file_digest(Path(model.saved.path))
        if model.saved.objects is not None:
            files["model.saved.objects"] = code_digest(Path(model.saved.objects))
    if model.application is not None and model.application.weights is not None:
        files["model.application"] = file_digest(Path(model.application.weights))
    return digest(files)


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    return _file_digest(file, tuple(file_mark(file)))


def file_mark(file: Path) -> list[int]:
    """Return what tells a file that nobody has touched: size, times and inode.

    The time of the last change of the inode can't be set, unlike that of the content.
    """
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


@functools.cache
def _file_digest(file: Path, _mark: tuple[int, ...]) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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


def environment() -> dict[str, Any]:
    """Return where and with what this process runs, for model card and report."""
    return {
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in _RECORDED_PACKAGES},
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "host": platform.node(),
        "git_commit": _git_commit(),
    }


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

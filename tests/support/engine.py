"""Apptainer, watched; or a stand-in for it that really changes the root, by bubblewrap.

As Apptainer does, the stand-in shows ``/tmp`` and the folders that it is told to bind, and nothing
else of the machine. With ``IMAGE_ENGINE=apptainer``, the tests run in Apptainer itself instead.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import image
from needs import lacking
from workbench import ROOT

# Root file system of an image, see `make image-test`; without it, a root is put together from the
# programs of this machine.
OWN_ROOT = os.environ.get("IMAGE_ROOT")
IS_APPTAINER = os.environ.get("IMAGE_ENGINE") == "apptainer"
# How the profiles and rules name the image, whose place the one of the tests takes.
_IMAGE = "workflow/envs/gridfold.sif"
# Where the image has its Python.
PREFIX = "/opt/gridfold/.venv"
# Of an image; what is shown in their places comes from the machine, or is empty.
_OTHERS = ("dev", "home", "mnt", "proc", "root", "run", "sys", "tmp")
_OF_THE_MACHINE = ("/etc/hosts", "/etc/resolv.conf", "/etc/passwd", "/etc/group")


@dataclass(frozen=True)
class Engine:
    """What an installed stand-in knows.

    Attributes
    ----------
    record : str
        File that gets what the engine is told, a line of JSON for each command.
    hidden : str
        Folder below ``/tmp`` of which only what is bound is seen, as of every other place.
    mounts : list of str
        Options of bubblewrap that make the root.
    begin : str
        What the shell does before each command.
    """

    record: str
    hidden: str
    mounts: list[str]
    begin: str


def install(folder: Path, hidden: Path) -> Path:
    """Put the engine into ``folder/bin``, and return the file of what it is told."""
    record, program = folder / "record.jsonl", folder / "bin" / "apptainer"
    if IS_APPTAINER:
        apptainer = shutil.which("apptainer")
        assert apptainer, "apptainer is not installed"
        call = f"watch({apptainer!r}, {str(record)!r})"
    elif shutil.which("bwrap") is None:
        lacking("bubblewrap is missing, so containers were NOT tested: apt-get install bubblewrap")
    else:
        known = Engine(str(record), str(hidden), *(_own_root() if OWN_ROOT else _root_of_machine()))
        call = f"main(engine.Engine(**{asdict(known)!r}))"
    program.parent.mkdir(parents=True)
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path[:0] = {[str(Path(__file__).parent)]!r}\n"
        f"import engine\nengine.{call}\n"
    )
    program.chmod(0o755)
    return record


def watch(apptainer: str, record: str) -> NoReturn:
    """Do what the command line asks Apptainer for, in the image of the tests."""
    words = sys.argv[1:]
    if words != ["--version"]:
        _record(record, words)
    image = OWN_ROOT or ""
    os.execv(apptainer, ["apptainer", *(image if w.endswith(_IMAGE) else w for w in words)])


def _record(file: str, words: Sequence[str]) -> None:
    with open(file, "a", encoding="utf-8") as record:
        record.write(json.dumps(words) + "\n")


def _own_root() -> tuple[list[str], str]:
    assert OWN_ROOT
    # One after another, so that there is room for the mount points of what is bound besides.
    mounts = _shown([file for file in Path(OWN_ROOT).iterdir() if file.name not in _OTHERS])
    mounts += [word for file in _OF_THE_MACHINE for word in ("--ro-bind", file, file)]
    return mounts, f". /{image.ENVIRONMENT}"


def _root_of_machine() -> tuple[list[str], str]:
    """Return a root with this machine's programs and this Python, in the image's place."""
    mounts = _shown([Path("/", name) for name in ("usr", "etc", "bin", "lib", "lib64", "sbin")])
    # The Python below the environment; gridfold itself is a link to its sources.
    for folder in {Path(sys.base_prefix), ROOT / "src"}:
        mounts += ["--ro-bind", str(folder), str(folder)]
    return [*mounts, "--ro-bind", sys.prefix, PREFIX], f"export PATH={PREFIX}/bin:/usr/bin:/bin"


def _shown(files: Sequence[Path]) -> list[str]:
    """Return what shows files and folders at the top of the root."""
    words = []
    for file in files:
        if file.is_symlink():
            words += ["--symlink", str(file.readlink()), f"/{file.name}"]
        elif file.exists():
            words += ["--ro-bind", str(file), f"/{file.name}"]
    return words


def main(engine: Engine) -> NoReturn:
    """Do what the command line asks an engine for."""
    words = sys.argv[1:]
    if words == ["--version"]:
        print("apptainer version 1.4.0")
        sys.exit()
    _record(engine.record, words)
    shown, command = _understood(words)
    binds = [word for place in shown for word in ("--bind", *place)]
    os.execvp(
        "bwrap",
        [
            "bwrap",
            *engine.mounts,
            *("--dev-bind", "/dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys"),
            *("--bind", "/tmp", "/tmp", "--tmpfs", engine.hidden, *binds),
            *("--setenv", "APPTAINER_CONTAINER", "image", "--chdir", os.getcwd()),
            *("bash", "-c", f'{engine.begin}; exec "$@"', "bash", *command),
        ],
    )


def _understood(words: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the places that are to be seen, from where to where, and the command."""
    assert words[0] == "exec", words
    left, shown = list(words[1:]), []
    while left[0].startswith("--"):
        option = left.pop(0)
        if option == "--nv":
            continue
        value = left.pop(0)
        for place in value.split(","):
            source, _, target = place.partition(":")
            shown.append((source, target or source))
        assert option in ("--home", "--bind"), option
    # The image comes first. Outer folders before those in them.
    return sorted(shown, key=lambda place: place[1]), left[1:]

"""The commands in the documents run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from documents import DOCUMENTS, FOLLOWED
from workbench import ROOT, shared_forks

from gridfold.jobs.fork_server import TABLES, TRAINING
from gridfold.plan.loading import load_study

COMMANDS = [
    (file.relative_to(ROOT).as_posix(), line.strip())
    for file in DOCUMENTS
    if file not in FOLLOWED
    for block in re.findall(r"```sh\n(.*?)```", file.read_text(), re.S)
    for line in block.splitlines()
    if line.strip() and not line.startswith("#")
]


def test_there_are_commands_to_try() -> None:
    assert len(COMMANDS) > 8


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the project's, with a study that is as small as can be."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("config", "rules", "workflow", "profiles"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copy(ROOT / "slurm", folder, follow_symlinks=False)
    file = folder / "config" / "demo.yaml"
    study = yaml.safe_load(file.read_text())
    study["data"]["subset"] = 200
    study["training"]["epochs"] = 1
    study["resampling"]["folds"] = 2
    study["search"]["space"] = {"cnn.filters": [4], "mlp.units": [8]}
    file.write_text(yaml.safe_dump(study))
    file = folder / "config" / "scaling.yaml"
    study = yaml.safe_load(file.read_text())
    study["data"]["subset"] = 600
    study["training"]["epochs"] = 2
    study["search"]["space"] = {"training.distribution.world_size": [1, 2], "mlp.units": [8]}
    file.write_text(yaml.safe_dump(study))
    return folder


@pytest.mark.parametrize(("document", "command"), COMMANDS)
def test_commands_run(document: str, command: str, workspace: Path) -> None:
    words = shlex.split(command)
    if words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
        return
    assert words[0] in ("gridfold", "snakemake"), f"{document}: a command of an unknown kind"
    if "--profile" in words and "--dry-run" not in words:
        # To its end on a real Slurm: test_slurm.py.
        words.append("--dry-run")
    if words[1] == "show":
        # Ids in documents are those of the full study.
        words[2] = load_study([workspace / "config/demo.yaml"]).expansion.configurations[0].id
    program = Path(sys.executable).parent / words[0]
    with shared_forks(TRAINING, TABLES):
        answer = subprocess.run(
            [program, *words[1:]], cwd=workspace, capture_output=True, text=True, check=False
        )
    assert answer.returncode == 0, answer.stdout + answer.stderr

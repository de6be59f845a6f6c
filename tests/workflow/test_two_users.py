"""Two people work on one study: the second goes on where the first one was, somewhere else, too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from studies import tiny_study, write_study
from workbench import ROOT

GROUP = 2000
USERS = {"anna": 2001, "ben": 2002}
TARGETS = ("results/tiny/shards/s0001.trials.parquet", "results/tiny/shards/s0002.trials.parquet")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become two other users: shared results are NOT tested"
)


def run(user: str, folder: Path, *targets: str, umask: int = 0o002) -> str:
    """Run Snakemake as a user of the group; return the exit code and what it says."""
    home = folder.parent / user
    home.mkdir(exist_ok=True)
    os.chown(home, USERS[user], GROUP)
    # They may read what only root may, the interpreter, but write what is theirs alone.
    capability = "+dac_read_search"
    become = ["setpriv", f"--reuid={USERS[user]}", f"--regid={GROUP}", "--clear-groups"]
    become += [f"--inh-caps={capability}", f"--ambient-caps={capability}"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", "study.yaml", "--cores", "2", "--", *targets]
    answer = subprocess.run(
        [*become, *command],
        cwd=folder,
        env={**os.environ, "HOME": str(home), "USER": user, "LOGNAME": user},
        umask=umask,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return f"{answer.returncode}\n{answer.stdout}"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Return a folder in which the group may write."""
    # Pytest's own folders are closed to others.
    for parent in [tmp_path, *tmp_path.parents][:3]:
        parent.chmod(0o755)
    folder = tmp_path / "shared"
    folder.mkdir()
    os.chown(folder, -1, GROUP)
    folder.chmod(0o2775)
    return folder


def test_a_colleague_grows_a_study_that_was_moved(shared: Path) -> None:
    write_study(shared / "study.yaml", tiny_study())
    said = run("anna", shared, TARGETS[0])
    assert said.startswith("0\n"), said
    moved = shared.rename(shared.with_name("moved"))
    write_study(moved / "study.yaml", tiny_study(search={"space": {"mlp.units": [4, 8, 16]}}))
    said = run("ben", moved, *TARGETS)
    assert said.startswith("0\n"), said
    assert "4 of 6 trials done before" in said
    log = (moved / "results/tiny/logs/train/s0002.log").read_text()
    assert "2 trials, 0 known, 2 to train" in log
    new = moved / TARGETS[1]
    assert new.stat().st_uid == USERS["ben"]
    assert len(pd.read_parquet(new)) == 2


def test_results_that_only_their_owner_may_change_are_left_alone(shared: Path) -> None:
    write_study(shared / "study.yaml", tiny_study())
    said = run("anna", shared, "results/tiny/splits.npz", umask=0o022)
    assert said.startswith("0\n"), said
    write_study(shared / "study.yaml", tiny_study(training={"epochs": 4}))
    said = run("ben", shared, "results/tiny/splits.npz")
    assert said.startswith("1\n"), said
    assert "Permission denied; nothing was run. Results that several people work on" in said
    assert "Traceback" not in said

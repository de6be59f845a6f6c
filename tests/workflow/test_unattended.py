"""Studies that run unattended without Slurm: submitted, looked at, killed, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from workbench import ROOT, wait_for
from workspaces import LEAN, tiny

from gridfold.cli.main import main
from gridfold.store.locks import RunLock

SPLITS = "results/tiny/splits.npz"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a study that trains until it is stopped."""
    for name in ("Snakefile", "rules", "workflow"):
        (tmp_path / name).symlink_to(ROOT / name)
    study = tiny(training={"epochs": 100_000}, report=LEAN)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def submit(*words: str) -> int:
    return main(["submit", "study.yaml", "--local", "--cores", "2", *words])


def test_a_study_is_submitted_refused_a_second_time_and_stopped(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = here / "results/tiny/controller"
    assert submit("--then", "echo $GRIDFOLD_OUTCOME > then.txt") == 0
    assert "it goes on when you log out" in capfd.readouterr().out
    try:
        wait_for(lambda: any(here.glob("results/tiny/runs/*/*/checkpoint-*")))
        second = subprocess.run(
            [sys.executable, "-m", "snakemake", "--configfile", "study.yaml", "--cores", "1"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        holder = RunLock(files / "run.lock").holder()
        assert holder
        assert f"the study tiny is being run already by {holder}; nothing was started.\n" in (
            second.stderr
        )
        assert "stop it:    gridfold stop results/tiny\n" in second.stderr
        assert "LockException" not in second.stderr
        assert main(["status", "--json"]) == 0
        facts = json.loads(capfd.readouterr().out)
        assert facts["state"] == "running"
        assert facts["controller"]["alive"]
    finally:
        assert main(["stop", "study.yaml"]) == 0
    assert (here / "then.txt").read_text() == "stopped\n"
    assert not RunLock(files / "run.lock").holder()
    assert any(here.glob("results/tiny/runs/*/*/checkpoint-*")), "trials keep their epochs"
    assert main(["stop", "study.yaml"]) == 1
    assert capfd.readouterr().err.endswith("results/tiny: nothing runs\n")


def is_held(lock: Path) -> bool:
    holder = RunLock(lock).holder()
    return holder is not None and holder.is_live


def test_a_dead_run_is_followed_by_the_next_without_unlocking(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = here / "results/tiny/controller"
    assert submit() == 0
    wait_for(lambda: any(here.glob(".snakemake/locks/*.lock")))
    supervisor = json.loads((files / "supervisor.lock").read_text())
    snakemake = json.loads((files / "run.lock").read_text())
    for process in (supervisor["pid"], snakemake["pid"]):
        # Each leads a process group of its own.
        os.killpg(process, signal.SIGKILL)
    # The one may be gone a moment before the other, which still runs the study then.
    for name in ("supervisor.lock", "run.lock"):
        wait_for(lambda name=name: not is_held(files / name))
    wait_for(lambda: main(["status"]) == 0 and "gone; submit it again" in capfd.readouterr().out)
    assert submit("--", "--", SPLITS) == 0
    wait_for((files / "outcome.json").exists)
    said = (files / "output.log").read_text()
    assert f"an earlier run of this study was cut off (process {snakemake['pid']} on " in said
    assert json.loads((files / "outcome.json").read_text())["how"] == "finished", said
    assert (here / SPLITS).exists()
    capfd.readouterr()
    assert main(["attach", "study.yaml"]) == 0
    streams = capfd.readouterr()
    assert "the controller has ended: finished" in streams.out
    assert "controller: finished, at " in streams.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mail", "me@example.org"), "--mail: only where the controller is a job; nothing was"),
        (("--profile", "nowhere"), "nowhere"),
        (("--", "--no-such-option"), "unrecognized arguments: --no-such-option"),
    ],
)
def test_what_can_not_be_run_is_refused_before_anything(
    here: Path, words: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert submit(*words) == 1
    error = capfd.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (here / "results/tiny/controller/submission.json").exists()

"""A run takes over what a dead one has left of Snakemake's lock, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from gridfold.paths import StudyPaths
from gridfold.store.locks import STALE_SECONDS, Holder, RunLock
from gridfold.store.running import RunBusy
from gridfold.workflow import run_lock
from gridfold.workflow.earlier_run import runs_jobs

HOLD = """
import sys
from pathlib import Path
from gridfold.paths import StudyPaths
from gridfold.workflow.run_lock import hold
hold(StudyPaths(Path("results/mine")))
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyPaths:
    """A study, in whose folder another one has a lock of Snakemake's, too."""
    monkeypatch.chdir(tmp_path)
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").write_text("mine.csv\nresults/mine/splits.npz\n")
    (locks / "0.output.lock").write_text("results/mine/splits.npz\nresults/mine/report.html\n")
    (locks / "1.output.lock").write_text("results/mine2/report.html\n")
    return StudyPaths(Path("results/mine"))


def left() -> set[str]:
    return {file.name for file in Path(".snakemake/locks").iterdir()}


def holding_process() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_a_living_run_is_named_and_a_dead_one_followed(
    paths: StudyPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    with holding_process() as living:
        with pytest.raises(RunBusy, match=rf"run already by process {living.pid} on \S+, since 2"):
            run_lock.hold(paths)
        assert len(left()) == 3, "of a run that nobody knows, or that lives"
        living.kill()
    run_lock.hold(paths)
    assert f"was cut off (process {living.pid} on " in capsys.readouterr().err
    assert left() == {"1.output.lock"}
    holder = RunLock(paths.controller.lock).holder()
    assert holder
    assert (holder.is_live, holder.is_here, holder.process.pid) == (True, True, os.getpid())


def test_a_run_that_ends_gives_its_lock_back(paths: StudyPaths) -> None:
    with holding_process() as ending:
        ending.communicate("\n")
    assert not paths.controller.lock.exists()


def test_what_is_not_known_of_another_machine_is_said(paths: StudyPaths) -> None:
    lock = paths.controller.lock
    lock.parent.mkdir(parents=True)
    far = replace(Holder.me(), host="far", machine="far", job="")
    lock.write_text(json.dumps(asdict(far)))
    with pytest.raises(RunBusy, match=r"on far, since [^;]+; nothing was started\. Its last sign"):
        run_lock.hold(paths)
    os.utime(lock, (0, 0))
    holder = RunLock(lock).holder()
    assert holder
    assert holder.silence > STALE_SECONDS
    assert not holder.is_live


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--unlock"], False),
        (["--unl"], False),
        (["--summary=x"], False),
        (["--cores", "2"], True),
        (["-p"], True),
    ],
)
def test_options_that_only_look_are_known_by_their_abbreviations(
    words: list[str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Main:
        is_main_process = True

    monkeypatch.setattr(sys, "argv", ["snakemake", *words])
    assert runs_jobs(Main()) is expected

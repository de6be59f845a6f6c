"""Slurm is asked in one way, and says in one way that it does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from environments import programs

from gridfold.cluster import commands
from gridfold.cluster.commands import SlurmSilent, ask
from gridfold.cluster.slurm import can_list_jobs, has_processes, is_down, jobs_of_runs

NO_CONTROLLER = "echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return what puts programs of a Slurm on the path; none at first."""
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    return monkeypatch


def say(slurm: pytest.MonkeyPatch, folder: Path, **scripts: str) -> None:
    slurm.setenv("PATH", f"{programs(folder, **scripts)}:/usr/bin:/bin")


def test_a_machine_without_slurm_gets_no_answer(slurm: pytest.MonkeyPatch) -> None:
    with pytest.raises(SlurmSilent, match="does not answer"):
        ask("squeue")
    assert not can_list_jobs()
    assert has_processes("7") is None
    assert not is_down(), "nobody waits for a Slurm that is not there"


def test_a_slurm_without_controller_does_not_answer(
    slurm: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    say(
        slurm,
        tmp_path,
        squeue=NO_CONTROLLER,
        scontrol="echo 'Slurmctld(primary) at c1 is DOWN'; exit 1",
    )
    with pytest.raises(SlurmSilent, match="Slurm does not answer: Unable to contact"):
        ask("squeue")
    assert has_processes("7") is None
    assert jobs_of_runs(["a"]) is None
    assert is_down()


def test_a_slurm_that_takes_too_long_does_not_answer(
    slurm: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slurm.setattr(commands, "_SECONDS", 0.2)
    say(slurm, tmp_path, squeue="exec sleep 60", scontrol="exec sleep 60")
    with pytest.raises(SlurmSilent, match="timed out"):
        ask("squeue")
    assert jobs_of_runs(["a"]) is None
    assert is_down()


def test_an_answer_is_read_and_an_error_told(slurm: pytest.MonkeyPatch, tmp_path: Path) -> None:
    say(
        slurm,
        tmp_path,
        squeue="echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1",
        scontrol="echo 'Slurmctld(primary) at c1 is UP'",
    )
    answer = ask("squeue")
    assert (answer.is_good, answer.text) == (False, "")
    assert answer.error == "slurm_load_jobs error: Invalid job id specified"
    assert has_processes("7") is False
    assert not is_down()
    say(slurm, tmp_path, squeue="echo '4|RUNNING|a'; echo '5|PENDING|b'")
    assert jobs_of_runs(["a"]) == {"4": "RUNNING"}

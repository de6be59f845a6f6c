"""How a job ends when users' code does not let it end by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys, time
from gridfold.jobs.deadline import deadline
from gridfold.jobs.job import job

def work():
    {work}

with job("job.log"):
    with deadline({seconds}, "the work"):
        work()
"""


def run(folder: Path, work: str, seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CODE.format(work=work, seconds=seconds)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("work", ["sys.exit(0)", "sys.exit()", "raise GeneratorExit"])
def test_code_that_asks_python_to_end_fails_its_job(tmp_path: Path, work: str) -> None:
    answer = run(tmp_path, work)
    assert answer.returncode == 1
    assert answer.stderr.startswith("[gridfold] own code has ended the job by ")
    assert "in work" in (tmp_path / "job.log").read_text()


def test_a_job_whose_work_does_not_end_is_ended(tmp_path: Path) -> None:
    answer = run(tmp_path, "[time.sleep(0.01) for _ in iter(int, 1)]", 1)
    assert answer.returncode == 1
    assert "1 s, the limit of execution.trial_timeout" in answer.stderr
    assert "in work" in (tmp_path / "job.log").read_text()


def test_a_job_that_ends_in_time_is_left_alone(tmp_path: Path) -> None:
    assert run(tmp_path, "pass", 100).returncode == 0

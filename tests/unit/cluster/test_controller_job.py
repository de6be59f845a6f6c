"""What the job of a controller asks Slurm for."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridfold.cluster.controller_job import JobWishes
from gridfold.cluster.slurm import minutes_of


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("2-00:00:00", 2880),
        ("12:00:00", 720),
        ("30:00", 30),
        ("1-00:00:30", 1440),
        ("infinite", None),
        ("UNLIMITED", None),
    ],
)
def test_times_of_slurm_are_read(text: str, minutes: int | None) -> None:
    assert minutes_of(text) == minutes


def test_the_notice_comes_well_before_a_short_limit() -> None:
    assert "--signal=B:USR1@120" in JobWishes("a", Path("out"), 600).options()
    assert "--signal=B:USR1@15" in JobWishes("a", Path("out"), 1).options()


def test_what_was_not_asked_for_is_left_to_the_cluster() -> None:
    options = JobWishes("a", Path("out"), 60, others=["--no-requeue"]).options()
    assert not any(o.startswith(("--partition", "--account", "--qos", "--mail")) for o in options)
    assert options[-1] == "--no-requeue"
    mailed = JobWishes("a", Path("out"), 60, account="abc", mail="me@example.org").options()
    assert {"--account=abc", "--mail-user=me@example.org", "--mail-type=END,FAIL"} <= set(mailed)

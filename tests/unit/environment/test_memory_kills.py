"""The kernel's counters, in the words of both versions of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridfold.environment.memory_kills import MemoryKills

V2 = ("memory.events", "low 0\nhigh 0\nmax 31\noom {0}\noom_kill {0}\noom_group_kill 0\n")
V1 = ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill {0}\n")
OLD = ("memory.failcnt", "{0}\n")


@pytest.mark.parametrize("counter", [V2, V1, OLD], ids=["version 2", "version 1", "old"])
def test_a_kill_of_this_job_is_seen(counter: tuple[str, str], tmp_path: Path) -> None:
    name, text = counter
    user = tmp_path / "slurm" / "uid_1000"
    # Where the process is, the job, and what it shares with the user's other jobs.
    folders = [user / "job_7" / "step_0" / "task_0", user / "job_7", user]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.format(2))
    kills = MemoryKills(folders)
    assert not kills.have_happened()
    (user / name).write_text(text.format(3))
    assert not kills.have_happened(), "another job's"
    (user / "job_7" / name).write_text(text.format(3))
    assert kills.have_happened()


def test_groups_that_count_nothing_say_nothing(tmp_path: Path) -> None:
    assert not MemoryKills([tmp_path, tmp_path / "gone"]).have_happened()
    assert not MemoryKills([]).have_happened()

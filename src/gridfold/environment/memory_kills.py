"""The kernel counts the processes that it has ended because a control group was out of memory."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from gridfold.environment.machine import cgroup_folders, cgroup_memory

# Version 2, version 1 from Linux 4.13 on, and older ones, which count how often the limit was met.
_COUNTERS = (
    ("memory.events", r"^oom_kill (\d+)$"),
    ("memory.oom_control", r"^oom_kill (\d+)$"),
    ("memory.failcnt", r"^(\d+)$"),
)
# Slurm's name of the group of a whole job: above it other jobs count, too.
_JOB = re.compile(r"/job_[^/]+")
_MB = 2**20


class MemoryKills:
    """Counts what the kernel has ended in this process's control groups from now on.

    Parameters
    ----------
    folders : sequence of Path, optional
        The control groups, innermost first; by default those of this process.
    """

    def __init__(self, folders: Sequence[Path] | None = None) -> None:
        every = cgroup_folders("memory") if folders is None else folders
        counting = [folder for folder in every if _count(folder) is not None]
        self._folders = [
            folder
            for number, folder in enumerate(counting)
            if number == 0 or _JOB.search(str(folder))
        ]
        self._before = self._counted()

    def have_happened(self) -> bool:
        """Tell whether the kernel has ended a process since this was made, and says so."""
        return any(now > before for now, before in zip(self._counted(), self._before, strict=True))

    def _counted(self) -> list[int]:
        return [_count(folder) or 0 for folder in self._folders]


def limit_in_words() -> str:
    """Return how much memory the control groups of this process allow; empty where no limit is."""
    limits = cgroup_memory()
    return f", of which this job may have {min(limits) // _MB} MB" if limits else ""


def _count(folder: Path) -> int | None:
    for name, pattern in _COUNTERS:
        with contextlib.suppress(OSError):
            found = re.search(pattern, (folder / name).read_text(), re.M)
            if found is not None:
                return int(found[1])
    return None

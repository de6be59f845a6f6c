"""Control groups of this machine's kernel that limit the memory of what is put into them."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from needs import lacking

from gridfold.environment.machine import cgroup_folders

_LIMITS = ("memory.max", "memory.limit_in_bytes")


def need_root_for_cgroups() -> None:
    """Skip the test, loudly, where no group with a limit of its own can be made."""
    try:
        with memory_limit(1500):
            pass
    except OSError as error:
        lacking(f"no control group can be made here ({error}): memory kills were NOT tested")


@contextlib.contextmanager
def memory_limit(megabytes: int) -> Iterator[Path]:
    """Make a control group in which processes may have so much memory together."""
    above = next((f for f in cgroup_folders("memory") if f.is_dir()), None)
    if above is None:
        raise FileNotFoundError("no control groups")
    group = above / f"gridfold-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    try:
        files = [group / name for name in _LIMITS if (group / name).exists()]
        if not files:
            raise FileNotFoundError(f"no limit of memory in {group}")
        files[0].write_text(str(megabytes * 2**20))
        yield group
    finally:
        _remove(group)


def _remove(group: Path) -> None:
    """Remove a group when what was in it has ended."""
    deadline = time.monotonic() + 30
    while True:
        try:
            group.rmdir()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)

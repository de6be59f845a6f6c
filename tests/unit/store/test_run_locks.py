"""The lock of a run says who that is, since when, and whether it lives."""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from workbench import wait_for

from gridfold.store.locks import STALE_SECONDS, Holder, RunHolder, RunLock

NOBODY = 2**22 + 1


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "controller" / "run.lock"


def left_by(file: Path, holder: Holder, silent: float = 0.0) -> None:
    """Leave a lock of somebody else behind, untouched for so many seconds."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(asdict(holder)))
    then = time.time() - silent
    os.utime(file, (then, then))


def far(**changes: str) -> Holder:
    return replace(Holder.me(), host="far", machine="far", **{"job": ""} | changes)


def beating() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "gridfold-run-lock"]


def test_a_run_holds_its_lock_until_it_gives_it_back(file: Path) -> None:
    lock = RunLock(file)
    assert lock.holder() is None
    assert lock.acquire()
    assert lock.gone is None
    other = RunLock(file)
    assert not other.acquire()
    for asked in (lock, other):
        holder = asked.holder()
        assert holder is not None
        assert holder.process.pid == os.getpid()
        assert (holder.is_live, holder.is_here) == (True, True)
        assert 0 <= holder.silence < 60
    lock.release()
    assert not file.exists()
    assert other.acquire()
    # Who has given a lock back does not take it from the next one.
    lock.release()
    assert file.exists()
    other.release()


def test_a_lock_is_kept_fresh_until_it_is_given_back(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridfold.store.locks.HEARTBEAT_SECONDS", 0.05)
    lock = RunLock(file)
    assert lock.acquire()
    (thread,) = beating()
    assert thread.daemon
    for _ in range(2):
        os.utime(file, (0, 0))
        wait_for(lambda: file.stat().st_mtime > 0)
    lock.release()
    thread.join(60)
    assert not thread.is_alive()


def test_one_that_is_not_taken_is_not_kept_fresh(file: Path) -> None:
    left_by(file, far())
    assert not RunLock(file).acquire()
    assert not beating()


def test_who_was_gone_is_known_and_not_told_here(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = replace(Holder.me(), pid=NOBODY)
    left_by(file, gone, silent=70)
    lock = RunLock(file)
    with caplog.at_level(logging.INFO):
        assert lock.acquire()
    assert lock.gone is not None
    assert lock.gone.process == gone
    assert (lock.gone.is_live, lock.gone.is_here) == (False, True)
    assert lock.gone.silence == pytest.approx(70, abs=5)
    assert not caplog.records
    lock.release()
    assert [entry.name for entry in file.parent.iterdir()] == []


@pytest.mark.parametrize(
    ("silent", "is_live"), [(STALE_SECONDS - 60, True), (STALE_SECONDS + 60, False)]
)
def test_one_of_another_machine_lives_while_it_is_heard(
    file: Path, silent: float, is_live: bool
) -> None:
    left_by(file, far(), silent)
    holder = RunLock(file).holder()
    assert holder is not None
    assert (holder.is_live, holder.is_here) == (is_live, False)
    assert holder.silence == pytest.approx(silent, abs=5)
    assert RunLock(file).acquire() != is_live


def test_what_a_crash_has_cut_short_names_nobody(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('{"token": "ab')
    assert RunLock(file).holder() is None


def test_a_lock_that_goes_while_it_is_looked_at_is_nobodys(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by(file, far())
    monkeypatch.setattr("gridfold.store.locks.RunLock._silence", lambda _: file.stat().st_mtime)
    read = Path.read_bytes

    def read_and_gone(path: Path) -> bytes:
        content = read(path)
        path.unlink()
        return content

    monkeypatch.setattr(Path, "read_bytes", read_and_gone)
    assert RunLock(file).holder() is None


def test_who_may_not_write_there_goes_by_the_clock_of_this_machine(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by(file, far(), silent=90)

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", forbidden)
    holder = RunLock(file).holder()
    assert holder is not None
    assert holder.silence == pytest.approx(90, abs=5)
    assert holder.is_live


def test_a_holder_is_named_with_the_time_of_its_start() -> None:
    started = time.mktime((2026, 3, 4, 5, 6, 7, 0, 0, -1))
    process = replace(Holder.me(), pid=7, host="n1", job="12", started=started)
    named = str(RunHolder(process, True, True, 0.0))
    assert named == "process 7 on n1, Slurm job 12, since 2026-03-04 05:06:07"


def test_a_process_that_has_ended_is_declared_gone_to_other_machines(file: Path) -> None:
    lock = RunLock(file)
    lock.declare_gone(NOBODY)
    left_by(file, replace(Holder.me(), pid=NOBODY))
    lock.declare_gone(NOBODY + 1)
    assert file.stat().st_mtime > 0
    lock.declare_gone(NOBODY)
    assert file.stat().st_mtime == 0
    # A process of another machine may have the same number.
    left_by(file, replace(far(), pid=NOBODY))
    lock.declare_gone(NOBODY)
    assert file.stat().st_mtime > 0


def test_declaring_needs_no_rights(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_by(file, replace(Holder.me(), pid=NOBODY))

    def forbidden(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "utime", forbidden)
    RunLock(file).declare_gone(NOBODY)
    assert file.stat().st_mtime > 0

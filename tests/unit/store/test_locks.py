"""Who holds the lock of a trial: one at a time, and nobody who is gone."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
from workbench import (
    wait_for,
)

from gridfold.atomic import writer
from gridfold.errors import GridfoldError
from gridfold.store.locks import (
    STALE_SECONDS,
    Heartbeat,
    Holder,
    TrialBusy,
    TrialLock,
    is_locked,
)
from gridfold.store.trials import TrialStore

HOLD = """
import sys, time
from pathlib import Path
from gridfold.store.locks import TrialLock
lock = TrialLock(Path(sys.argv[1]))
print("ours" if lock.acquire() else "taken", flush=True)
time.sleep(float(sys.argv[2]))
"""


def hold(folder: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(seconds)], stdout=subprocess.PIPE, text=True
    )


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_lock_of_a_live_process_is_respected_and_one_of_a_dead_process_is_not(
    tmp_path: Path,
) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    with hold(trial, 1000) as holder:
        assert answer(holder) == "ours"
        lock = TrialLock(trial)
        assert not lock.acquire()
        assert f"process {holder.pid} on" in str(lock.live_holder())
        holder.kill()
        holder.wait()
    assert lock.acquire()
    lock.release()
    assert not list(trial.parent.iterdir())


def test_of_many_that_find_a_stale_lock_one_gets_it(tmp_path: Path) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    write(trial, replace(Holder.me(), pid=2**22 + 1))
    contestants = [hold(trial, 5) for _ in range(6)]
    assert sorted(map(answer, contestants)) == ["ours"] + ["taken"] * 5
    for process in contestants:
        process.kill()
        process.communicate()


def write(trial: Path, holder: Holder, silent: float = 0.0) -> None:
    """Leave a lock of somebody else behind, untouched for so many seconds."""
    trial.parent.mkdir(parents=True, exist_ok=True)
    file = trial.with_name(f".{trial.name}.lock")
    file.write_text(json.dumps(asdict(holder)))
    then = time.time() - silent
    os.utime(file, (then, then))


def test_a_process_number_that_was_used_again_is_another_process(tmp_path: Path) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    me = Holder.me()
    write(trial, replace(me, token="other", started=me.started - 1000))
    assert TrialLock(trial).acquire()


def test_process_numbers_are_told_apart_by_machine_start_and_namespace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    space = os.readlink("/proc/self/ns/pid")
    assert Holder.me().machine == f"{platform.node()} {boot} {space}"

    def hidden(*_: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "readlink", hidden)
    assert Holder.me().machine == f"{platform.node()} {boot}"
    monkeypatch.setattr(Path, "read_text", hidden)
    assert Holder.me().machine == platform.node()


def test_a_holder_is_named_by_process_machine_and_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    me = Holder.me()
    assert (me.pid, me.host) == (os.getpid(), platform.node())
    assert me.started == psutil.Process().create_time()
    assert str(me) == f"process {os.getpid()} on {platform.node()}"
    assert str(replace(me, pid=7, host="n1", job="12")) == "process 7 on n1, Slurm job 12"


@pytest.mark.parametrize(("apart", "is_other"), [(0.5, False), (1.5, True)])
def test_a_second_is_between_two_processes_of_one_number(
    tmp_path: Path, apart: float, is_other: bool
) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    me = Holder.me()
    write(trial, replace(me, token="other", started=me.started - apart))
    assert TrialLock(trial).acquire() == is_other


@pytest.mark.parametrize(
    ("has_processes", "silent", "is_ours"),
    [(True, 1e6, False), (False, 0, True), (None, 0, False), (None, STALE_SECONDS + 60, True)],
)
def test_slurm_knows_better_than_the_silence_of_a_job(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    has_processes: bool | None,
    silent: float,
    is_ours: bool,
) -> None:
    asked: list[str] = []

    def answered(job: str) -> bool | None:
        asked.append(job)
        return has_processes

    monkeypatch.setattr("gridfold.store.locks.has_processes", answered)
    trial = tmp_path / "cafe" / "r0f0"
    write(trial, replace(Holder.me(), host="far", machine="far", job="12"), silent)
    assert TrialLock(trial).acquire() == is_ours
    assert set(asked) == {"12"}


def test_who_was_gone_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    file = trial.with_name(".r0f0.lock")
    gone = replace(Holder.me(), pid=2**22 + 1, host="n1", job="")
    write(trial, gone)
    lock = TrialLock(trial)
    assert lock.acquire()
    assert said(caplog) == [
        ("WARNING", f"{file}: its holder is gone (process {2**22 + 1} on n1); taken over")
    ]
    lock.release()
    caplog.clear()
    file.touch()
    os.utime(file, (0, 0))
    assert lock.acquire()
    assert said(caplog) == [("WARNING", f"{file}: its holder is gone (unknown); taken over")]


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_who_takes_a_stale_lock_over_waits_for_another_one_who_does(tmp_path: Path) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    # Who removes a stale lock is this very process, as it seems.
    write(trial, replace(Holder.me(), token="other"))
    guard = trial.with_name(".r0f0.lock.guard")
    trial.with_name(".r0f0.lock").rename(guard)
    write(trial, replace(Holder.me(), pid=2**22 + 1))
    assert not TrialLock(trial).acquire()
    assert names(trial) == [".r0f0.lock", ".r0f0.lock.guard"]
    guard.unlink()
    assert TrialLock(trial).acquire()


@pytest.mark.parametrize("has_links", [True, False])
def test_whoever_is_a_moment_later_does_not_get_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    file = trial.with_name(".r0f0.lock")
    first = replace(Holder.me(), token="first")
    sources: list[str] = []

    def late(source: Path, target: Path) -> None:
        write(trial, first)
        sources.append(source.name)
        code = errno.EEXIST if has_links else errno.EPERM
        raise OSError(code, os.strerror(code), str(source), None, str(target))

    monkeypatch.setattr(os, "link", late)
    assert not TrialLock(trial).acquire()
    assert json.loads(file.read_text())["token"] == "first"
    assert names(trial) == [".r0f0.lock"]
    # The name of what is linked is of this process and of this lock alone.
    (source,) = sources
    assert re.fullmatch(rf"\.r0f0\.lock\.{writer()}-[0-9a-f]{{32}}", source)


def test_a_holder_that_nobody_can_ask_about_is_gone_after_ten_silent_minutes(
    tmp_path: Path,
) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    far = replace(Holder.me(), host="far", machine="far", job="")
    write(trial, far, silent=STALE_SECONDS - 60)
    assert not TrialLock(trial).acquire()
    write(trial, far, silent=STALE_SECONDS + 60)
    assert TrialLock(trial).acquire()


def test_a_job_that_was_requeued_knows_its_own_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    trial = tmp_path / "cafe" / "r0f0"
    earlier = replace(Holder.me(), host="far", machine="far")
    write(trial, earlier)
    assert not TrialLock(trial).acquire(), "Slurm may have lost sight of a node that goes on"
    write(trial, earlier, silent=120)
    assert TrialLock(trial).acquire()


def test_holders_say_that_they_are_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridfold.store.locks.HEARTBEAT_SECONDS", 0.05)
    trial = tmp_path / "cafe" / "r0f0"
    file = trial.with_name(".r0f0.lock")
    with Heartbeat() as locks:
        assert locks.acquire(trial)
        os.utime(file, (0, 0))
        wait_for(lambda: file.stat().st_mtime > 0)
    assert not file.exists()


def test_a_store_of_a_trial_in_training_is_not_cleared_away(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "cafe" / "r0f0"
    folder.mkdir(parents=True)
    (folder / ".checkpoint-00002.4711.npz").write_bytes(b"half")
    with hold(folder, 1000) as holder:
        assert answer(holder) == "ours"
        with pytest.raises(TrialBusy, match=f"is being trained by process {holder.pid}"):
            TrialStore(folder, tmp_path / "set_aside", {}).open()
        holder.kill()
    assert [f.name for f in folder.iterdir()] == [".checkpoint-00002.4711.npz"]


def test_no_heartbeat_outlives_its_job(tmp_path: Path) -> None:
    with Heartbeat() as locks:
        assert locks.acquire(tmp_path / "cafe" / "r0f0")
        (heart,) = (t for t in threading.enumerate() if t.name == "gridfold-locks")
        assert heart.daemon, "a job that breaks down must end"
    assert not heart.is_alive()


def test_a_lock_whose_removal_fails_once_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = TrialLock(tmp_path / "r0f0")
    assert lock.acquire()
    unlink, failed = Path.unlink, []

    def fails_once(file: Path, missing_ok: bool = False) -> None:
        if not failed:
            failed.append(file)
            raise OSError(errno.EIO, "Input/output error", str(file))
        unlink(file, missing_ok)

    monkeypatch.setattr(Path, "unlink", fails_once)
    lock.release()
    assert [file.name for file in failed] == [".r0f0.lock"]
    assert not any(tmp_path.iterdir())


def test_a_lock_that_cannot_be_removed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lock = TrialLock(tmp_path / "r0f0")
    assert lock.acquire()

    def fails(file: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EIO, "Input/output error", str(file))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", fails)
        lock.release()
    file = tmp_path / ".r0f0.lock"
    assert said(caplog) == [("WARNING", f"{file} can't be removed: Input/output error")]
    assert file.exists()


def test_a_lock_that_somebody_has_removed_is_given_back_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lock = TrialLock(tmp_path / "r0f0")
    assert lock.acquire()
    unlink = Path.unlink

    def late(file: Path, missing_ok: bool = False) -> None:
        os.remove(file)
        unlink(file, missing_ok)

    monkeypatch.setattr(Path, "unlink", late)
    lock.release()
    assert said(caplog) == []


def test_a_disk_that_is_full_while_it_is_tidied_takes_no_lock_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    write(trial, replace(Holder.me(), pid=2**22 + 1))
    guard = trial.with_name(".r0f0.lock.guard")
    trial.with_name(".r0f0.lock").rename(guard)
    link = os.link

    def full_for_guards(source: Path, target: Path) -> None:
        if ".guard" in target.name:
            full_disk()
        link(source, target)

    monkeypatch.setattr(os, "link", full_for_guards)
    lock = TrialLock(trial)
    assert lock.acquire()
    assert ".r0f0.lock" in names(trial)
    lock.release()


def test_a_job_releases_only_what_it_has(tmp_path: Path) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    with Heartbeat() as ours, Heartbeat() as theirs:
        assert ours.acquire(trial)
        assert not theirs.acquire(trial)
        theirs.release(trial)
        assert not theirs.acquire(trial)
        ours.release(trial)
        assert theirs.acquire(trial)


def names(trial: Path) -> list[str]:
    return sorted(file.name for file in trial.parent.iterdir())


@pytest.mark.parametrize("content", [b"", b'{"token": "ab', b'{"token": 7}', b"[]"])
def test_a_lock_that_does_not_say_whose_it_is_counts_for_a_short_time(
    tmp_path: Path, content: bytes
) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    trial.parent.mkdir()
    file = trial.with_name(".r0f0.lock")
    file.write_bytes(content)
    lock = TrialLock(trial)
    assert not lock.acquire()
    assert lock.live_holder() == "a job that has just begun"
    then = time.time() - 100
    os.utime(file, (then, then))
    assert lock.acquire()
    assert names(trial) == [".r0f0.lock"]


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_full_disk_is_told_and_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full_disk)
        with pytest.raises(GridfoldError, match=r"r0f0.lock can't be written: No space left"):
            TrialLock(trial).acquire()
    assert names(trial) == []
    assert TrialLock(trial).acquire()


def test_a_full_disk_is_told_to_who_asks_for_the_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    write(trial, replace(Holder.me(), host="far", machine="far", job=""))
    monkeypatch.setattr(Path, "touch", full_disk)
    with pytest.raises(GridfoldError, match=r"r0f0\.lock\.[\w-]+ can't be written: No space left"):
        TrialLock(trial).live_holder()


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_hard_links_a_lock_is_one_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", no_links)
    trial = tmp_path / "cafe" / "r0f0"
    lock, other = TrialLock(trial), TrialLock(trial)
    assert lock.acquire()
    assert not other.acquire()
    assert names(trial) == [".r0f0.lock"]
    lock.release()
    assert other.acquire()
    other.release()
    write(trial, replace(Holder.me(), pid=2**22 + 1))
    assert lock.acquire()
    assert names(trial) == [".r0f0.lock"]


def test_a_link_whose_answer_was_lost_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def answer_lost(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", answer_lost)
    trial = tmp_path / "cafe" / "r0f0"
    assert TrialLock(trial).acquire()
    assert not TrialLock(trial).acquire()


def test_what_killed_processes_have_left_beside_a_lock_is_swept_away(tmp_path: Path) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    trial.parent.mkdir()
    gone = f"{writer().partition('-')[0]}-{2**22 + 1}-5eed"
    for name in (f".r0f0.lock.{gone}", f".r0f0.lock.guard.{gone}", f".r0f1.lock.{gone}"):
        trial.with_name(name).touch()
    write(trial, replace(Holder.me(), pid=2**22 + 1))
    trial.with_name(".r0f0.lock").rename(trial.with_name(".r0f0.lock.guard"))
    alive = trial.with_name(f".r0f0.lock.{writer()}-5eed")
    alive.touch()
    assert TrialLock(trial).acquire()
    assert names(trial) == sorted([".r0f0.lock", alive.name, f".r0f1.lock.{gone}"])


def test_a_holder_that_was_robbed_neither_beats_nor_releases(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    lock = TrialLock(trial)
    assert lock.acquire()
    other = replace(Holder.me(), host="far", machine="far", job="")
    write(trial, other)
    lock.beat()
    file = trial.with_name(".r0f0.lock")
    told = f"{file} was taken by another job though this one is alive"
    assert said(caplog) == [("ERROR", told)]
    lock.release()
    assert str(other) == lock.live_holder()
    trial.with_name(".r0f0.lock").unlink()
    assert lock.acquire()
    trial.with_name(".r0f0.lock").unlink()
    caplog.clear()
    lock.beat()
    assert "was taken by another job" in caplog.text


def test_a_lock_that_cannot_be_read_for_a_moment_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    lock = TrialLock(trial)
    assert lock.acquire()
    file = trial.with_name(".r0f0.lock")
    content = file.read_bytes()
    file.write_bytes(b"")
    os.utime(file, (0, 0))
    lock.beat()
    assert time.time() - file.stat().st_mtime < 60
    file.write_bytes(content)
    lock.release()
    assert not file.exists()
    assert not caplog.text


# One process after the other takes a lock and dies right before the file operation with its
# number; then this one takes it. Tells how many have died, or after whom it could not.
DIE = """
import os, signal, sys
from pathlib import Path
from gridfold.store.locks import TrialLock

trial, stale = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
left = 0

def count(event, arguments):
    global left
    if event in {"open", "os.link", "os.remove", "os.utime"}:
        if str(arguments[0]).startswith(str(trial.parent)):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

def die(step):
    global left
    left = step
    sys.addaudithook(count)
    lock = TrialLock(trial)
    assert lock.acquire()
    lock.beat()
    lock.release()
    os._exit(0)

status, died = 1, -1
while status:
    died += 1
    if stale:
        trial.with_name(".r0f0.lock").write_bytes(stale)
    os.fork() or die(died)
    status = os.wait()[1]
    lock = TrialLock(trial)
    if not lock.acquire():
        sys.exit(f"blocked by one that died before step {died}")
    lock.release()
print(died)
"""


@pytest.mark.parametrize("is_stale", [False, True])
def test_a_process_that_dies_at_any_step_keeps_nobody_waiting(
    tmp_path: Path, is_stale: bool
) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    write(trial, replace(Holder.me(), pid=2**22 + 1))
    stale = tmp_path / "stale"
    trial.with_name(".r0f0.lock").rename(stale)
    if not is_stale:
        stale.write_bytes(b"")
    ended = subprocess.run(
        [sys.executable, "-c", DIE, str(trial), str(stale)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert not ended.returncode, ended.stderr
    assert int(ended.stdout) > (10 if is_stale else 6)


# Three processes take one lock again and again, and now and then one dies at some file operation
# and is replaced. The kernel's own lock, which ends with its process, is the witness that no two
# hold it.
RACE = """
import fcntl, os, random, signal, sys
from pathlib import Path
from gridfold.store.locks import TrialLock

folder, holds = Path(sys.argv[1]), int(sys.argv[2])
odds = 0.0

def perhaps_die(event, arguments):
    if event in {"open", "os.link", "os.remove", "os.utime"} and random.random() < odds:
        os.kill(os.getpid(), signal.SIGKILL)

def race():
    global odds
    random.seed()
    sys.addaudithook(perhaps_die)
    with open(folder / "witness", "ab", buffering=0) as witness:
        while os.fstat(witness.fileno()).st_size < holds:
            odds = 0.002
            lock = TrialLock(folder / "r0f0")
            if not lock.acquire():
                continue
            odds = 0.0
            try:
                fcntl.flock(witness, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os._exit(3)
            witness.write(b".")
            if random.random() < 0.1:
                os.kill(os.getpid(), signal.SIGKILL)
            fcntl.flock(witness, fcntl.LOCK_UN)
            odds = 0.002
            lock.release()
    os._exit(0)

running, deaths, doubles = 3, 0, 0
for number in range(running):
    os.fork() or race()
while running:
    status = os.wait()[1]
    if os.WIFSIGNALED(status):
        deaths += 1
        os.fork() or race()
        continue
    running -= 1
    doubles += os.WEXITSTATUS(status) != 0
print(deaths, doubles)
"""


def test_of_three_that_race_and_die_one_at_a_time_has_the_lock(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", RACE, str(tmp_path), "300"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    deaths, doubles = map(int, ended.stdout.split())
    assert doubles == 0, ended.stderr
    assert deaths > 10


def test_a_holder_that_has_ended_and_that_nobody_has_asked_how_is_gone(tmp_path: Path) -> None:
    child = os.fork() or os._exit(0)
    try:
        # It has ended, and is not yet forgotten.
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        began = psutil.Process(child).create_time()
        trial = tmp_path / "cafe" / "r0f0"
        write(trial, replace(Holder.me(), pid=child, started=began))
        assert TrialLock(trial).acquire()
    finally:
        os.waitpid(child, 0)


def test_what_is_taken_only_if_free_is_left_to_a_holder_that_is_gone(tmp_path: Path) -> None:
    trial = tmp_path / "cafe" / "r0f0"
    with hold(trial, 1000) as holder:
        assert answer(holder) == "ours"
        holder.kill()
        holder.wait()
    lock = TrialLock(trial)
    assert is_locked(trial)
    assert not lock.acquire_free()
    assert lock.acquire()
    lock.release()
    assert not is_locked(trial)
    assert lock.acquire_free()
    lock.release()

"""Who holds the lock of a trial: one at a time, and nobody who is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from workbench import (
    wait_for,
)

from gridfold.store.locks import STALE_SECONDS, Heartbeat, Holder, TrialBusy, TrialLock
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
    assert "gridfold-locks" not in [t.name for t in threading.enumerate()]

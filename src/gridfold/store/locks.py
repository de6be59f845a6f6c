"""A lock keeps two jobs from training the same trial at once.

Two jobs meet when a controller has died and was started again while its jobs still run. The lock is
a file beside the trial's folder that gets its name by ``link``, which is one step on network file
systems, too; what `flock` does there differs from site to site. It says who holds it from the
moment it is there. A lock whose holder is gone is taken over:

1. The holder ran on this machine, and its process is gone.
2. The holder was a Slurm job, and Slurm says that it doesn't run any more; or it was this very
   job before it was requeued, and has been silent for a minute and a half.
3. Neither can be asked, and the holder has not touched the file for ten minutes; it does so twice a
   minute. The file system's own clock counts.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from gridfold.atomic import make_folder, remove_abandoned, writer
from gridfold.cluster.job import job_number
from gridfold.cluster.slurm import has_processes
from gridfold.errors import GridfoldError

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 30.0
STALE_SECONDS = 600.0
# How file systems without hard links say so.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_REQUEUED_SECONDS = 3 * HEARTBEAT_SECONDS


class TrialBusy(GridfoldError):
    """Another job trains this trial."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes
    ----------
    token : str
        Random text of this lock alone.
    host : str
        Name of the machine, for people.
    machine : str
        What tells process numbers apart: start of the system and namespace. Containers of one
        host, or nodes of one name, have different ones.
    pid : int
        Number of the process.
    started : float
        When the process began, in Unix time; numbers are used again.
    job : str
        Number of its Slurm job; empty outside of one.
    """

    token: str
    host: str
    machine: str
    pid: int
    started: float
    job: str

    @classmethod
    def me(cls) -> Holder:
        """Return this process as a holder of a new lock."""
        pid = os.getpid()
        started = psutil.Process(pid).create_time()
        return cls(uuid.uuid4().hex, platform.node(), _machine(), pid, started, job_number())

    def __str__(self) -> str:
        job = f", Slurm job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


class TrialLock:
    """The lock of one trial.

    Parameters
    ----------
    folder : Path
        Of the trial.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder.with_name(f".{folder.name}.lock")
        self._mine: Holder | None = None

    def acquire(self) -> bool:
        """Take the lock, from a holder that is gone if need be; say whether it is ours."""
        make_folder(self._file.parent)
        remove_abandoned(self._file.parent, f"{self._file.name}.")
        me = Holder.me()
        while not self._create(me):
            if self.live_holder() is not None or not self._remove_stale():
                return False
        self._mine = me
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._mine is not None and _read(self._file) == self._mine:
            self._file.unlink(missing_ok=True)
        self._mine = None

    def beat(self) -> None:
        """Say that the holder is alive."""
        if self._mine is None:
            return
        if _read(self._file) != self._mine:
            log.error("%s was taken by another job though this one is alive", self._file)
            self._mine = None
            return
        with contextlib.suppress(OSError):
            os.utime(self._file)

    def live_holder(self) -> str | None:
        """Say who holds the lock and is not known to be gone; None when it is free or ours."""
        try:
            silent = self._clock() - self._file.stat().st_mtime
        except FileNotFoundError:
            return None
        holder = _read(self._file)
        if holder is None:
            # Just made and not yet written, or torn by a crash.
            return "a job that has just begun" if silent < STALE_SECONDS else None
        if holder == self._mine or _is_gone(holder, silent):
            return None
        return str(holder)

    def _create(self, me: Holder) -> bool:
        if self._file.exists():
            return False
        # Written under another name: whatever crashes, a lock says who holds it.
        written = self._beside()
        try:
            with written.open("x", encoding="utf-8") as stream:
                json.dump(asdict(me), stream)
                stream.flush()
                os.fsync(stream.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(written, self._file)
            # What counts on NFS, where the answer to a call that was done can be lost.
            return written.stat().st_nlink == 2
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._create_at_once(me)
        finally:
            written.unlink(missing_ok=True)

    def _create_at_once(self, me: Holder) -> bool:
        """Make the lock where files can't have two names; it is empty for a moment."""
        try:
            with self._file.open("x", encoding="utf-8") as stream:
                json.dump(asdict(me), stream)
        except FileExistsError:
            return False
        return True

    def _beside(self) -> Path:
        """Return a new name beside the lock."""
        return self._file.with_name(f"{self._file.name}.{writer()}-{uuid.uuid4().hex}")

    def _remove_stale(self) -> bool:
        """Remove a lock whose holder is gone; say whether it is worth another try.

        Two jobs may try this at once. One of them gets to move the file; should it by then be the
        lock that the other has just made, it goes back.
        """
        stale = _read(self._file)
        moved = self._beside()
        try:
            if self.live_holder() is not None:
                return False
            self._file.rename(moved)
        except FileNotFoundError:
            return True
        try:
            if _read(moved) == stale:
                log.warning("%s: its holder is gone (%s); taken over", self._file, stale)
                return True
            with contextlib.suppress(FileExistsError):
                os.link(moved, self._file)
            return False
        finally:
            moved.unlink(missing_ok=True)

    def _clock(self) -> float:
        """Return the time by the file system's clock, which may differ from this machine's."""
        probe = self._beside()
        probe.touch()
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink()


class Heartbeat:
    """Keeps the locks of this process fresh while the ``with`` block runs; releases them after."""

    def __init__(self) -> None:
        self._locks: dict[Path, TrialLock] = {}
        self._guard = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="gridfold-locks", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for folder in list(self._locks):
            self.release(folder)

    def acquire(self, folder: Path) -> bool:
        """Take the lock of a trial; say whether it is ours."""
        lock = TrialLock(folder)
        if not lock.acquire():
            return False
        with self._guard:
            self._locks[folder] = lock
        return True

    def release(self, folder: Path) -> None:
        """Give the lock of a trial back, if we have it."""
        with self._guard:
            lock = self._locks.pop(folder, None)
            if lock is not None:
                lock.release()

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            with self._guard:
                for lock in self._locks.values():
                    lock.beat()


@contextlib.contextmanager
def holding(folder: Path, seconds: float = 2.0) -> Iterator[None]:
    """Wait for the lock of a trial, looking every so often, and hold it in the block."""
    with Heartbeat() as heartbeat:
        while not heartbeat.acquire(folder):
            log.info("waiting for %s", TrialLock(folder).live_holder())
            time.sleep(seconds)
        yield


def held_by_other(folder: Path) -> str | None:
    """Say which live process other than this one holds the lock of a trial."""
    file = folder.with_name(f".{folder.name}.lock")
    if not file.exists():
        return None
    holder = _read(file)
    if holder and (holder.machine, holder.pid) == (_machine(), os.getpid()):
        return None
    return TrialLock(folder).live_holder()


def _is_gone(holder: Holder, silent: float) -> bool:
    if holder.machine == _machine():
        try:
            # A number that was used again belongs to a process that began later.
            began = psutil.Process(holder.pid).create_time()
        except psutil.NoSuchProcess:
            return True
        return abs(began - holder.started) > 1
    if holder.job:
        if holder.job == job_number():
            # This very job, before it was requeued. On a node that Slurm has only lost sight of it
            # may go on for a while, and then it is heard.
            return silent > _REQUEUED_SECONDS
        alive = has_processes(holder.job)
        if alive is not None:
            return not alive
    return silent > STALE_SECONDS


def _machine() -> str:
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join([platform.node(), *parts])


def _read(file: Path) -> Holder | None:
    try:
        return Holder(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None

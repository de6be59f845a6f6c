"""A lock keeps two jobs from training the same trial at once.

Two jobs meet when a controller has died and was started again while its jobs still run. The lock is
a file beside the trial's folder that says who holds it. It is complete or absent: it is written
under another name, and gets its own by a hard link, which is one step on network file systems, too;
what `flock` does there differs from site to site. Where there are no hard links (some FUSE and SMB
mounts), it is made with ``O_EXCL``, and a crash at that moment leaves one without content.

A lock whose holder is gone is taken over:

1. The holder ran on this machine, and its process is gone, or has ended and waits to be asked how.
2. The holder was a Slurm job, and Slurm says that it doesn't run any more; or it was this very
   job before it was requeued, and has been silent for a minute and a half.
3. The file doesn't say who holds it, and is a minute and a half old: a crash or a full disk has
   cut it short.
4. Nobody can be asked, and the holder has not touched the file for ten minutes; it does so twice a
   minute. The file system's own clock counts.

Only one job at a time may remove the lock of a holder that is gone: the one that holds a second
lock, which guards the first and is itself one that can be taken over.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from gridfold.atomic import make_folder, remove_abandoned, writer
from gridfold.cluster.job import job_number
from gridfold.cluster.slurm import has_processes
from gridfold.errors import GridfoldError, NotWritten

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 30.0
STALE_SECONDS = 600.0
# What is certain to be left over unless it is kept fresh.
_MISSED_SECONDS = 3 * HEARTBEAT_SECONDS

# Between questions whether the holder of a lock that is held for a moment is gone.
_QUESTION_SECONDS = 3.0

# Ending of the lock that guards another one.
_GUARD = "guard"

# What `link` answers where there are no hard links.
_NO_HARD_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


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


class _Lock:
    """A lock that is a file.

    Parameters
    ----------
    file : Path
    """

    # How loud it is said that a lock is taken over.
    _taken_over = logging.WARNING

    def __init__(self, file: Path) -> None:
        self._file = file
        self._mine: Holder | None = None

    def acquire(self) -> bool:
        """Take the lock, from a holder that is gone if need be; say whether it is ours.

        Raises
        ------
        NotWritten
            When the disk is full, or no file can be made there for another reason.
        """
        return self._acquire(from_gone=True)

    def acquire_free(self) -> bool:
        """Take the lock if nobody has it, without asking who that is; say whether it is ours.

        Raises
        ------
        NotWritten
        """
        return self._acquire(from_gone=False)

    def _acquire(self, *, from_gone: bool) -> bool:
        me = Holder.me()
        try:
            make_folder(self._file.parent)
            while not self._create(me):
                if not from_gone or self.live_holder() is not None or not self._remove_stale():
                    return False
        except OSError as error:
            raise NotWritten(self._file, error) from error
        self._mine = me
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._mine is not None and _read(self._file) == self._mine:
            try:
                self._remove()
            except OSError as error:
                # Whoever wants it may take it as soon as this process is gone.
                log.warning("%s can't be removed: %s", self._file, error.strerror)
        self._mine = None

    def _remove(self) -> None:
        """Remove the lock; twice where that fails, since a network may fail for a moment."""
        try:
            self._file.unlink(missing_ok=True)
        except OSError:
            self._file.unlink(missing_ok=True)

    def beat(self) -> None:
        """Say that the holder is alive."""
        if self._mine is None:
            return
        try:
            os.utime(self._file)
            # One that can't be read for a moment is kept fresh all the same.
            taken = _read(self._file) not in (self._mine, None)
        except FileNotFoundError:
            taken = True
        except OSError:
            return
        if taken:
            log.error("%s was taken by another job though this one is alive", self._file)
            self._mine = None

    def live_holder(self) -> str | None:
        """Say who holds the lock and is not known to be gone; None when it is free or ours."""
        holder = _read(self._file)
        if holder is not None and holder == self._mine:
            return None
        try:
            is_live = self._is_live(holder)
        except FileNotFoundError:
            return None
        if not is_live:
            return None
        return str(holder) if holder else "a job that has just begun"

    def _is_live(self, holder: Holder | None) -> bool:
        """Say whether `holder`, whom the lock names, may hold it; None if it names nobody.

        Raises
        ------
        FileNotFoundError
            When there is no lock any more.
        """
        if holder is None:
            # Where there are no hard links, it is there before it has content.
            return self._silence() < _MISSED_SECONDS
        return not _is_gone(holder, self._silence)

    def _create(self, me: Holder) -> bool:
        """Make the lock, whole; say whether it is ours."""
        if self._file.exists():
            return False
        written = self._beside(f"{writer()}-{me.token}")
        try:
            _write_new(written, me)
            try:
                os.link(written, self._file)
            except OSError as error:
                # Network file systems can make a link, lose the answer, and then say that it fails.
                if _read(self._file) == me:
                    return True
                if error.errno in _NO_HARD_LINKS:
                    return self._create_in_place(me)
                if isinstance(error, FileExistsError | FileNotFoundError):
                    # Without `written`, this process was so slow that it was swept away.
                    return False
                raise
            return True
        finally:
            written.unlink(missing_ok=True)

    def _create_in_place(self, me: Holder) -> bool:
        log.info("%s: no hard links here; the lock is made in two steps", self._file)
        try:
            _write_new(self._file, me)
        except FileExistsError:
            return False
        # Whoever is slower than a minute and a half finds it taken over.
        return _read(self._file) == me

    def _remove_stale(self) -> bool:
        """Remove a lock whose holder is gone; say whether it is worth another try.

        It is removed by the holder of the guard only, so that nobody removes one that another has
        just made after removing the same stale one.
        """
        guard = _Lock(self._beside(_GUARD))
        if not guard.acquire():
            return False
        try:
            # One that is found to be gone here stays until it is removed here.
            holder = _read(self._file)
            if self._is_live(holder):
                return False
            said = "%s: its holder is gone (%s); taken over"
            log.log(self._taken_over, said, self._file, holder or "unknown")
            self._file.unlink(missing_ok=True)
        except FileNotFoundError:
            pass
        finally:
            guard.release()
        return True

    def _tidy(self) -> None:
        """Remove what killed processes have left beside the lock, which is ours."""
        guard = self._beside(_GUARD)
        for file in (self._file, guard):
            remove_abandoned(file.parent, f"{file.name}.")
        left_over = _Lock(guard)
        with contextlib.suppress(NotWritten):
            if guard.exists() and left_over.acquire():
                left_over.release()

    def _silence(self) -> float:
        """Return for how many seconds nobody has touched the lock."""
        touched = self._file.stat().st_mtime
        return self._now() - touched

    def _now(self) -> float:
        """Return the time by the file system's clock, which may differ from this machine's."""
        probe = self._beside(f"{writer()}-{uuid.uuid4().hex}")
        try:
            probe.touch()
            return probe.stat().st_mtime
        except OSError as error:
            raise NotWritten(probe, error) from None
        finally:
            probe.unlink(missing_ok=True)

    def _beside(self, ending: str) -> Path:
        return self._file.with_name(f"{self._file.name}.{ending}")


class TrialLock(_Lock):
    """The lock of one trial.

    Parameters
    ----------
    folder : Path
        Of the trial.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(_lock_file(folder))

    def acquire(self) -> bool:
        """Take the lock as any other; and remove what killed processes have left beside it."""
        if not super().acquire():
            return False
        self._tidy()
        return True


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


@dataclass(frozen=True)
class RunHolder:
    """The Snakemake that a run lock names.

    Attributes
    ----------
    process : Holder
    is_live : bool
        Whether it runs, or is not known to be gone.
    is_here : bool
        Whether it is a process of this machine, so that nothing is guessed.
    silence : float
        For how many seconds it has given no sign of life.
    """

    process: Holder
    is_live: bool
    is_here: bool
    silence: float

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.process.started))
        return f"{self.process}, since {since}"


class RunLock(_Lock):
    """The lock of a run: held by the Snakemake that runs a study, from its start to its end.

    Attributes
    ----------
    gone : RunHolder or None
        Who had it before and was gone when it was acquired.
    """

    # Whoever holds it says so in words of its own.
    _taken_over = logging.DEBUG

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.gone: RunHolder | None = None
        self._over = threading.Event()

    def acquire(self) -> bool:
        """Take the lock as any other, and keep it fresh from a thread."""
        self.gone = self.holder()
        if not super().acquire():
            return False
        self._tidy()
        threading.Thread(target=self._keep_fresh, name="gridfold-run-lock", daemon=True).start()
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._over.set()
        super().release()

    def holder(self) -> RunHolder | None:
        """Return who holds the lock; None where nobody does, or a crash has cut it short."""
        process = _read(self._file)
        if process is None:
            return None
        try:
            try:
                silence = self._silence()
            except NotWritten:
                # Of somebody else's results. This machine's clock will do.
                silence = time.time() - self._file.stat().st_mtime
            is_live = not _is_gone(process, lambda: silence)
        except FileNotFoundError:
            return None
        return RunHolder(process, is_live, process.machine == _machine(), silence)

    def declare_gone(self, pid: int) -> None:
        """Let other machines know, too, that a process of this one has ended."""
        holder = _read(self._file)
        if holder is not None and (holder.machine, holder.pid) == (_machine(), pid):
            with contextlib.suppress(OSError):
                os.utime(self._file, (0, 0))

    def _keep_fresh(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            self.beat()


@contextlib.contextmanager
def holding(folder: Path, seconds: float = 2.0) -> Iterator[None]:
    """Wait for the lock of a trial, looking every so often, and hold it in the block."""
    with Heartbeat() as heartbeat:
        while not heartbeat.acquire(folder):
            log.info("waiting for %s", TrialLock(folder).live_holder())
            time.sleep(seconds)
        yield


@contextlib.contextmanager
def waiting_for(file: Path, seconds: float = 0.02) -> Iterator[None]:
    """Wait for a lock that others hold for a moment, looking every so often; hold it in the block.

    Parameters
    ----------
    file : Path
        The lock itself.
    seconds : float
        From one look to the next.
    """
    lock, since = _Lock(file), time.monotonic()
    while not lock.acquire_free():
        # Whether its holder is gone may be a question to Slurm, so it is asked seldom.
        if time.monotonic() - since > _QUESTION_SECONDS:
            if lock.acquire():
                break
            since = time.monotonic()
        time.sleep(seconds)
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Tell whether there is a lock of a trial, whoever holds it and whether or not they live."""
    return _lock_file(folder).exists()


def is_left_alone(folder: Path) -> bool:
    """Tell whether nobody holds the lock of a trial, or has left anything beside it."""
    lock = _lock_file(folder).name
    return not any(name.startswith(lock) for name in os.listdir(folder.parent))


def held_by_other(folder: Path) -> str | None:
    """Say which live process other than this one holds the lock of a trial."""
    holder = _read(_lock_file(folder))
    if holder and (holder.machine, holder.pid) == (_machine(), os.getpid()):
        return None
    return TrialLock(folder).live_holder()


def _is_gone(holder: Holder, silence: Callable[[], float]) -> bool:
    if holder.machine == _machine():
        try:
            process = psutil.Process(holder.pid)
            # A number that was used again belongs to a process that began later.
            if abs(process.create_time() - holder.started) > 1:
                return True
            # It has ended, but nobody has asked how; in some containers nobody ever does.
            return process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True
    if holder.job:
        if holder.job == job_number():
            # This very job, before it was requeued. On a node that Slurm has only lost sight of it
            # may go on for a while, and then it is heard.
            return silence() > _MISSED_SECONDS
        alive = has_processes(holder.job)
        if alive is not None:
            return not alive
    return silence() > STALE_SECONDS


def _machine() -> str:
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join([platform.node(), *parts])


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _write_new(file: Path, holder: Holder) -> None:
    """Write a file that isn't there yet; leave nothing behind if that fails half-way."""
    with file.open("xb") as stream:
        try:
            stream.write(msgspec.json.encode(holder))
            stream.flush()
            # A full disk of a network may show only now.
            os.fsync(stream.fileno())
        except OSError:
            file.unlink(missing_ok=True)
            raise


def _read(file: Path) -> Holder | None:
    """Return the holder that a lock names; None when there is none, or it can't be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None

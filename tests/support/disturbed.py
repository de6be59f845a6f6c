"""Runs a function in a process of its own and disturbs it at one system call, or only watches it.

What is disturbed is named by what it does, not by a number: the kind of call, the file below the
watched folder, and whether it is the first, second, ... of these. So the place is the same in each
run, in whichever process and thread it comes.

A failure of power ends all processes at once, before the call is done, and takes from the disk what
was never synced (:class:`UnsyncedLoss`).
"""

from __future__ import annotations

import collections
import ctypes
import errno
import os
import re
import select
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from syscalls import Call, Listener, listener_from, watch_from_here

KILL, EIO, ENOSPC = "kill", "EIO", "ENOSPC"
# Both end everything; the second also takes names that were given to files, where the folder was
# not synced since.
POWER, POWER_AND_NAMES = "power", "power-names"
KINDS = (KILL, EIO, ENOSPC, POWER, POWER_AND_NAMES)
# What a full disk refuses. A sync can say so of what was written before it.
_GROWING = frozenset({"write", "open", "mkdir", "link", "rename", "ftruncate"})
_FULL = _GROWING | {"fsync"}
# What differs from run to run in the names of files.
_VARYING = (
    (re.compile(r"[0-9a-f]{32}"), "HEX"),
    (re.compile(r"-\d{10}-\d+(?=\.jsonl$)"), "-TIME-PROCESS"),
    (re.compile(r"(?<=\.)[0-9a-f]{8}-\d+(?=[.-])"), "PROCESS"),
)
# What is left after the end of the first process ends by itself, or not at all.
_LOOK_SECONDS = 0.05
# Of the call `prctl`.
_END_WITH_PARENT, _SUBREAPER = 1, 36


@dataclass(frozen=True, order=True)
class Place:
    """One call of a run.

    Attributes
    ----------
    call : str
        Kind of call, such as ``rename``.
    path : str
        The file below the watched folder, without process numbers; of a renaming, the new name.
    occurrence : int
        Which of these calls, from 1.
    """

    call: str
    path: str
    occurrence: int

    def __str__(self) -> str:
        return f"{self.call} {self.path} {self.occurrence}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Return the place that its text names."""
        call, path, occurrence = text.split(" ")
        return cls(call, path, int(occurrence))

    def kinds(self) -> tuple[str, ...]:
        """Return what can happen here."""
        return tuple(kind for kind in KINDS if kind != ENOSPC or self.call in _FULL)


@dataclass(frozen=True)
class Fault:
    """What happens where."""

    place: Place
    kind: str


@dataclass
class Run:
    """How a run went.

    Attributes
    ----------
    places : list of Place
        Every call below the watched folder, in order.
    code : int
        Exit code of the first process, -N after signal N.
    said : str
        What it and its children have printed.
    reached : bool
        Whether the fault came about.
    hung : bool
        Whether it had to be ended.
    """

    places: list[Place] = field(default_factory=list)
    code: int = 0
    said: str = ""
    reached: bool = False
    hung: bool = False


class UnsyncedLoss:
    """What a failure of power may take from the files of a folder.

    The model, as POSIX allows it and file systems have done it:

    - What was written to a file since its last ``fsync`` is gone: it has its length of then, zero
      if it is new. So a file that was written and renamed without ``fsync`` is empty.
    - New names, renamings and removals are undone, the last one first, unless the folder was synced
      after it. A folder that is taken away takes along what is in it.

    Parameters
    ----------
    root : Path
        Folder whose files are watched.
    store : Path
        Where what is replaced or removed is kept; on the same disk.
    """

    def __init__(self, root: Path, store: Path) -> None:
        self._root, self._store = root, store
        # Length of each file with content that is not synced, when it last was.
        self._lengths: dict[str, int] = {}
        # What names were given or taken: paths, and what undoes it.
        self._pending: list[tuple[tuple[str, ...], Callable[[], None]]] = []

    def see(self, call: Call) -> None:
        """Take note of a call that is about to be done."""
        path = call.paths[-1]
        if call.family == "open":
            is_new = not os.path.exists(path)
            if is_new and call.flags & os.O_CREAT:
                self._lengths[path] = 0
                self._pending.append(((path,), lambda: _remove(path)))
            elif call.flags & os.O_TRUNC and not is_new:
                self._lengths[path] = 0
        elif call.family in ("write", "ftruncate"):
            if path not in self._lengths and os.path.isfile(path):
                self._lengths[path] = os.path.getsize(path)
        elif call.family == "fsync":
            self._lengths.pop(path, None)
            self._pending = [
                (paths, undo)
                for paths, undo in self._pending
                if path not in map(os.path.dirname, paths)
            ]
        elif call.family == "rename":
            self._see_renaming(*call.paths)
        elif call.family in ("mkdir", "link") and not os.path.exists(path):
            self._pending.append(((path,), lambda: _remove(path)))
        elif call.family == "unlink" and os.path.isfile(path):
            kept = self._keep(path)
            self._pending.append(((path,), lambda: _put(kept, path)))
            self._lengths.pop(path, None)

    def _see_renaming(self, old: str, new: str) -> None:
        if not os.path.exists(old):
            return
        kept = self._keep(new) if os.path.isfile(new) else None

        def undo() -> None:
            if os.path.exists(new):
                os.rename(new, old)
            if kept is not None:
                _put(kept, new)

        self._pending.append(((old, new), undo))
        self._lengths.pop(new, None)
        for path in [p for p in self._lengths if p == old or p.startswith(f"{old}/")]:
            self._lengths[new + path.removeprefix(old)] = self._lengths.pop(path)

    def _keep(self, path: str) -> Path:
        self._store.mkdir(parents=True, exist_ok=True)
        kept = self._store / str(len(os.listdir(self._store)))
        os.link(path, kept)
        return kept

    def synced(self) -> frozenset[str]:
        """Return the files, relative to the folder, that would survive as they are."""
        unsure = {path for paths, _ in self._pending for path in paths}
        files = (str(file) for file in self._root.rglob("*") if file.is_file())
        return frozenset(
            os.path.relpath(file, self._root)
            for file in files
            if file not in self._lengths and not _is_or_is_in(file, unsure)
        )

    def happen(self, *, with_names: bool) -> None:
        """Take it away."""
        for path, length in self._lengths.items():
            if os.path.isfile(path):
                os.truncate(path, length)
        if with_names:
            for _, undo in reversed(self._pending):
                undo()


def _is_or_is_in(file: str, paths: set[str]) -> bool:
    return file in paths or any(str(folder) in paths for folder in Path(file).parents)


def _remove(path: str) -> None:
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _put(kept: Path, path: str) -> None:
    # Where the folder is gone, too, there is nowhere to put it.
    if os.path.isdir(os.path.dirname(path)):
        os.replace(kept, path)


# Is told, when the fault comes, which files below the folder are on disk with their names: the
# others need not survive a failure of power.
AtFault = Callable[[frozenset[str]], None]


def run(
    action: Callable[[], None],
    root: Path,
    seconds: float,
    fault: Fault | None = None,
    at_fault: AtFault = lambda synced: None,
) -> Run:
    """Run `action` in a fork and watch its calls below a folder, those of its children included.

    Parameters
    ----------
    action : callable
        Should end by itself; the exit code is that of :class:`SystemExit`, or 0.
    root : Path
        The watched folder, as the processes see it: without links.
    seconds : float
        After which it is taken for hung, and ended.
    fault : Fault, optional
    at_fault : callable
        Called before the fault comes about, while the call waits.
    """
    output = root.parent / "said.txt"
    ours, theirs = socket.socketpair()
    _adopt_orphans()
    child = os.fork()
    if not child:
        ours.close()
        _become(action, output, theirs)
    theirs.close()
    listener = Listener(listener_from(ours))
    ours.close()
    try:
        watch = _Watch(listener, child, root, fault, at_fault)
        found = watch.follow(time.monotonic() + seconds)
    finally:
        _end_session(child)
        listener.close()
        found_code = _reap(child)
    if watch.code is None:
        watch.code = found_code
    found.code = watch.code if watch.code is not None else -signal.SIGKILL
    found.said = output.read_text(encoding="utf-8", errors="replace")
    output.unlink()
    shutil.rmtree(watch.store, ignore_errors=True)
    return found


def _become(action: Callable[[], None], output: Path, channel: socket.socket) -> None:
    """Be the first process of a run."""
    code = 1
    try:
        end_with_parent()
        os.setsid()
        stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for number in (1, 2):
            os.dup2(stream, number)
        watch_from_here(channel)
        channel.close()
        action()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class _Watch:
    """Decides about each call of a run."""

    def __init__(
        self,
        listener: Listener,
        child: int,
        root: Path,
        fault: Fault | None,
        at_fault: AtFault,
    ) -> None:
        self._listener, self._child, self._root = listener, child, str(root)
        self._fault, self._at_fault = fault, at_fault
        self.store = root.parent / "replaced"
        self._loss = UnsyncedLoss(root, self.store)
        self._counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self._is_full = False
        self._run = Run()
        self.code: int | None = None

    def follow(self, deadline: float) -> Run:
        """Answer calls until all processes have ended."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        while True:
            events = poll.poll(1000 * _LOOK_SECONDS)
            if not events:
                self.code = _reap(self._child) if self.code is None else self.code
                _reap_orphans(self._child)
            elif events[0][1] & select.POLLIN:
                call = self._listener.receive()
                if call is not None and not self._decide(call):
                    return self._run
            elif events[0][1] & select.POLLHUP:
                return self._run
            if time.monotonic() > deadline:
                self._run.hung = True
                return self._run

    def _decide(self, call: Call) -> bool:
        """Answer a call; False when the power has failed."""
        if not f"{call.paths[-1]}/".startswith(f"{self._root}/"):
            self._listener.let(call)
            return True
        place = self._place(call)
        self._run.places.append(place)
        fault = self._fault
        if fault is not None and place == fault.place:
            self._run.reached = True
            self._at_fault(self._loss.synced())
            if fault.kind in (POWER, POWER_AND_NAMES):
                _end_session(self._child)
                self._loss.happen(with_names=fault.kind == POWER_AND_NAMES)
                return False
            if fault.kind == KILL:
                self._listener.kill(call)
                return True
            self._is_full = fault.kind == ENOSPC
            self._listener.refuse(call, getattr(errno, fault.kind))
            return True
        if self._is_full and self._needs_room(call):
            self._listener.refuse(call, errno.ENOSPC)
            return True
        self._loss.see(call)
        self._listener.let(call)
        return True

    def _place(self, call: Call) -> Place:
        path = named(call.paths[-1], self._root)
        self._counts[call.family, path] += 1
        return Place(call.family, path, self._counts[call.family, path])

    def _needs_room(self, call: Call) -> bool:
        if call.family == "open":
            return not os.path.exists(call.paths[-1])
        return call.family in ("write", "mkdir", "link")


def named(path: str, root: Path | str) -> str:
    """Return how a file below a folder is called in each run."""
    name = os.path.relpath(path.removesuffix(" (deleted)"), root)
    for pattern, word in _VARYING:
        name = pattern.sub(word, name)
    return name


def end_with_parent() -> None:
    """Have this process end when the one that forked it does."""
    ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)


def _adopt_orphans() -> None:
    """Have orphans of the run come to this process, so that none is left."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _reap(child: int) -> int | None:
    try:
        found, status = os.waitpid(child, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if found else None


def _reap_orphans(child: int) -> None:
    """Let what has come here rest, but for the first process, whose code is asked for."""
    for process in _session(child, dead=True):
        if process != child:
            try:
                os.waitpid(process, os.WNOHANG)
            except ChildProcessError:
                continue


def _end_session(leader: int) -> None:
    """Kill all processes of a run and wait until they have ended."""
    while alive := _session(leader):
        for process in alive:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.002)
    _reap_orphans(leader)


def _session(leader: int, *, dead: bool = False) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as stream:
                    fields = stream.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader and (fields[0] in "ZX") == dead:
                found.append(int(name))
    return found

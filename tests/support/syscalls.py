"""Stops processes at each system call that changes files, and decides what becomes of the call.

The kernel does it (``seccomp`` with user notification, Linux 5.19 and later): the filter is
inherited by all that a process starts, and the calls of C libraries (NumPy's, Arrow's and HDF5's
writers) are seen like those of Python. A library put before the C library (``LD_PRELOAD``) would
miss what is written by ``fwrite``, as NumPy does. ``strace`` would do, and sees the same calls (a
test compares them), but it can't aim at the second writing of a file whose name has a process
number: it counts calls for each thread.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import os
import platform
import re
import signal
import socket
import struct
from dataclasses import dataclass

# Of x86-64, from <asm/unistd_64.h>.
CALLS = {
    "write": 1,
    "pwrite64": 18,
    "writev": 20,
    "pwritev": 296,
    "copy_file_range": 326,
    "sendfile": 40,
    "open": 2,
    "creat": 85,
    "openat": 257,
    "fsync": 74,
    "fdatasync": 75,
    "truncate": 76,
    "ftruncate": 77,
    "fallocate": 285,
    "rename": 82,
    "renameat": 264,
    "renameat2": 316,
    "mkdir": 83,
    "mkdirat": 258,
    "rmdir": 84,
    "link": 86,
    "linkat": 265,
    "symlink": 88,
    "symlinkat": 266,
    "unlink": 87,
    "unlinkat": 263,
    "utimensat": 280,
}
_NAMES = {number: name for name, number in CALLS.items()}
# Where the arguments of a call name files: (descriptor of the folder or None, path), by places.
_PATHS: dict[str, tuple[tuple[int | None, int], ...]] = {
    "open": ((None, 0),),
    "creat": ((None, 0),),
    "openat": ((0, 1),),
    "truncate": ((None, 0),),
    "rename": ((None, 0), (None, 1)),
    "renameat": ((0, 1), (2, 3)),
    "renameat2": ((0, 1), (2, 3)),
    "mkdir": ((None, 0),),
    "mkdirat": ((0, 1),),
    "rmdir": ((None, 0),),
    "link": ((None, 0), (None, 1)),
    "linkat": ((0, 1), (2, 3)),
    "symlink": ((None, 1),),
    "symlinkat": ((1, 2),),
    "unlink": ((None, 0),),
    "unlinkat": ((0, 1),),
    "utimensat": ((0, 1),),
}
# All others name one by a descriptor; where it is not the first argument, its place.
_DESCRIPTOR = {"copy_file_range": 2}
# One name for calls that do the same.
_FAMILY = {
    "open": "open",
    "creat": "open",
    "openat": "open",
    "pwrite64": "write",
    "writev": "write",
    "pwritev": "write",
    "copy_file_range": "write",
    "sendfile": "write",
    "fdatasync": "fsync",
    "truncate": "ftruncate",
    "fallocate": "ftruncate",
    "renameat": "rename",
    "renameat2": "rename",
    "mkdirat": "mkdir",
    "linkat": "link",
    "symlink": "link",
    "symlinkat": "link",
    "unlinkat": "unlink",
    "rmdir": "unlink",
}
_AT_FDCWD = -100
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

_ARCHITECTURE = 0xC000003E
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_SECCOMP, _SET_FILTER = 317, 1
# A listener; and no call is reported twice because a signal came (Linux 5.19).
_NEW_LISTENER, _WAIT_KILLABLE = 8, 32
_PR_SET_NO_NEW_PRIVS = 38
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_NOTICE = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_LONGEST_PATH = 4096


def missing() -> str:
    """Return what this machine lacks for it; empty if nothing."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "Linux on x86-64 is needed"
    release = tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2])
    return "" if release >= (5, 19) else "Linux 5.19 or later is needed"


@dataclass(frozen=True)
class Call:
    """A system call that waits for a decision.

    Attributes
    ----------
    number : int
        Of the notice, for the answer.
    process : int
        Number of the process, not of the thread.
    name, family : str
        Name of the call, and of the kind of calls that it belongs to.
    paths : tuple of str
        Absolute paths of the files that it is about; two for a renaming or a link.
    flags : int
        Of an opening; 0 for other calls.
    """

    number: int
    process: int
    name: str
    family: str
    paths: tuple[str, ...]
    flags: int = 0


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("if_true", ctypes.c_ubyte),
        ("if_false", ctypes.c_ubyte),
        ("value", ctypes.c_uint),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def watch_from_here(channel: socket.socket) -> None:
    """Have this process and all that it starts stop at calls.

    Parameters
    ----------
    channel : socket
        Through which the listener is sent, for :func:`listener_from`.
    """
    program = _program()
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener = library.syscall(
        _SECCOMP, _SET_FILTER, _NEW_LISTENER | _WAIT_KILLABLE, ctypes.byref(program)
    )
    if listener < 0:
        raise OSError(ctypes.get_errno(), "the system calls can't be watched")
    # Not `write`, which would wait for the answer of who has no listener yet.
    socket.send_fds(channel, [b"l"], [listener])
    os.close(listener)


def listener_from(channel: socket.socket) -> int:
    """Return the listener that :func:`watch_from_here` has sent."""
    _, descriptors, *_ = socket.recv_fds(channel, 1, 1)
    return int(descriptors[0])


def _program() -> _Program:
    load, equal, any_bit, answer = 0x20, 0x15, 0x45, 0x06
    opens = {"open": 1, "openat": 2}
    plain = [number for name, number in CALLS.items() if name not in opens]
    steps: list[tuple[int, int, int, int]] = [
        (load, 0, 0, 4),
        (equal, 1, 0, _ARCHITECTURE),
        (answer, 0, 0, _ALLOW),
        (load, 0, 0, 0),
    ]
    for name, argument in opens.items():
        # Only what may write.
        steps += [
            (equal, 0, 4, CALLS[name]),
            (load, 0, 0, 16 + 8 * argument),
            (any_bit, 0, 1, _WRITING),
            (answer, 0, 0, _NOTIFY),
            (answer, 0, 0, _ALLOW),
        ]
    for number in plain:
        steps += [(equal, 0, 1, number), (answer, 0, 0, _NOTIFY)]
    steps.append((answer, 0, 0, _ALLOW))
    instructions = (_Instruction * len(steps))(*(_Instruction(*step) for step in steps))
    return _Program(len(steps), instructions)


class Listener:
    """The end of the line at which calls arrive.

    Parameters
    ----------
    descriptor : int
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def fileno(self) -> int:
        return self.descriptor

    def receive(self) -> Call | None:
        """Return a call that waits; None where its process has just ended."""
        buffer = array.array("B", bytes(_NOTICE.size))
        try:
            fcntl.ioctl(self.descriptor, _RECEIVE, buffer)
        except FileNotFoundError:
            return None
        number, thread, _, call, _, _, *arguments = _NOTICE.unpack(buffer)
        name = _NAMES[call]
        try:
            paths = _paths(thread, name, arguments)
            process = _process(thread)
        except OSError:
            # Killed meanwhile.
            return None
        flags = 0
        if name in ("open", "openat", "creat"):
            flags = _WRITING if name == "creat" else arguments[1 if name == "open" else 2]
        return Call(number, process, name, _FAMILY.get(name, name), paths, flags & 0xFFFFFFFF)

    def let(self, call: Call) -> None:
        """Let the call be done."""
        self._answer(call, 0, _CONTINUE)

    def refuse(self, call: Call, error: int) -> None:
        """Let the call fail with an error, without being done."""
        self._answer(call, -error, 0)

    def kill(self, call: Call) -> None:
        """Kill the process before the call is done."""
        os.kill(call.process, signal.SIGKILL)

    def _answer(self, call: Call, error: int, flags: int) -> None:
        try:
            fcntl.ioctl(self.descriptor, _SEND, _ANSWER.pack(call.number, 0, error, flags))
        except FileNotFoundError:
            # The process has ended.
            return

    def close(self) -> None:
        os.close(self.descriptor)


def _process(thread: int) -> int:
    with open(f"/proc/{thread}/status", encoding="ascii", errors="replace") as stream:
        for line in stream:
            if line.startswith("Tgid:"):
                return int(line.split()[1])
    raise ProcessLookupError(thread)


def _paths(thread: int, name: str, arguments: list[int]) -> tuple[str, ...]:
    if name not in _PATHS:
        return (os.readlink(f"/proc/{thread}/fd/{_signed(arguments[_DESCRIPTOR.get(name, 0)])}"),)
    found = []
    for folder, place in _PATHS[name]:
        if name == "utimensat" and arguments[place] == 0:
            # By its descriptor alone.
            found.append(os.readlink(f"/proc/{thread}/fd/{_signed(arguments[0])}"))
            continue
        path = _text(thread, arguments[place])
        if not path.startswith("/"):
            number = _AT_FDCWD if folder is None else _signed(arguments[folder])
            start = "cwd" if number == _AT_FDCWD else f"fd/{number}"
            path = os.path.join(os.readlink(f"/proc/{thread}/{start}"), path)
        found.append(os.path.normpath(path))
    return tuple(found)


def _signed(argument: int) -> int:
    return ctypes.c_int(argument & 0xFFFFFFFF).value


def _text(thread: int, address: int) -> str:
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        found = b""
        while b"\0" not in found and len(found) < _LONGEST_PATH:
            # Not beyond the page, which may be the last one.
            size = 4096 - (address + len(found)) % 4096
            memory.seek(address + len(found))
            piece = memory.read(min(size, 256))
            if not piece:
                break
            found += piece
    return os.fsdecode(found.partition(b"\0")[0])

"""A fork server imports libraries once and forks a process for each piece of work.

Importing TensorFlow takes seconds, a fork of a process that has done it takes milliseconds and
shares no state with other forks. As :mod:`multiprocessing.forkserver`, but one server can serve
several jobs: on one machine Snakemake starts it (:class:`SharedServer`), so that the import is over
when data and splits are prepared and no job waits for it again, as with the persistent workers of
build systems. A job that finds no server, as every one on a cluster, starts its own.

A second server has what tables, figures and the report need (:class:`Libraries`): pandas, SciPy,
scikit-learn and Matplotlib take most of the second that such a job would last.

Who asks for a fork sends file descriptors over a Unix socket (``SCM_RIGHTS``): the end of a
connection where the work is read from, what it prints to, and where the server tells how it ended.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import pickle
import platform
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from stat import S_ISDIR
from typing import Any

from gridfold.errors import EXIT_CONTINUE, GridfoldError

# What ends a job. Its own process decides what that means for its forks.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
ADDRESS = "GRIDFOLD_FORK_SERVER"


@dataclass(frozen=True)
class Libraries:
    """What a server has imported before it forks.

    Attributes
    ----------
    module : str
        The module that imports them.
    address : str
        The environment variable in which jobs find the address of a shared server with them.
    """

    module: str
    address: str


TRAINING = Libraries("gridfold.jobs.preloaded", ADDRESS)
TABLES = Libraries("gridfold.workflow.preloaded", "GRIDFOLD_TABLE_SERVER")

_THIS = "gridfold.jobs.fork_server"
_DESCRIPTORS = 3
# In seconds; how long it may take from the folder of a server to its listening there.
_YOUNG = 60.0
_NUMBER = struct.Struct("!i")
# What `multiprocessing` says where the exit code was lost with the server.
_UNKNOWN_EXIT_CODE = 255
# Snakemake sets these for each job, all to the same number.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class ForkServerFailed(GridfoldError):
    """The fork server ended, most likely because TensorFlow can't be imported."""


class Fork:
    """A process that a server has forked.

    Attributes
    ----------
    connection : Connection
        To the process, which ends when this is closed.
    pid : int
        Number of the process.
    """

    def __init__(self, connection: Connection, pid: int, status: int) -> None:
        self.connection = connection
        self.pid = pid
        self._status = status
        self._exit_code: int | None = None

    def join(self, patience: float | None = None) -> int:
        """Wait until the process has ended and return its exit code, -N after signal N.

        Parameters
        ----------
        patience : float, optional
            Seconds after which it is ended; without, this waits for ever.
        """
        if patience is not None and self._exit_code is None and not wait([self._status], patience):
            self.kill()
        if self._exit_code is None:
            code = _read_number(self._status)
            os.close(self._status)
            self._exit_code = _UNKNOWN_EXIT_CODE if code is None else code
        return self._exit_code

    def kill(self) -> None:
        """End the process as SIGKILL does."""
        self.tell(signal.SIGKILL)

    def tell(self, number: int) -> None:
        """Send a signal to the process, if it is still there."""
        if self._exit_code is None and not wait([self._status], timeout=0):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class ForkServer:
    """The fork server of a job: the shared one, or else one of its own that ends with the block.

    Parameters
    ----------
    channel : socket, optional
        To the shared one, where that has been reached already.
    libraries : Libraries
    """

    def __init__(
        self, channel: socket.socket | None = None, libraries: Libraries = TRAINING
    ) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._libraries = libraries
        self._channel = channel or _shared_channel(libraries) or self._own_channel()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        self._channel.close()
        if self._process is not None:
            # It may still be importing.
            self._process.kill()
            self._process.wait()

    @property
    def is_shared(self) -> bool:
        """Whether its forks are not below this process."""
        return self._process is None

    def _own_channel(self) -> socket.socket:
        self._process, channel = _launch(self._libraries, None, output=None, environment={})
        return channel

    def start(self, target: Callable[..., None], *args: Any, output: int) -> Fork:
        """Call ``target(connection, *args)`` in a fork, in the environment of this process.

        Parameters
        ----------
        target : callable
            Of a module, as for :mod:`pickle`.
        *args
        output : int
            File descriptor to which the fork prints.

        Raises
        ------
        ForkServerFailed
        """
        work = pickle.dumps((target, args))
        fork = self._ask(work, output)
        if fork is None:
            # It was lost, as when memory runs out.
            self._leave()
            self._channel = self._own_channel()
            fork = self._ask(work, output)
        if fork is None:
            what = "TensorFlow" if self._libraries is TRAINING else self._libraries.module
            raise ForkServerFailed(f"{what} could not be imported; the reason is above")
        return fork

    def _ask(self, work: bytes, output: int) -> Fork | None:
        ours, theirs = Pipe()
        status, status_of_server = os.pipe()
        try:
            descriptors = [theirs.fileno(), output, status_of_server]
            socket.send_fds(self._channel, [b"f"], descriptors)
        except OSError:
            descriptors = []
        theirs.close()
        os.close(status_of_server)
        # Comes when TensorFlow is imported, and not at all from a server that has ended.
        pid = _read_number(status) if descriptors else None
        if pid is None:
            ours.close()
            os.close(status)
            return None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            ours.send((dict(os.environ), os.getcwd(), sys.path))
            ours.send_bytes(work)
        return Fork(ours, pid, status)


def run(
    target: Callable[..., None],
    *args: Any,
    libraries: Libraries = TRAINING,
    passes_signals_on: bool = False,
) -> None:
    """Call ``target(*args)`` in a fork of the shared server, or here where there is none.

    A fork's exit code becomes that of this process.

    Parameters
    ----------
    target : callable
    *args
    libraries : Libraries
    passes_signals_on : bool
        Whether the fork hears of the signals that end a job. Otherwise it ends with this process.
    """
    channel = _shared_channel(libraries)
    if channel is None:
        target(*args)
        return
    with ForkServer(channel, libraries) as server:
        # None is lost while the fork begins.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        fork = server.start(_call, target, args, output=2)
        if passes_signals_on:
            for number in STOP_SIGNALS:
                signal.signal(number, lambda number, _: fork.tell(number))
        else:
            # The fork ends with this process, which has nothing to say about a Ctrl-C.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        code = fork.join()
    if code == _UNKNOWN_EXIT_CODE:
        print("[gridfold] the process that had started this job has ended", file=sys.stderr)
    sys.exit(code if code >= 0 else 128 - code)


def _call(connection: Connection, target: Callable[..., None], args: tuple[Any, ...]) -> None:
    # As in a process of its own; the server, and its forks, hear nothing of them.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    target(*args)


class SharedServer:
    """The server of all jobs on this machine that this process and its children start."""

    def __init__(self, libraries: Libraries = TRAINING) -> None:
        self._libraries = libraries
        self._channel: socket.socket | None = None
        # Kept, since Python warns of a child that nobody remembers.
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, threads: int) -> None:
        """Start it, where this process has not inherited one; it may take seconds until it answers.

        Parameters
        ----------
        threads : int
            That linear algebra uses in most forks; those of a job with another number, which its
            environment says, take a moment longer.
        """
        if (found := _shared_channel(self._libraries)) is not None:
            # This process is a child of one that has started it.
            found.close()
            return
        # Nobody else may ask for forks: they would run as this user.
        sweep()
        folder = tempfile.mkdtemp(prefix=f"{_mark()}{_host()}-")
        address = str(Path(folder) / "forks")
        with socket.socket(socket.AF_UNIX) as listener:
            try:
                listener.bind(address)
            except OSError:
                # The path of the temporary folder is too long for a socket. Jobs manage alone.
                os.rmdir(folder)
                return
            listener.listen()
            # What it has to say is said again by the job that has to do without it.
            environment = dict.fromkeys(_THREAD_VARIABLES, str(threads))
            self._process, self._channel = _launch(
                self._libraries, listener, output=subprocess.DEVNULL, environment=environment
            )
        os.environ[self._libraries.address] = address

    def cancel(self) -> None:
        """End it at once, where this process has started it and no job will want it."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        shutil.rmtree(Path(os.environ[self._libraries.address]).parent, ignore_errors=True)
        self.stop()

    def stop(self) -> None:
        """Let it end when the last job has."""
        if self._channel is not None:
            os.environ.pop(self._libraries.address, None)
            self._channel.close()


def _shared_channel(libraries: Libraries = TRAINING) -> socket.socket | None:
    address = os.environ.get(libraries.address)
    if address is None or not Path(address).parent.name.startswith(_mark()):
        return None
    channel = socket.socket(socket.AF_UNIX)
    try:
        channel.connect(address)
    except OSError:
        channel.close()
        return None
    return channel


def _mark() -> str:
    """Return how the folder of a server is called whose forks are of this Python and this code."""
    return f"gridfold-{zlib.crc32(f'{sys.executable} {__file__}'.encode()):08x}-"


def _host() -> str:
    # Temporary folders may be shared by machines, and a socket answers on its own one alone.
    return f"{zlib.crc32(platform.node().encode()):08x}"


def sweep() -> None:
    """Remove the folders of servers of this user on this machine that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"gridfold-????????-{_host()}-*"):
        with contextlib.suppress(OSError):
            stat = folder.lstat()
            is_ours = S_ISDIR(stat.st_mode) and stat.st_uid == os.geteuid()
            # A younger one may be that of a server which is just being started.
            if is_ours and time.time() - stat.st_mtime > _YOUNG and not _answers(folder / "forks"):
                shutil.rmtree(folder)


def _answers(address: Path) -> bool:
    """Tell whether anybody listens at an address, or may do so."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(1)
        try:
            channel.connect(str(address))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _launch(
    libraries: Libraries,
    listener: socket.socket | None,
    output: int | None,
    environment: Mapping[str, str],
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    sockets = [theirs] if listener is None else [theirs, listener]
    numbers = [each.fileno() for each in sockets]
    # Blocked until the server ignores them: they reach all processes of a job.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        process = subprocess.Popen(
            # -P: a file of the working directory must not be taken for a module of Python.
            [sys.executable, "-P", "-m", _THIS, libraries.module, *map(str, numbers)],
            pass_fds=numbers,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return process, ours


def _read_number(descriptor: int) -> int | None:
    """Wait for a number; None when the other end is closed."""
    found = os.read(descriptor, _NUMBER.size)
    return _NUMBER.unpack(found)[0] if len(found) == _NUMBER.size else None


class _Server:
    """The server's side.

    Parameters
    ----------
    channel : int
        Of the process that started it.
    listener : int, optional
        Where others get channels of their own.
    """

    def __init__(self, channel: int, listener: int | None = None) -> None:
        self._channels = [socket.socket(fileno=channel)]
        self._listeners = [] if listener is None else [socket.socket(fileno=listener)]
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self._forks: dict[int, int] = {}

    def serve(self) -> None:
        """Fork what is asked for, until nobody is left who could ask."""
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while self._channels:
            ready = wait([self._wake, *self._listeners, *self._channels])
            for listener in [each for each in self._listeners if each in ready]:
                self._channels.append(listener.accept()[0])
            for channel in [each for each in self._channels if each in ready]:
                self._answer(channel)
            if self._wake in ready:
                os.read(self._wake, 4096)
            self._tell_ends()

    def close(self) -> None:
        """Remove the address."""
        for listener in self._listeners:
            shutil.rmtree(Path(listener.getsockname()).parent, ignore_errors=True)

    def _answer(self, channel: socket.socket) -> None:
        try:
            asked, descriptors, *_ = socket.recv_fds(channel, 1, _DESCRIPTORS)
        except ConnectionResetError:
            asked, descriptors = b"", []
        if not asked:
            self._channels.remove(channel)
            channel.close()
            return
        connection, output, status = descriptors
        # Not by `multiprocessing`, which waits for all children that have ended when it starts
        # another one: their exit codes and their numbers would be gone before `_tell_ends`.
        try:
            pid = os.fork()
        except OSError as error:
            # Too many processes, or no memory: for this job, others keep theirs.
            print(f"[gridfold] can't start a process: {error.strerror}", file=sys.stderr)
            for each in descriptors:
                os.close(each)
            return
        if pid == 0:
            os._exit(_exit_code_of(self._become, connection, output, status))
        os.close(connection)
        os.close(output)
        self._forks[pid] = status
        _tell(status, pid)

    def _tell_ends(self) -> None:
        for pid in [each for each in self._forks if _has_ended(each)]:
            # While its number is still taken: no stranger's processes can have it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            _, how = os.waitpid(pid, 0)
            status = self._forks.pop(pid)
            _tell(status, os.waitstatus_to_exitcode(how))
            os.close(status)

    def _become(self, connection: int, output: int, status: int) -> None:
        """Do the work; runs in the fork."""
        # What the work starts and leaves behind ends with it, see `_tell_ends`.
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Whoever waits for the end of these must not wait for this process.
        for each in (*self._channels, *self._listeners):
            each.close()
        for descriptor in (self._wake, self._waker, status, *self._forks.values()):
            os.close(descriptor)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.close(output)
        starter = Connection(connection)
        try:
            _become_like(*starter.recv())
            target, args = starter.recv()
        except EOFError:
            os._exit(EXIT_CONTINUE)
        threading.Thread(target=_end_with, args=(starter,), daemon=True).start()
        # As Python 3.14 does: what the work wants done at its end (files that AutoGraph has written
        # are removed, trackers of users send their last lines), and not what the server wants.
        atexit._clear()
        code = _exit_code_of(target, starter, *args)
        atexit._run_exitfuncs()
        flush_output()
        # Threads and children that the work has left would keep Python from its end.
        os._exit(code)


def flush_output() -> None:
    """Let out what this process has printed, as far as its streams are still open."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _exit_code_of(target: Callable[..., None], *args: Any) -> int:
    """Call a function, and return what the exit code of a program would be that does nothing else.

    An exception is printed, as Python does it.
    """
    try:
        target(*args)
    except SystemExit as exit_:
        if exit_.code is None or isinstance(exit_.code, int):
            return exit_.code or 0
        print(exit_.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _has_ended(pid: int) -> bool:
    """Tell whether a child has ended, and leave its exit code to whoever waits for it."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _become_like(environment: dict[str, str], folder: str, path: list[str]) -> None:
    # Not at the top, where Snakemake would load it to start a server; scikit-learn has it here.
    import threadpoolctl

    threads, threads_here = (each.get(_THREAD_VARIABLES[0]) for each in (environment, os.environ))
    if threads != threads_here:
        # Libraries read it when they are loaded, which they are. Not where nothing changes: it
        # takes 20 ms, and their threads start at once, not when there is something to compute.
        threadpoolctl.threadpool_limits(int(threads) if threads else None)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:] = path


def _tell(status: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(status, _NUMBER.pack(number))


def _end_with(starter: Connection) -> None:
    """End this process when the one that has asked for it is gone: no orphan may write on."""
    end = select.poll()
    # For nothing but its end, which is always told: what is sent is for others to read.
    end.register(starter, 0)
    end.poll()
    os._exit(EXIT_CONTINUE)


def main() -> None:
    """Run a server whose channel and listener were inherited."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    # TensorFlow announces instruction sets and missing GPUs at every start.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    module, *numbers = sys.argv[1:]
    server = _Server(*map(int, numbers))
    try:
        importlib.import_module(module)
        server.serve()
    finally:
        server.close()
    # Forks that are left end by themselves.
    os._exit(0)


if __name__ == "__main__":
    main()

"""Processes forked from one that has imported TensorFlow, for one job or for many."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import forked
import pytest
from workbench import shared_forks, wait_for

from gridfold.errors import EXIT_CONTINUE
from gridfold.jobs import fork_server
from gridfold.jobs.fork_server import (
    ADDRESS,
    STOP_SIGNALS,
    TABLES,
    TRAINING,
    Fork,
    ForkServer,
    ForkServerFailed,
    Libraries,
    SharedServer,
)

# What a server has imported matters to two tests alone; this takes a tenth of a second.
QUICK = Libraries("numpy", ADDRESS)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedServer]:
    # It sets the address for all that this process starts.
    monkeypatch.delenv(ADDRESS, raising=False)
    server = SharedServer(QUICK)
    server.start(threads=1)
    yield server
    server.stop()


def seen(server: ForkServer, *words: str, output: int = 2) -> dict[str, Any]:
    fork = server.start(forked.describe, *words, output=output)
    answer: dict[str, Any] = fork.connection.recv()
    assert fork.join() == 0
    return answer


def test_a_fork_has_tensorflow_and_prints_where_it_is_told(tmp_path: Path) -> None:
    printed = tmp_path / "printed"
    with ForkServer() as server, printed.open("w") as stream:
        assert not server.is_shared
        answer = seen(server, "hello", "there", output=stream.fileno())
    assert answer["tensorflow"]
    assert printed.read_text() == "hello there\n"


def test_how_a_fork_has_ended() -> None:
    with ForkServer(libraries=QUICK) as server:
        forks = [
            server.start(forked.leave, 7, output=2),
            server.start(forked.die, output=2),
            server.start(forked.sleep, output=2),
            server.start(forked.sleep, output=2),
        ]
        assert [fork.join() for fork in forks[:2]] == [7, -signal.SIGKILL]
        killed, left = forks[2:]
        assert killed.connection.recv() == left.connection.recv() == "asleep"
        killed.kill()
        assert killed.join() == -signal.SIGKILL
        # As when the process of the job has died.
        left.connection.close()
        assert left.join() == EXIT_CONTINUE


def test_jobs_share_a_server_and_keep_what_is_theirs(
    shared: SharedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    for number in (1, 2):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("OMP_NUM_THREADS", f"{number}")
        monkeypatch.setenv(f"ONLY_{number}", "here")
        monkeypatch.syspath_prepend(str(folder))
        with ForkServer(libraries=QUICK) as server:
            assert server.is_shared
            answers.append(seen(server))
        assert answers[-1]["folder"] == str(folder)
        assert answers[-1]["environment"] == dict(os.environ)
        assert answers[-1]["path"] == sys.path
        monkeypatch.delenv(f"ONLY_{number}")
    assert answers[0]["parent"] == answers[1]["parent"] != os.getpid()
    assert answers[0]["blas"] == {1}
    assert answers[1]["blas"] == {2}


def test_a_shared_server_that_nobody_wants_ends_at_once(shared: SharedServer) -> None:
    place = Path(os.environ[ADDRESS])
    for _ in range(2):
        shared.cancel()
        assert ADDRESS not in os.environ
        assert not place.parent.exists()
    shared.start(threads=1)
    with ForkServer(libraries=QUICK) as server:
        assert server.is_shared
        assert seen(server)["parent"] != os.getpid()


def test_a_server_of_somebody_else_is_not_ended(shared: SharedServer) -> None:
    other = SharedServer(QUICK)
    other.start(threads=1)
    other.cancel()
    with ForkServer(libraries=QUICK) as server:
        assert server.is_shared


def test_a_shared_server_stays_for_the_jobs_that_still_need_it(shared: SharedServer) -> None:
    place = Path(os.environ[ADDRESS])
    with ForkServer(libraries=QUICK) as server:
        shared.stop()
        answer = seen(server)
        assert server.is_shared
        assert place.exists()
    wait_for(lambda: not place.parent.exists())
    wait_for(lambda: has_ended(answer["parent"]))
    assert ADDRESS not in os.environ


@pytest.mark.parametrize("libraries", [TRAINING, TABLES], ids=lambda each: each.module)
def test_libraries_with_threads_of_their_own_work_in_forks(
    libraries: Libraries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # OpenBLAS and OpenMP are known for threads that a fork has lost, Matplotlib for its fonts.
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with shared_forks(libraries), ForkServer(libraries=libraries) as server:
        forks = [server.start(forked.compute, str(tmp_path), output=2) for _ in range(3)]
        answers = [fork.connection.recv() for fork in forks]
        assert [fork.join() for fork in forks] == [0, 0, 0]
    assert answers == answers[:1] * 3
    assert answers[0][:2] == (400, 400)
    assert answers[0][2] > 0.9


def has_ended(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_job_whose_shared_server_is_lost_starts_its_own(shared: SharedServer) -> None:
    with ForkServer(libraries=QUICK) as server:
        parent = seen(server)["parent"]
        os.kill(parent, signal.SIGKILL)
        wait_for(lambda: has_ended(parent))
        assert seen(server)["parent"] != parent
        assert not server.is_shared
    with ForkServer(libraries=QUICK) as server:
        assert not server.is_shared, "nobody is at the address"


def test_a_lost_server_is_told_from_an_exit_code() -> None:
    with ForkServer(libraries=QUICK) as server:
        fork: Fork = server.start(forked.sleep, output=2)
        assert fork.connection.recv() == "asleep"
        os.kill(int(Path(f"/proc/{fork.pid}/stat").read_text().split()[3]), signal.SIGKILL)
        assert fork.join() == 255
        fork.connection.close()
        assert seen(server)["parent"], "another one has taken its place"


def test_a_fork_that_ends_while_another_is_asked_for_keeps_its_exit_code(tmp_path: Path) -> None:
    go = tmp_path / "go"
    with ForkServer(libraries=QUICK) as server, ThreadPoolExecutor(1) as other:
        first = server.start(forked.leave_by_itself, str(go), 7, output=2)
        parent = first.connection.recv()
        # It sees the end of the first and the wish for the second at the same moment.
        os.kill(parent, signal.SIGSTOP)
        go.touch()
        wait_for(lambda: has_ended(first.pid))
        second = other.submit(server.start, forked.leave, 8, output=2)
        wait_for(lambda: _has_a_message(server))
        os.kill(parent, signal.SIGCONT)
        assert second.result().join() == 8
        assert first.join() == 7
        assert seen(server)["parent"] == parent, "the server has gone on"


def _has_a_message(server: ForkServer) -> bool:
    """Tell whether the server has something to read from the socket of a job."""
    unread = fcntl.ioctl(server._channel.fileno(), termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(unread, sys.byteorder) > 0


def test_a_server_without_tensorflow_is_an_error_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tensorflow.py").write_text("raise ImportError('built for another machine')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with ForkServer() as server, pytest.raises(ForkServerFailed, match="reason is above"):
        seen(server)
    assert "ImportError: built for another machine" in capfd.readouterr().err


@pytest.mark.parametrize("is_shared", [True, False], ids=["in a fork", "here"])
def test_a_whole_job_ends_as_its_fork_does(
    is_shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)
    code = (
        "import forked; from gridfold.jobs.fork_server import ADDRESS, Libraries, run; "
        "run(forked.leave_plainly, 3, libraries=Libraries('numpy', ADDRESS))"
    )
    server = SharedServer(QUICK)
    if is_shared:
        server.start(threads=1)
    path = os.pathsep.join([str(Path(forked.__file__).parent), os.environ.get("PYTHONPATH", "")])
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server.stop()
    assert answer.returncode == 3, answer.stdout
    here = f"parent {os.getpid()}\n"
    assert (answer.stdout == here) != is_shared


@pytest.mark.parametrize("number", STOP_SIGNALS)
@pytest.mark.parametrize("passed_on", [True, False])
def test_the_fork_of_a_whole_job_hears_of_the_end_where_it_wants_to(
    shared: SharedServer, number: int, passed_on: bool, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    code = (
        "import sys, forked; from gridfold.jobs.fork_server import ADDRESS, Libraries, run; "
        "run(forked.end_in_order, sys.argv[1], libraries=Libraries('numpy', ADDRESS),"
        f" passes_signals_on={passed_on})"
    )
    path = os.pathsep.join([str(Path(forked.__file__).parent), os.environ.get("PYTHONPATH", "")])
    job = subprocess.Popen(
        [sys.executable, "-c", code, begun],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for(begun.exists)
    job.send_signal(number)
    said, _ = job.communicate(timeout=60)
    assert job.returncode == (EXIT_CONTINUE if passed_on else -number)
    assert ("in order" in said) == passed_on


def test_a_whole_job_says_that_its_server_was_lost(
    shared: SharedServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        fork_server.run(forked.end_the_server, libraries=QUICK)
    assert end.value.code == 255
    assert "the process that had started this job has ended" in capfd.readouterr().err


def test_what_is_started_below_another_run_uses_its_server(
    shared: SharedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = os.environ[ADDRESS]
    inner = SharedServer(QUICK)
    inner.start(threads=1)
    inner.stop()
    assert os.environ[ADDRESS] == place, "it is the outer run's to stop"
    with ForkServer(libraries=QUICK) as server:
        assert server.is_shared
    # Whoever has another Python, or another gridfold, gets no forks of this one.
    monkeypatch.setattr(sys, "executable", "/usr/bin/other")
    assert fork_server._shared_channel(QUICK) is None


def test_only_its_user_may_ask(shared: SharedServer) -> None:
    assert Path(os.environ[ADDRESS]).parent.stat().st_mode & 0o077 == 0


def test_a_job_ends_with_all_that_its_code_has_started(
    shared: SharedServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        fork_server.run(forked.leave_threads_and_children, 3, libraries=QUICK)
    assert ended.value.code == 3
    child = int(capfd.readouterr().err.split()[1])
    wait_for(lambda: has_ended(child))


@pytest.fixture
def short() -> Iterator[Path]:
    """Return a folder of so short a name that sockets can lie in it."""
    with tempfile.TemporaryDirectory(prefix="g", dir="/tmp") as folder:
        yield Path(folder)


def test_folders_of_killed_servers_are_swept(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(short))
    long_ago = 1_000_000_000
    servers = []
    for _ in range(2):
        servers.append(SharedServer(QUICK))
        servers[-1].start(threads=1)
        place = Path(os.environ.pop(ADDRESS))
        monkeypatch.setenv(ADDRESS, str(place))
        with ForkServer(libraries=QUICK) as server:
            parent = seen(server)["parent"]
        monkeypatch.delenv(ADDRESS)
        os.utime(place.parent, (long_ago, long_ago))
    os.kill(parent, signal.SIGKILL)
    wait_for(lambda: has_ended(parent))
    of_another_host = short / f"{fork_server._mark()}00000000-abc"
    young = short / f"{fork_server._mark()}{fork_server._host()}-young"
    foreign = short / "gridfold-slurm-abc"
    link = short / f"{fork_server._mark()}{fork_server._host()}-link"
    for folder in (of_another_host, young, foreign):
        folder.mkdir()
    os.utime(of_another_host, (long_ago, long_ago))
    link.symlink_to(foreign)
    before = set(short.iterdir())
    fork_server.sweep()
    assert before - set(short.iterdir()) == {place.parent}
    for server in servers:
        server.stop()

"""Launch the ranks of a distributed training job and watch over them.

The counterpart of :mod:`gridfold.jobs.pool` for trials that need several processes at once: same
events, same meaning. The ranks are started once for all trials of a job, so that TensorFlow is
imported once. When a rank dies, all end; the trial is recorded as failed and the ranks start again
for those that are left.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import json
import logging
import os
import pickle
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridfold.cluster.job import job_number
from gridfold.cluster.launchers import options_for_ranks
from gridfold.cluster.slurm import lost_variables, nodes_that_must_be_told, ranks_on, slurm_nodes
from gridfold.errors import GridfoldError, Interrupted, TrialFailure, out_of_time
from gridfold.jobs.pool import Event, Listener, Work, stop_signals
from gridfold.usercode import sources

log = logging.getLogger(__name__)

AUTO = "auto"
# Open MPI pins ranks to cores, and those of two jobs to the same ones.
_OPEN_MPI = "mpirun --oversubscribe --bind-to none"
_POLL_SECONDS = 0.1
_TICKS_BETWEEN_ROLL_CALLS = 10
# How long a launcher may take to end the other ranks after one of them has.
_GRACE_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1


class RanksFailed(GridfoldError):
    """The ranks could not be started."""


@dataclass(frozen=True)
class Launch:
    """How the ranks of a job are started.

    Attributes
    ----------
    launcher : str
        Command that starts processes, as ``mpirun --oversubscribe`` or ``srun --mpi=pmix``;
        ``auto`` for what this machine has. A single process needs none.
    ranks : int
        Processes to start.
    start_timeout : float
        Seconds from the first rank's start until all must be ready.
    trial_timeout : float or None
        Seconds after which a trial that has not ended is killed, with all ranks.
    container : tuple of str
        Command that runs another one in the container of the ranks, as ``apptainer exec --nv
        image.sif``; empty without one.
    """

    launcher: str
    ranks: int
    start_timeout: float = 180.0
    trial_timeout: float | None = None
    container: tuple[str, ...] = ()

    def command(self, words: Sequence[str]) -> list[str]:
        """Return the command line that starts ``python WORDS...`` on every rank.

        Ranks of a container on one node are started in it, by its own MPI, which fits them.
        Elsewhere, and where a launcher is named, it starts a container for each rank.

        Raises
        ------
        RanksFailed
            When there is no launcher.
        """
        program = [*python_in(self.container), *words]
        if self.ranks == 1:
            return program
        if self._is_inside:
            inside = program[len(self.container) :]
            return [*self.container, *_OPEN_MPI.split(), "-n", str(self.ranks), *inside]
        return self._outside(program)

    def _outside(self, program: Sequence[str]) -> list[str]:
        words = shlex.split(self._launcher())
        if shutil.which(words[0]) is None:
            raise RanksFailed(
                f"launcher `{words[0]}` not found (resource `launcher` of the rule); is a module "
                "to be loaded?"
            )
        name = Path(words[0]).name
        if name == "horovodrun":
            hosts = (
                []
                if {"-H", "--hosts", "-hostfile", "--hostfile"} & set(words)
                else ["-H", self._hosts()]
            )
            return [*words, "-np", str(self.ranks), *hosts, *program]
        return [*words, *options_for_ranks(words[0]), "-n", str(self.ranks), *program]

    def _launcher(self) -> str:
        if self.launcher != AUTO:
            return self.launcher
        return _OPEN_MPI if self.container else _local_launcher()

    # Slurm is asked once, so that command and environment go together.
    @functools.cached_property
    def _is_inside(self) -> bool:
        """Tell whether the launcher is that of the container."""
        if not self.container or self.launcher != AUTO:
            return False
        return not job_number() or len(slurm_nodes(job_number())) == 1

    def environment(self) -> dict[str, str]:
        """Return the environment for the launcher: with the job's nodes, if it has lost them."""
        if self.ranks == 1:
            return environment()
        if self._is_inside:
            # Of a job of Slurm, it would start the ranks with `srun`, which an image has not.
            return {k: v for k, v in environment().items() if not k.startswith("SLURM_")}
        return environment() | lost_variables(self.ranks)

    def _hosts(self) -> str:
        nodes = nodes_that_must_be_told()
        if len(nodes) < 2:
            return f"localhost:{self.ranks}"
        counts = ranks_on(nodes, self.ranks)
        return ",".join(f"{n.name}:{k}" for n, k in zip(nodes, counts, strict=True) if k)


def horovod_controllers() -> list[str]:
    """Return what Horovod was built to start with: ``gloo``, ``mpi``; empty without Horovod."""
    spec = importlib.util.find_spec("horovod")
    if spec is None or spec.origin is None:
        return []
    libraries = list((Path(spec.origin).parent / "tensorflow").glob("mpi_lib*.so"))
    # Loading the library would load TensorFlow; the names of what it needs stand in it as text.
    with_mpi = any(b"libmpi" in library.read_bytes() for library in libraries)
    return [*(["mpi"] if with_mpi else []), "gloo"] if libraries else []


def _local_launcher() -> str:
    """Return the launcher for ranks on this machine alone."""
    controllers = horovod_controllers()
    if not controllers:
        raise RanksFailed("Horovod is not installed here; run `make horovod`")
    if "mpi" in controllers and shutil.which("mpirun"):
        version = subprocess.run(
            ["mpirun", "--version"], capture_output=True, text=True, check=False
        ).stdout
        return _OPEN_MPI if "Open MPI" in version else "mpirun"
    return f"{Path(sys.executable).parent / 'horovodrun'} --gloo"


def run(
    works: Sequence[Work],
    launch: Launch,
    folder: Path,
    on_event: Listener,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Train trials one after another on all ranks, in the given order.

    Parameters
    ----------
    works : sequence of Work
        Of the same backend and world size.
    launch : Launch
    folder : Path
        For messages of the ranks; emptied first. All nodes must see it.
    on_event : callable
        Called in this process.
    meanwhile : callable
        Called in this process while the ranks start.

    Raises
    ------
    RanksFailed
        When the ranks could not be started.
    Interrupted
        After SIGTERM, SIGINT or SIGUSR1; the trials' checkpoints are complete.
    """
    waiting = list(works)
    with stop_signals() as stopped:
        while waiting:
            session = _Session(waiting, launch, folder, on_event)
            session.run(stopped.is_set, meanwhile)
            if stopped.is_set():
                raise Interrupted
            if session.was_told_to_stop:
                # Slurm signals the steps of a job, in which ranks of other nodes are; not this one.
                raise Interrupted
            if session.current is None and session.left:
                raise RanksFailed(session.reason())
            if session.current is not None:
                on_event(Event("failed", session.current, failure=session.failure()))
            waiting = [work for work in session.left if work is not session.current]


@dataclass
class _Rank:
    """What is known of one rank."""

    file: Path
    kinds: set[str] = field(default_factory=set)
    reason: str = ""
    detail: str = ""
    sees: dict[str, Any] = field(default_factory=dict)
    offset: int = 0

    def news(self) -> Iterator[dict[str, Any]]:
        """Yield the messages since the last call; a line that is still being written waits."""
        try:
            with self.file.open("rb") as stream:
                stream.seek(self.offset)
                lines = stream.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return
        for line in lines:
            self.offset += len(line) + 1
            message = json.loads(line)
            self.kinds.add(message["kind"])
            if message["kind"] == "ready":
                self.sees = {k: v for k, v in message.items() if k != "kind"}
            if message["kind"] == "died":
                self.reason, self.detail = message["reason"], message["detail"]
            yield message


class _Session:
    """One start of the ranks, until they end."""

    def __init__(
        self,
        works: Sequence[Work],
        launch: Launch,
        folder: Path,
        on_event: Listener,
    ) -> None:
        self._works = list(works)
        self._launch = launch
        self._folder = folder
        self._on_event = on_event
        self._ended: set[int] = set()
        self._current: int | None = None
        self._ranks = [_Rank(folder / f"{number}.jsonl") for number in range(launch.ranks)]
        # When the chief has begun with it, by the monotonic clock.
        self._begun = 0.0
        self._is_late = False
        self._trouble = ""
        self._exit_code: int | None = None

    @property
    def left(self) -> list[Work]:
        """Trials without an answer."""
        return [work for number, work in enumerate(self._works) if number not in self._ended]

    @property
    def current(self) -> Work | None:
        """The trial that was being trained when the ranks ended."""
        return None if self._current is None else self._works[self._current]

    @property
    def was_told_to_stop(self) -> bool:
        """Whether all ranks were, by somebody else than this supervisor.

        When one has ended otherwise, it is the launcher that has stopped the rest.
        """
        if self._trouble or self._is_late:
            return False
        ends = [rank.kinds & {"stopped", "ended"} for rank in self._ranks if rank.kinds]
        return all(ends) and any("stopped" in end for end in ends)

    def run(self, must_stop: Callable[[], bool], meanwhile: Callable[[], None]) -> None:
        """Start the ranks and follow them to their end."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        # A launcher may keep the environment from other nodes.
        told = pickle.dumps((sources.folders(), self._works))
        (self._folder / "works.pkl").write_bytes(told)
        digest = hashlib.sha256(told).hexdigest()
        command = self._launch.command(["-m", "gridfold.jobs.rank", str(self._folder), digest])
        log.info("%s", shlex.join(command))
        process = subprocess.Popen(
            command,
            env=self._launch.environment(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        try:
            meanwhile()
            self._follow(process, must_stop)
        finally:
            end_process(process)
        self._exit_code = process.returncode
        self._read()

    def _follow(self, process: subprocess.Popen[bytes], must_stop: Callable[[], bool]) -> None:
        first_start = last_word = None
        late = list(range(len(self._ranks)))
        ticks = 0
        while process.poll() is None and not must_stop():
            time.sleep(_POLL_SECONDS)
            ticks += 1
            # Once all are ready, the chief has the news; a file system need not be asked for each.
            self._read(everyone=bool(late) or ticks % _TICKS_BETWEEN_ROLL_CALLS == 0)
            now = time.monotonic()
            if first_start is None and any("started" in rank.kinds for rank in self._ranks):
                first_start = now
            if last_word is None and any("died" in rank.kinds for rank in self._ranks):
                last_word = now
            late = [n for n, rank in enumerate(self._ranks) if "ready" not in rank.kinds]
            timeout = self._launch.trial_timeout
            if timeout is not None and self._current is not None and now - self._begun > timeout:
                self._is_late = True
                return
            if late and first_start and now - first_start > self._launch.start_timeout:
                self._trouble = self._lateness(late)
                return
            if last_word and now - last_word > _GRACE_SECONDS:
                return

    def _lateness(self, late: list[int]) -> str:
        unseen = [n for n in late if "started" not in self._ranks[n].kinds]
        text = (
            f"{_numbered(unseen)} did not start"
            if unseen
            else f"{_numbered(late)} started but did not get ready"
        )
        return (
            f"{text} within {self._launch.start_timeout:g} s of the first rank's start; on a slow "
            "file system raise execution.start_timeout"
        )

    def _read(self, *, everyone: bool = True) -> None:
        for number, rank in enumerate(self._ranks if everyone else self._ranks[:1]):
            for message in rank.news():
                if message["kind"] == "ready":
                    seen = ", ".join(f"{name} {value}" for name, value in rank.sees.items())
                    log.info("rank %d: %s", number, seen)
                # The ranks agree on everything but their own end; the chief speaks for all.
                if number == 0 and "trial" in message:
                    self._tell(message)

    def _tell(self, message: dict[str, Any]) -> None:
        trial, kind = message["trial"], message["kind"]
        work = self._works[trial]
        if kind == "trial":
            self._current, self._begun = trial, time.monotonic()
            self._on_event(Event("started", work))
        elif kind == "epoch":
            self._on_event(Event("epoch", work, row=message["row"]))
        else:
            self._ended.add(trial)
            self._current = None
            failure = TrialFailure(*message["failure"]) if kind == "failed" else None
            row = {"epoch": message["epoch"]} if kind == "left_out" else None
            usage = message.get("usage")
            self._on_event(Event(kind, work, row=row, failure=failure, usage=usage))

    def failure(self) -> TrialFailure:
        """Return why the trial that was being trained has no score."""
        detail = self.detail()
        if self._is_late:
            assert self._launch.trial_timeout is not None, "only such a trial is late"
            return out_of_time(self._launch.trial_timeout, detail)
        return TrialFailure("error" if detail else "killed", self.reason(), detail)

    def reason(self) -> str:
        """Return in one sentence why the ranks ended early."""
        if self._trouble:
            return self._trouble
        died = [f"rank {n}: {rank.reason}" for n, rank in enumerate(self._ranks) if rank.reason]
        if died:
            return "; ".join(died)
        silent = [
            n
            for n, rank in enumerate(self._ranks)
            if "started" in rank.kinds and not rank.kinds & {"ended", "stopped"}
        ]
        joining = [n for n in silent if "ready" not in self._ranks[n].kinds]
        if joining:
            return (
                f"{_numbered(joining)} ended while joining the others; what TensorFlow or MPI has "
                "said of it stands in the job's output"
            )
        if silent and len(silent) < len(self._ranks):
            return (
                f"{_numbered(silent)} ended without a word; the kernel kills like this when "
                "memory runs out"
            )
        return f"the ranks ended without a word; exit code {self._exit_code} of the launcher"

    def detail(self) -> str:
        """Return the tracebacks of the ranks that raised."""
        return "\n".join(rank.detail for rank in self._ranks if rank.detail)


def _numbered(ranks: list[int]) -> str:
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"


def python_in(container: Sequence[str]) -> list[str]:
    """Return the command that starts Python: that of the container, or this one without any."""
    return [*container, "python"] if container else [sys.executable]


def environment() -> dict[str, str]:
    """Return the environment in which ranks run: this process's, with defaults of ours."""
    defaults = {
        # A rank that stands still while the others wait is named in the log, and at last ends all.
        "HOROVOD_STALL_CHECK_TIME_SECONDS": "30",
        "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": "600",
        # Milliseconds until gradients that are ready are noticed (default 1). All of a step travel
        # as one group, so there is nothing to wait for.
        "HOROVOD_CYCLE_TIME": "0.3",
        # Open MPI waits by polling, which takes cores from whatever shares them.
        "OMPI_MCA_mpi_yield_when_idle": "1",
    }
    if os.geteuid() == 0:
        # Open MPI refuses root otherwise; whoever started this job as root has decided already.
        defaults |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return {**defaults, **os.environ}


def end_with_parent() -> None:
    """Have the kernel end the launcher, and with it all ranks, when this process is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end_process(process: subprocess.Popen[bytes]) -> None:
    """End the launcher and its ranks: politely first, so that it can reach other nodes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_GRACE_SECONDS)

"""The distributed job of a search: one chief, and the workers that it starts."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gridfold.atomic import write_json
from gridfold.errors import Interrupted
from gridfold.jobs.pool import stop_signals
from gridfold.jobs.ranks import AUTO, end_process, end_with_parent
from gridfold.search.tuner.desk import open_desk
from gridfold.search.tuner.protocol import LOST_SECONDS, TuningFailed
from gridfold.search.tuner.search import TuningStudy
from gridfold.search.tuner.worker import TUNER_ID

log = logging.getLogger(__name__)

# Workers end by themselves when there is no more to try.
_FAREWELL_SECONDS = 60.0


@dataclass(frozen=True)
class Crew:
    """The workers of a search.

    Attributes
    ----------
    workers : int
    cores : int
        CPU cores of each.
    on_node : int
        Workers on one node.
    launcher : str
        Command that starts all of them, as ``srun``; ``auto`` for that one inside a Slurm job, and
        for processes on this machine elsewhere.
    lost_after : float
        Seconds of silence after which one of them counts as gone.
    """

    workers: int
    cores: int
    on_node: int
    launcher: str = AUTO
    lost_after: float = LOST_SECONDS

    @contextlib.contextmanager
    def started(
        self, study: TuningStudy, environment: Mapping[str, str]
    ) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Start the workers; they have ended when the block has."""
        program = [sys.executable, "-m", "gridfold.search.tuner.worker", str(study.paths.root)]
        shared = {**os.environ, **environment}
        # All workers would take the chief's for their own.
        shared.pop(TUNER_ID, None)
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for command, own in self._commands(program):
                log.info("%s", shlex.join(command))
                processes.append(
                    subprocess.Popen(
                        command,
                        env={**shared, **own},
                        stdin=subprocess.DEVNULL,
                        start_new_session=True,
                        preexec_fn=end_with_parent,
                    )
                )
            yield processes
        finally:
            for process in processes:
                end_process(process)

    def _commands(self, program: list[str]) -> Iterator[tuple[list[str], dict[str, str]]]:
        inside_slurm = "SLURM_JOB_ID" in os.environ and shutil.which("srun") is not None
        if self.launcher == AUTO and not inside_slurm:
            for place in range(self.workers):
                yield program, {TUNER_ID: f"worker{place}", "GRIDFOLD_LOCALID": str(place)}
            return
        words = ["srun", "--mpi=none"] if self.launcher == AUTO else shlex.split(self.launcher)
        options = [f"--ntasks={self.workers}", f"--cpus-per-task={self.cores}"]
        # One worker that dies takes no other with it, at whatever time after.
        options += ["--kill-on-bad-exit=0", "--wait=0"]
        yield [*words, *options, *program], {}


def run_distributed(study: TuningStudy, request: Mapping[str, Any], crew: Crew) -> None:
    """Search with a chief, which is this process, and workers.

    Parameters
    ----------
    study : TuningStudy
    request : mapping
        :meth:`gridfold.plan.search_plan.SearchPlan.tune_request`.
    crew : Crew

    Raises
    ------
    TuningFailed
        When all workers have ended before the search, or it can't go on.
    Interrupted
        After SIGTERM, SIGINT or SIGUSR1.
    """
    content = {"request": request, "cores": crew.cores, "on_node": crew.on_node}
    # gRPC need not look after children: all are other programs.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    write_json(study.paths.tuner_job, content)
    with stop_signals() as stopped:
        desk = open_desk(study)

        from gridfold.search.tuner.chief import Chief

        with (
            Chief(desk, study.paths.tuner_chief, crew.lost_after) as chief,
            crew.started(study, chief.environment()) as processes,
        ):
            over = chief.wait(
                lambda: any(process.poll() is None for process in processes), stopped.is_set
            )
            if over:
                _say_farewell(processes)
        if stopped.is_set():
            raise Interrupted
    if not over:
        folder = study.paths.root / "logs" / "tune_workers"
        raise TuningFailed(
            f"all {crew.workers} workers have ended before the search; what they say: {folder}"
        )


def _say_farewell(processes: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _FAREWELL_SECONDS
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.1, deadline - time.monotonic()))

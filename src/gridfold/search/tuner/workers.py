"""A distributed search is one job: a chief, and the workers that it starts."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gridfold import typed_json
from gridfold.cluster.launchers import launcher_of_job, options_for_workers
from gridfold.errors import Interrupted
from gridfold.jobs.distributed import Start
from gridfold.jobs.pool import stop_signals
from gridfold.jobs.ranks import AUTO, end_process, end_with_parent, python_in
from gridfold.plan.stage_names import EXPLORE
from gridfold.requests import TuneRequest
from gridfold.search.tuner.opening import open_any
from gridfold.search.tuner.protocol import LOST_SECONDS, TuningFailed
from gridfold.search.tuner.search import TuningStudy
from gridfold.search.tuner.worker import TUNER_ID, WorkerJob

log = logging.getLogger(__name__)

# Workers end by themselves when there is no more to try.
_EXIT_SECONDS = 60.0


@dataclass(frozen=True)
class WorkerProcesses:
    """Starts the workers of a search, each in a process of its own, and ends them.

    Attributes
    ----------
    count : int
        Workers in all.
    cores : int
        CPU cores of each.
    on_node : int
        Workers on one node.
    start : Start
        Command that starts all of them, as ``srun``; ``auto`` for that one inside a Slurm job, and
        for processes on this machine elsewhere. With a container, each of them is in its own.
    trials_per_gpu : int
        ``execution.trials_per_gpu``.
    lost_after : float
        Seconds of silence after which one of them counts as gone.
    """

    count: int
    cores: int
    on_node: int
    start: Start = field(default_factory=Start)
    trials_per_gpu: int = 1
    lost_after: float = LOST_SECONDS

    @contextlib.contextmanager
    def started(
        self, study: TuningStudy, environment: Mapping[str, str]
    ) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Start the workers; they have ended when the block has."""
        python = python_in(self.start.container)
        program = [*python, "-m", "gridfold.search.tuner.worker", str(study.paths.root)]
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
        launcher = self.start.launcher
        words = launcher_of_job() if launcher == AUTO else shlex.split(launcher)
        if words is None:
            for place in range(self.count):
                yield program, {TUNER_ID: f"worker{place}", "GRIDFOLD_LOCALID": str(place)}
            return
        yield [*words, *options_for_workers(self.count, self.cores), *program], {}


def run_distributed(study: TuningStudy, request: TuneRequest, workers: WorkerProcesses) -> None:
    """Search with a chief, which is this process, and workers.

    Parameters
    ----------
    study : TuningStudy
    request : TuneRequest
    workers : WorkerProcesses

    Raises
    ------
    TuningFailed
        When all workers have ended before the search, or it can't go on.
    Interrupted
        After SIGTERM, SIGINT or SIGUSR1.
    """
    # gRPC need not look after children: all are other programs.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    told = WorkerJob(
        request, workers.cores, workers.on_node, study.trial_timeout, workers.trials_per_gpu
    )
    typed_json.write(study.paths.tuner_job, told)
    with stop_signals() as stopped:
        oracle = open_any(study)

        from gridfold.search.tuner.chief import Chief

        with (
            Chief(oracle, study.paths.tuner_chief, workers.lost_after) as chief,
            workers.started(study, chief.environment()) as processes,
        ):
            over = chief.wait(
                lambda: any(process.poll() is None for process in processes), stopped.is_set
            )
            if over:
                _wait_for_exit(processes)
                # One that found no room for another trial may have ended before the others.
                study.paths.left_out(f"{EXPLORE}-001").unlink(missing_ok=True)
        if stopped.is_set():
            raise Interrupted
    if not over and not _is_cut(study):
        folder = study.paths.root / "logs" / "tune_workers"
        raise TuningFailed(
            f"all {workers.count} workers have ended before the search; what they say: {folder}"
        )


def _is_cut(study: TuningStudy) -> bool:
    """Tell whether the workers have ended because the budget of the search is spent."""
    return study.paths.left_out(f"{EXPLORE}-001").exists()


def _wait_for_exit(processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait until the workers have ended by themselves, for a minute at most."""
    deadline = time.monotonic() + _EXIT_SECONDS
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.1, deadline - time.monotonic()))

"""Searches with Keras Tuner and Optuna, small enough to be run many times."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studies import tiny_study
from workbench import ROOT, prepare_bench, shared_forks

from gridfold.jobs import pool
from gridfold.plan.job_requests import JobRequests
from gridfold.search.tuner import outcome
from gridfold.search.tuner.opening import open_any
from gridfold.search.tuner.protocol import TunerTrial
from gridfold.search.tuner.search import TuningStudy, run_search
from gridfold.store.job_records import JobResources

SPACE: dict[str, Any] = {
    "mlp.units": [4, 8],
    "training.learning_rate": {"float": {"min": 0.001, "max": 0.1, "log": True}},
}
HYPERBAND = {"tuner": "hyperband", "max_epochs": 2, "factor": 2}


def tuned(
    tuner: dict[str, Any], space: dict[str, Any] | None = None, **sections: Any
) -> dict[str, Any]:
    """Return the tiny study, searched by a tuner."""
    search = {
        "strategy": {"type": "keras_tuner", **tuner},
        **sections.pop("wishes", {}),
        "space": SPACE if space is None else space,
    }
    return tiny_study(**{"training": {"epochs": 2}, "search": search, **sections})


def prepared(folder: Path, study: dict[str, Any]) -> TuningStudy:
    """Prepare data and splits of a study and return its search; it is confirmed afterwards."""
    study["search"].setdefault("confirm", {})
    plan = prepare_bench(folder, study).plan
    return TuningStudy(JobRequests(plan).tune(), plan.paths)


def searched(study: TuningStudy, workers: int = 1) -> Any:
    """Run a search to its end in this process and return its oracle."""
    with shared_forks():
        return run(study, workers)


def run(study: TuningStudy, workers: int = 1) -> Any:
    """Run a search, with a fork server of its own."""
    opened: list[Any] = []

    def oracle() -> Any:
        opened.append(open_any(study))
        return opened[0]

    run_search(
        study,
        oracle,
        "tune",
        lambda search, listener, meanwhile: pool.run(search, workers, listener, (), meanwhile),
        JobResources(workers),
    )
    return opened[0]


def trials_of(study: TuningStudy) -> list[TunerTrial]:
    """Return what the memory of a search holds."""
    return outcome.trials_of(study)


def ended(study: TuningStudy) -> int:
    """Return how many trials of a search have ended."""
    if not study.paths.tuner_state.exists():
        return 0
    return sum(trial.status != "RUNNING" for trial in trials_of(study))


_PROGRAM = """
import sys
from pathlib import Path
from gridfold.jobs.job import job
from gridfold.paths import StudyPaths
from gridfold.requests import TuneRequest
from gridfold.search.tuner.search import TuningStudy
from searches import run
with job(sys.argv[3]):
    run(TuningStudy(TuneRequest.parse(sys.argv[2]), StudyPaths(Path(sys.argv[1]))))
"""


def start_search(study: TuningStudy, request: str) -> subprocess.Popen[bytes]:
    """Start a search in its own process."""
    paths = study.paths
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(paths.root), request, paths.log("tune")],
        # Of this tree, whichever one is installed.
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests' / 'support'}"},
        start_new_session=True,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started as the kernel would when memory runs out."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)

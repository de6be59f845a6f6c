"""Chief and workers of a search with Keras Tuner, as processes of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import grpc
import psutil
import pytest
from keras_tuner.src import protos
from searches import kill, prepared, trials_of, tuned, wait_until

from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.search.tuner.search import TuningStudy
from gridfold.search.tuner.worker import own_gpus, worker_name

TRIALS = 6
CHIEF = """
import sys
from pathlib import Path
from gridfold.jobs.job import job
from gridfold.paths import StudyPaths
from gridfold.requests import TuneRequest
from gridfold.search.tuner.search import TuningStudy
from gridfold.search.tuner.workers import WorkerProcesses, run_distributed
request = TuneRequest.parse(sys.argv[2])
with job(sys.argv[3]):
    study = TuningStudy(request, StudyPaths(Path(sys.argv[1])))
    run_distributed(study, request, WorkerProcesses(2, 1, 2, lost_after=8))
"""


class Disturbed:
    """A search whose first worker is killed while it trains, and which another one joins."""

    def __init__(self, folder: Path) -> None:
        study = tuned({"tuner": "random", "max_trials": TRIALS, "workers": 2})
        self.search = prepared(folder, study)
        plan = Plan.load([folder / "tiny.yaml"], results=folder / "results")
        paths = self.search.paths
        self.log = Path(paths.log("tune"))
        self.chief = subprocess.Popen(
            [
                sys.executable,
                "-c",
                CHIEF,
                str(paths.root),
                JobRequests(plan).tune().text(),
                self.log,
            ],
            start_new_session=True,
        )
        try:
            wait_until(lambda: "worker0-0" in self.ongoing())
            self.lost = self.ongoing()["worker0-0"]
            self.worker(0).kill()
            self.late = self.join()
            assert self.chief.wait(timeout=300) == 0, self.log.read_text()
            assert self.late.wait(timeout=300) == 0
        finally:
            if self.chief.poll() is None:
                kill(self.chief)

    def ongoing(self) -> dict[str, str]:
        file = self.search.paths.tuner_state
        if not file.exists():
            return {}
        found: dict[str, str] = json.loads(file.read_text())["state"]["ongoing_trials"]
        return found

    def worker(self, number: int) -> psutil.Process:
        for process in psutil.Process(self.chief.pid).children():
            if process.environ().get("KERASTUNER_TUNER_ID") == f"worker{number}":
                return process
        raise AssertionError(f"no worker {number}")

    def join(self) -> subprocess.Popen[bytes]:
        program = [
            sys.executable,
            "-m",
            "gridfold.search.tuner.worker",
            str(self.search.paths.root),
        ]
        environment = {**os.environ, "KERASTUNER_TUNER_ID": "late"}
        return subprocess.Popen(program, env=environment)


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Disturbed:
    return Disturbed(tmp_path_factory.mktemp("distributed"))


def test_the_trial_of_a_worker_that_dies_finds_another(disturbed: Disturbed) -> None:
    trials = trials_of(disturbed.search)
    assert [trial.status for trial in trials] == ["COMPLETED"] * TRIALS
    text = disturbed.log.read_text()
    assert f"trial {disturbed.lost} is given out again: worker0-0 is gone" in text


def test_a_worker_that_joins_late_takes_part(disturbed: Disturbed) -> None:
    log = Path(disturbed.search.paths.log("tune_workers", "late"))
    assert "finished" in log.read_text() or "at a time" in log.read_text()


def test_a_worker_that_comes_after_the_end_leaves_at_once(disturbed: Disturbed) -> None:
    assert disturbed.join().wait(timeout=300) == 0


def test_strangers_are_turned_away(tmp_path: Path) -> None:
    from gridfold.search.tuner.chief import Chief
    from gridfold.search.tuner.local_oracle import open_oracle

    search: TuningStudy = prepared(tmp_path, tuned({"tuner": "random"}))
    with Chief(open_oracle(search), search.paths.tuner_chief) as chief:
        assert search.paths.tuner_chief.stat().st_mode & 0o077 == 0
        port = chief.environment()["KERASTUNER_ORACLE_PORT"]
        stub = protos.get_service_grpc().OracleStub(grpc.insecure_channel(f"127.0.0.1:{port}"))
        request = protos.get_service().CreateTrialRequest(tuner_id="stranger")
        with pytest.raises(grpc.RpcError, match="another search's worker"):
            stub.CreateTrial(request, timeout=120)


def test_workers_have_names_and_gpus_of_their_own() -> None:
    assert worker_name({"KERASTUNER_TUNER_ID": "worker7", "SLURM_PROCID": "1"}) == "worker7"
    assert worker_name({"SLURM_PROCID": "1"}) == "worker1"
    assert own_gpus(("0", "1", "2", "3"), 1, 2) == ("1", "3")
    assert own_gpus(("0", "1"), 2, 4) == ("0",)
    assert own_gpus((), 1, 2) == ()

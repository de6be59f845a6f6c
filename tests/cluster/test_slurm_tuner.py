"""A search with Keras Tuner on a real Slurm: a chief and three workers, one of which is killed."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import engine
import psutil
import pytest
from clones import IMPATIENT, PATIENCE, Clone, ended
from searches import SPACE, wait_until
from slurmcluster import SlurmCluster
from workspaces import tiny

from gridfold.search.tuner.outcome import TunerTrial, read_trials

pytestmark = pytest.mark.daily("searches of several jobs", 1)

TRIALS = 8
STUDY = tiny(
    search={
        "strategy": {
            "type": "keras_tuner",
            "tuner": "random",
            "max_trials": TRIALS,
            "workers": 3,
        },
        "space": SPACE,
        "confirm": {},
    }
)
PROFILE = (
    *("--profile", "slurm", *IMPATIENT, "--verbose"),
    *("--set-threads", "tune=1"),
    *("--set-resources", "tune:gpus_per_replica=1", "tune:slurm_partition=gpu"),
)


class Search:
    """What is left of a search, one worker of which was killed while it trained."""

    def __init__(self, clone: Clone) -> None:
        self.root = clone.results()
        state = self.root / "search" / "tuner" / "oracle.json"
        target = "results/tiny/search/explore.json"
        with ended(clone.start(STUDY, *PROFILE, "--", target)) as process:
            clone.spoil_study()
            wait_until(lambda: "worker1-0" in _ongoing(state), PATIENCE)
            self.lost = _ongoing(state)["worker1-0"]
            _worker(clone.folder, "1").kill()
            self.output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, self.output
        self.trials: list[TunerTrial] = read_trials(state)
        self.explored: dict[str, Any] = json.loads(Path(clone.folder / target).read_text())

    def log(self, name: str) -> str:
        return (self.root / "logs" / name).read_text()


def _ongoing(state: Path) -> dict[str, str]:
    if not state.exists():
        return {}
    found: dict[str, str] = json.loads(state.read_text())["state"]["ongoing_trials"]
    return found


def _worker(folder: Path, number: str) -> psutil.Process:
    """Return a worker of the search in a folder: its nodes are all on this machine."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_worker = (
                "gridfold.search.tuner.worker" in process.cmdline()
                and process.name() != "srun"
                and Path(process.cwd()) == folder
            )
            if is_worker and process.environ().get("SLURM_PROCID") == number:
                return process
    raise AssertionError(f"no worker {number}")


@pytest.fixture(scope="module")
def search(cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Search:
    clone = Clone(tmp_path_factory.mktemp("clone"), cluster, shares_forks=True)
    clone.prepare(STUDY)
    return Search(clone)


def test_the_search_survives_one_of_its_workers(search: Search) -> None:
    assert [trial.status for trial in search.trials] == ["COMPLETED"] * TRIALS
    assert f"trial {search.lost} is given out again: worker1-0 is gone" in search.log("tune.log")
    assert len(search.explored["configurations"]) == TRIALS


def test_chief_and_workers_share_one_allocation(search: Search) -> None:
    [call] = re.findall(r"^sbatch call: (.*--comment rule_tune .*)$", search.output, re.M)
    assert re.search(r"--ntasks[= ]3\b", call)
    assert "--cpus-per-task=1" in call
    assert re.search(r"--gres[= ]'?gpu:3", call)
    program = r"srun .*--ntasks=3 .*gridfold\.search\.tuner\.worker.*"
    assert re.search(program, search.log("tune.log")) is not None


def test_every_worker_has_a_gpu_of_its_own(search: Search) -> None:
    gpus = [
        re.search(r"1 at a time, on GPUs (\S+)$", search.log(f"tune_workers/worker{n}.log"), re.M)
        for n in range(3)
    ]
    assert len({match[1] for match in gpus if match}) == 3


# Leaves where its Python is, and on which node.
MODEL = """
import os
import sys
from pathlib import Path

import keras


def build_model(hp, input_shape, outputs):
    place = Path(f"seen-by-{os.environ.get('SLURM_PROCID')}")
    place.write_text(f"{sys.prefix} {os.environ.get('SLURMD_NODENAME')}")
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(hp.Choice("units", [4, 5, 6, 7]))(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
"""


def test_workers_on_two_nodes_are_each_in_a_container(
    cluster: SlurmCluster, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clone = Clone(tmp_path_factory.mktemp("clone"), cluster, shares_forks=True)
    strategy = {"type": "keras_tuner", "tuner": "random", "max_trials": 4, "workers": 2}
    study = tiny(
        model={"python": {"build": "own.py:build_model"}},
        search={"strategy": strategy, "space": {"python.units": [4, 5, 6, 7]}},
    )
    (clone.folder / "own.py").write_text(MODEL)
    clone.prepare(study)
    record = engine.install(tmp_path / "engine", hidden=clone.folder.parent)
    clone.environment["PATH"] = f"{record.parent / 'bin'}:{clone.environment['PATH']}"
    words = (
        *("--profile", "slurm", *IMPATIENT, "--sdm", "apptainer"),
        *("--set-threads", "tune=1", "--set-resources", "tune:ranks_per_node=1"),
    )
    target = "results/tiny/search/explore.json"
    with ended(clone.start(study, *words, "--", target)) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    seen = [(clone.folder / f"seen-by-{n}").read_text().split() for n in range(2)]
    assert [prefix for prefix, _ in seen] == [engine.PREFIX] * 2
    assert len({node for _, node in seen}) == 2
    assert len(json.loads((clone.folder / target).read_text())["configurations"]) == 4

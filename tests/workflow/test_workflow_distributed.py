"""Studies with several replicas, from study file to report, through Snakemake itself."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from distributed import needs_horovod, needs_mpi
from workspaces import Workspace, tiny


def shared(backend: str, sizes: list[int], **changes: Any) -> dict[str, Any]:
    study = tiny(
        training={
            "epochs": 3,
            "optimizer": "sgd",
            "learning_rate": 0.1,
            "distribution": {"backend": backend},
        },
        search={"space": {"training.distribution.world_size": sizes}},
    )
    return study | changes


def result(workspace: Workspace, name: str) -> Path:
    return workspace.folder / "results" / "tiny" / name


@pytest.mark.daily("studies on several devices", 2)
@needs_mpi
def test_world_size_is_an_axis_and_more_replicas_change_no_score(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.snakemake(shared("horovod", [1, 2]))
    trials = pd.read_csv(result(workspace, "tables/trials.csv"))
    assert sorted(trials["world_size"]) == [1, 1, 2, 2]
    by_size = trials.pivot(index="split", columns="world_size", values="log_loss")
    # The same first weights and the same order of samples: they differ by rounding alone.
    assert by_size[1].to_numpy() == pytest.approx(by_size[2].to_numpy(), abs=1e-3)

    scaling = pd.read_csv(result(workspace, "tables/scaling.csv")).set_index("world_size")
    assert scaling.loc[1, "efficiency"] == 1
    assert scaling.loc[2, "speedup"] == pytest.approx(
        scaling.loc[2, "samples_per_second"] / scaling.loc[1, "samples_per_second"]
    )
    page = result(workspace, "report.html").read_text()
    assert 'id="scaling"' in page
    assert "counts the samples over all replicas" in page

    # A larger world is more trials; what is finished stays.
    jobs = workspace.planned_jobs(shared("horovod", [1, 2, 3]))
    assert jobs["train_distributed"] == 1
    assert "train" not in jobs


@pytest.mark.daily("studies on several devices", 2)
@needs_horovod
def test_without_mpi_the_ranks_meet_over_gloo(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    # All programs but those of MPI.
    programs = tmp_path / "bin"
    programs.mkdir()
    for folder in ("/usr/bin", "/bin"):
        for program in Path(folder).iterdir():
            link = programs / program.name
            if not program.name.startswith(("mpi", "orte")) and not link.exists():
                link.symlink_to(program)
    own = [p for p in os.environ["PATH"].split(os.pathsep) if shutil.which("snakemake", path=p)]
    workspace.environment["PATH"] = os.pathsep.join([*own, str(programs)])
    workspace.snakemake(shared("horovod", [2]), "results/tiny/final/card.json")
    log = next(result(workspace, "logs/train_distributed").iterdir()).read_text()
    assert "horovodrun --gloo" in log
    assert json.loads(result(workspace, "final/trained.json").read_text())["trained_here"]
    card = json.loads(result(workspace, "final/card.json").read_text())
    assert card["training"]["epochs"] >= 1


@pytest.mark.daily("studies on several devices", 2)
def test_mirrored_devices_train_trials_and_the_final_model(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.snakemake(shared("mirrored", [2]))
    trials = pd.read_csv(result(workspace, "tables/trials.csv"))
    assert set(trials["world_size"]) == {2}
    assert json.loads(result(workspace, "final/trained.json").read_text())["trained_here"]
    # The final fit has found the weights that the devices had trained together.
    log = result(workspace, "logs/train_final.log").read_text()
    assert "final model: epoch" in log
    assert not result(workspace, "tables/scaling.csv").exists()


@pytest.mark.daily("studies on several devices", 2)
@needs_horovod
def test_a_rank_that_fails_is_named_in_the_terminal(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    (tmp_path / "model.py").write_text(
        "import keras\n\n\nclass Broken(keras.Model):\n"
        "    def train_step(self, data):\n        raise RuntimeError('out of luck')\n\n\n"
        "def build(hp, input_shape, outputs):\n"
        "    inputs = keras.Input(input_shape)\n"
        "    dense = keras.layers.Dense(outputs, activation='softmax')\n"
        "    x = dense(keras.layers.Flatten()(inputs))\n"
        "    return Broken(inputs, x)\n"
    )
    study = shared(
        "horovod",
        [2],
        model={"python": {"build": "model.py:build"}},
        resampling={"method": "holdout"},
        execution={"retries": 0},
    )
    answer = workspace.snakemake(study, expect=1)
    assert "RuntimeError: out of luck" in answer.stderr
    assert "rank " in answer.stderr

"""Rules in a container: their commands, and what they see in another root.

The engine is a stand-in (:mod:`engine`). `make image-test` runs this with the root of an image that
is built from its definition; otherwise the root is made of this machine's programs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import engine
import pytest
from distributed import need_mpi, started_by
from image import Definition
from sklearn.datasets import load_iris
from studies import tiny_study, write_study
from workbench import ROOT
from workspaces import LEAN

IMAGE = str(ROOT / "workflow" / "envs" / "gridfold.sif")
# What the machine's launcher is told here, which has fewer cores than ranks.
OUTSIDE = "mpirun --oversubscribe --bind-to none"


def commands(folder: Path, study: dict[str, Any], *words: str) -> list[list[str]]:
    """Run a study in the stand-in and return what it was told for each job."""
    record = engine.install(folder.parent / "engine", hidden=folder.parent)
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--configfile", str(write_study(folder / "study.yaml", study)), "--cores", "2"),
            *("--sdm", "apptainer", *words),
        ],
        cwd=folder,
        env={**os.environ, "PATH": f"{record.parent / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return [json.loads(line) for line in record.read_text().splitlines()]


@pytest.mark.parametrize("name", ["gridfold", "gridfold-cpu"])
def test_an_image_gets_all_that_the_package_is_built_of(name: str) -> None:
    definition = Definition.read(ROOT / "workflow" / "envs" / f"{name}.def")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    needed = {"src", "pyproject.toml", "uv.lock", project["project"]["readme"], *included}
    targets = dict(definition.files)
    assert needed <= set(targets)
    assert all(targets[name] == f"/opt/gridfold/{name}" for name in needed)


def test_every_script_runs_in_the_image_with_gpus_and_binds(tmp_path: Path) -> None:
    folder, data, other = (tmp_path / name for name in ("work", "data", "other"))
    for each in (folder, data, other):
        each.mkdir()
    iris = load_iris(as_frame=True).frame
    iris.to_csv(data / "iris.csv", index=False)
    study = tiny_study(
        data={"source": "csv", "path": str(data / "iris.csv"), "targets": ["target"]}
    )
    options = ["--apptainer-args", f"--nv --bind {other},/var/tmp"]
    shard = "results/tiny/shards/s0001.trials.parquet"
    told = commands(folder, study, *options, "--", shard)
    scripts = []
    for words in told:
        assert words[:6] == ["exec", "--home", str(folder), "--nv", "--bind", f"{other},/var/tmp"]
        assert words[-4:-1] == [IMAGE, "bash", "-c"]
        # Python comes from the image: a name, no path of this machine.
        script = re.search(r"\bpython \S*/tmp\w+\.(\w+)\.py$", words[-1])
        assert script, words[-1]
        scripts.append(script[1])
        # Snakemake itself comes from the host: the script unpickles its objects.
        binds = [words[n + 1] for n, word in enumerate(words) if word == "--bind"]
        assert any(":/mnt/snakemake" in bind for bind in binds)
        assert {str(ROOT), str(data)} < set(binds), "the rules and the data lie elsewhere"
        assert str(folder) not in binds
    assert scripts == ["prepare_data", "make_splits", "train"]


# Leaves where its Python is, and who has started it.
MODEL = """
import os
import sys
from pathlib import Path

import keras


def build_model(hp, input_shape, outputs):
    rank = os.environ.get("OMPI_COMM_WORLD_RANK")
    Path(f"seen-by-{rank}").write_text(sys.prefix)
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(hp.Choice("units", [4, 5, 6, 7]))(inputs)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
"""


@pytest.mark.daily("containers", 1)
@pytest.mark.parametrize("launcher", ["", OUTSIDE])
def test_ranks_run_in_the_image_whoever_starts_them(launcher: str, tmp_path: Path) -> None:
    need_mpi()
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "own.py").write_text(MODEL)
    study = tiny_study(
        model={"python": {"build": "own.py:build_model"}},
        training={
            "epochs": 1,
            "batch_size": 32,
            "distribution": {"backend": "horovod", "world_size": 2},
        },
        search={"space": {"python.units": [4]}},
        resampling={"method": "holdout"},
        execution={"start_timeout": 300},
        report=LEAN,
    )
    rules = ("train_distributed", "train_final")
    named = [f"{rule}:launcher={launcher!r}" for rule in rules if launcher]
    options = ["--set-resources", *named] if named else []
    told = commands(folder, study, *options, "--", "results/tiny/final/card.json")
    results = folder / "results" / "tiny"
    for rank in range(2):
        assert (folder / f"seen-by-{rank}").read_text() == engine.PREFIX
    assert json.loads((results / "final" / "trained.json").read_text())["trained_here"]
    logs = ("train_distributed/d0001.log", "train_final.log")
    order = ["mpirun", "apptainer"] if launcher else ["apptainer", "mpirun"]
    for log in logs:
        assert started_by(results / "logs" / log) == order
    starts = [words for words in told if "gridfold.jobs.rank" in words]
    # A container for all ranks, or for each: of the search, and of the final model.
    assert len(starts) == 2 * (2 if launcher else 1)
    for words in starts:
        assert words[:3] == ["exec", "--home", str(folder)]
        assert words[words.index(IMAGE) :][1:5] == ["bash", "-c", 'exec "$@"', "bash"]


@pytest.mark.daily("containers", 1)
def test_workers_of_a_search_are_each_in_the_image(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "own.py").write_text(MODEL)
    strategy = {"type": "keras_tuner", "tuner": "random", "max_trials": 3, "workers": 2}
    study = tiny_study(
        model={"python": {"build": "own.py:build_model"}},
        training={"epochs": 1, "batch_size": 32},
        search={"strategy": strategy, "space": {"python.units": [4, 5, 6, 7]}},
        resampling={"method": "holdout"},
        report=LEAN,
    )
    explored = "results/tiny/search/explore.json"
    told = commands(folder, study, "--", explored)
    assert (folder / "seen-by-None").read_text() == engine.PREFIX
    starts = [words for words in told if "gridfold.search.tuner.worker" in words]
    assert len(starts) == 2
    for words in starts:
        assert words[words.index(IMAGE) :][1:5] == ["bash", "-c", 'exec "$@"', "bash"]
        assert words[-4:-1] == ["python", "-m", "gridfold.search.tuner.worker"]
    # Its chief is outside, and finds what they have trained by the image's versions.
    assert not [words for words in told if "tune.py" in " ".join(words)]
    assert len(json.loads((folder / explored).read_text())["configurations"]) == 3

"""Rules in a container, as far as it goes without an engine: the exact commands.

The stand-in for Apptainer writes down what it is told and then runs the command outside of any
container, so that the jobs go on. What an image does with the command is not tested here.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from distributed import need_mpi
from sklearn.datasets import load_iris
from studies import tiny_study, write_study
from workbench import ROOT

ENGINE = """#!{python}
import json, os, sys
words = sys.argv[1:]
if words == ["--version"]:
    print("apptainer version 1.4.0")
    sys.exit()
with open("{record}", "a") as record:
    record.write(json.dumps(words) + "\\n")
# The shell, -c and the command come last.
os.execvp(words[-3], words[-3:])
"""
IMAGE = str(ROOT / "workflow" / "envs" / "gridfold.sif")


def commands(folder: Path, study: dict[str, Any], *targets: str) -> list[list[str]]:
    """Run a study in the stand-in and return what it was told for each job."""
    record, engine = folder / "record.jsonl", folder / "bin" / "apptainer"
    engine.parent.mkdir()
    engine.write_text(ENGINE.format(python=sys.executable, record=record))
    engine.chmod(engine.stat().st_mode | stat.S_IXUSR)
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--configfile", str(write_study(folder / "study.yaml", study)), "--cores", "2"),
            *("--sdm", "apptainer", "--apptainer-args", "--nv --bind /data,/scratch"),
            *("--", *targets),
        ],
        cwd=folder,
        env={**os.environ, "PATH": f"{engine.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return [json.loads(line) for line in record.read_text().splitlines()]


def test_every_script_runs_in_the_image_with_gpus_and_binds(tmp_path: Path) -> None:
    folder, data = tmp_path / "work", tmp_path / "data"
    for each in (folder, data):
        each.mkdir()
    iris = load_iris(as_frame=True).frame
    iris.to_csv(data / "iris.csv", index=False)
    study = tiny_study(
        data={"source": "csv", "path": str(data / "iris.csv"), "targets": ["target"]}
    )
    told = commands(folder, study, "results/tiny/shards/s0001.trials.parquet")
    scripts = []
    for words in told:
        assert words[:6] == ["exec", "--home", str(folder), "--nv", "--bind", "/data,/scratch"]
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


def test_ranks_are_started_in_the_image_by_its_own_python(tmp_path: Path) -> None:
    need_mpi()
    study = tiny_study(
        training={
            "epochs": 1,
            "batch_size": 32,
            "distribution": {"backend": "horovod", "world_size": 2},
        },
        search={"space": {"mlp.units": [4]}},
        resampling={"method": "holdout"},
        execution={"start_timeout": 300},
    )
    *_, words = commands(tmp_path, study, "results/tiny/shards/d0001.trials.parquet")
    assert words[:6] == ["exec", "--home", str(tmp_path), "--nv", "--bind", "/data,/scratch"]
    script = ROOT / "workflow" / "scripts" / "train_distributed.py"
    assert re.search(rf"\bpython {re.escape(str(script))} --study ", words[-1]), words[-1]
    assert str(ROOT) in words

"""A study in the user's own repository: a new folder, modules, an installed package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import warm
import yaml
from needs import lacking
from studies import write_study
from workbench import ROOT, shared_forks

from gridfold import workflow_path
from gridfold.cli import new
from gridfold.jobs.fork_server import TABLES, TRAINING

SMALL = {"python.units": [4, 8]}
MODEL = """
import keras
from parts.blocks import block


def build_model(hp, input_shape, outputs):
    inputs = keras.Input(input_shape)
    tensor = block(inputs, hp.Int("units", 1, 99))
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(tensor))
"""
BLOCKS = """
import keras


def block(tensor, units):
    return keras.layers.Dense(units, activation="relu")(tensor)
"""


def snakemake(
    cwd: Path, *options: str | Path, expect: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    with nullcontext() if environment else shared_forks(TRAINING, TABLES):
        answer = warm.snakemake(cwd, list(map(str, options)), environment)
    assert answer.returncode == expect, answer.stdout + answer.stderr
    return answer


def planned(answer: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Return how many jobs of each rule a dry run would start."""
    found = re.findall(r"^(\w+)\s+(\d+)$", answer.stdout + answer.stderr, re.M)
    return {rule: int(count) for rule, count in found}


def shrink(study: Path) -> None:
    content = yaml.safe_load(study.read_text())
    content["training"]["epochs"] = 1
    content["search"]["space"] = SMALL
    content["resampling"]["folds"] = 2
    study.write_text(yaml.safe_dump(content))


def tiny(name: str, source: str) -> dict[str, Any]:
    return {
        "study": name,
        "data": {"source": source},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {"units": 4}},
        "training": {"epochs": 1},
        "resampling": {"method": "stratified", "folds": 2},
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new folder whose model imports a module of its own, run from another one."""
    folder = tmp_path_factory.mktemp("outside") / "My project"
    new.create(folder)
    shrink(folder / "study.yaml")
    (folder / "model.py").write_text(MODEL)
    (folder / "parts").mkdir()
    (folder / "parts" / "blocks.py").write_text(BLOCKS)
    snakemake(folder.parent, "--snakefile", folder / "Snakefile", "--cores", "2")
    return folder


def test_a_new_project_runs_from_any_folder_and_keeps_its_results_together(project: Path) -> None:
    assert (project / "results" / "my-project" / "report.html").exists()
    assert (project / "results" / "my-project" / "ledger.jsonl").exists()
    assert not (project.parent / "results").exists()
    # Its own profile says how many cores.
    assert "Nothing to be done" in snakemake(project).stderr


def test_logic_of_an_imported_module_retrains_and_its_comments_do_not(project: Path) -> None:
    blocks = project / "parts" / "blocks.py"
    blocks.write_text("# A remark.\n" + BLOCKS)
    assert "train" not in planned(snakemake(project, "--dry-run"))
    blocks.write_text(BLOCKS.replace("relu", "tanh"))
    assert planned(snakemake(project, "--dry-run"))["train"] == 1
    blocks.write_text(BLOCKS)


def test_a_new_project_is_ready_for_slurm(project: Path) -> None:
    answer = snakemake(project, "--profile", "slurm", "--dry-run", "--forceall")
    assert planned(answer)["train"] == 1


def test_the_command_line_overrides_a_projects_study(project: Path, tmp_path: Path) -> None:
    other = write_study(tmp_path / "other.yaml", tiny("other", "iris"))
    answer = snakemake(project, "--configfile", other, "--dry-run")
    assert "Study other: multiclass on iris" in answer.stderr
    answer = snakemake(project, "--dry-run", "--config", "training={epochs: 1, batch_size: 8}")
    assert "Study my-project" in answer.stderr
    assert planned(answer)["train"] == 1


TWO = """
module first:
    snakefile: {snakefile!r}
    config: {{"study_files": ["first.yaml"]}}

use rule * from first as first_*

module second:
    snakefile: {snakefile!r}
    config: {{"study_files": "second.yaml", "results": "elsewhere", "training": {{"epochs": 2}}}}

use rule * from second as second_*

rule both:
    default_target: True
    input:
        rules.first_collect.output.trials_csv,
        rules.second_collect.output.trials_csv,

onstart:
    first.onstart()
    second.onstart()
"""


def test_two_studies_run_in_one_invocation(tmp_path: Path) -> None:
    write_study(tmp_path / "first.yaml", tiny("one", "iris"))
    write_study(tmp_path / "second.yaml", tiny("two", "wine"))
    (tmp_path / "Snakefile").write_text(TWO.format(snakefile=workflow_path()))
    snakemake(tmp_path, "--cores", "2")
    rows = {}
    for root in ("results/one", "elsewhere/two"):
        lines = (tmp_path / root / "tables" / "trials.csv").read_text().splitlines()
        rows[root] = len(lines) - 1
        assert (tmp_path / root / "ledger.jsonl").exists()
    assert rows == {"results/one": 2, "elsewhere/two": 2}
    assert list((tmp_path / "elsewhere" / "two" / "runs").glob("*/r0f0/result-00002.json"))


# As snakedeploy writes it, but for the address.
DEPLOYED = """
configfile: "config/config.yaml"

module gridfold:
    snakefile: {snakefile!r}
    config: config

use rule * from gridfold
"""


def test_a_deployed_module_takes_its_study_from_snakemakes_config(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "workflow").mkdir()
    snakefile = tmp_path / "workflow" / "Snakefile"
    snakefile.write_text(DEPLOYED.format(snakefile=workflow_path()))
    assert "Study demo" in snakemake(tmp_path, "--dry-run", "--cores", "1").stderr
    write_study(tmp_path / "config" / "config.yaml", tiny("deployed", "iris"))
    answer = snakemake(tmp_path, "--dry-run", "--cores", "1")
    assert "Study deployed: multiclass on iris" in answer.stderr
    assert planned(answer)["fit_final"] == 1
    other = write_study(tmp_path / "other.yaml", tiny("other", "wine"))
    answer = snakemake(tmp_path, "--dry-run", "--cores", "1", "--config", "study=renamed")
    assert "Study renamed: multiclass on iris" in answer.stderr
    snakefile.write_text(snakefile.read_text().replace("configfile:", "# "))
    answer = snakemake(tmp_path, "--dry-run", "--cores", "1", "--configfile", other)
    assert "Study other: multiclass on wine" in answer.stderr


def test_a_modules_prefix_is_refused_with_what_to_do_instead(tmp_path: Path) -> None:
    write_study(tmp_path / "study.yaml", tiny("one", "iris"))
    (tmp_path / "Snakefile").write_text(
        f"module g:\n    snakefile: {workflow_path()!r}\n    prefix: 'there'\n"
        "    config: {'study_files': ['study.yaml']}\n\nuse rule * from g\n"
    )
    answer = snakemake(tmp_path, "--dry-run", "--cores", "1", expect=1)
    assert "prefix: moves declared files only" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_an_installed_package_needs_no_clone(tmp_path: Path) -> None:
    uv = shutil.which("uv") or ROOT / ".tools" / "bin" / "uv"
    if not Path(uv).exists():
        lacking("uv is not on the path, so the built package was NOT tested")
    subprocess.run([uv, "build", "--wheel", "-q", "-o", tmp_path / "dist", ROOT], check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    installed = {"PYTHONPATH": str(tmp_path / "site")}
    subprocess.run(
        [sys.executable, "-c", "from gridfold.cli.main import main; main(['new', 'project'])"],
        cwd=tmp_path,
        env={**os.environ, **installed},
        check=True,
    )
    project = tmp_path / "project"
    shrink(project / "study.yaml")
    snakemake(project, "results/project/tables/trials.csv", **installed)
    log = (project / "results" / "project" / "logs" / "train" / "s0001.log").read_text()
    assert "4 trials, 0 known, 4 to train" in log
    code = "import gridfold; print(gridfold.workflow_path())"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **installed},
        capture_output=True,
        text=True,
    )
    assert answer.stdout.startswith(str(tmp_path / "site"))

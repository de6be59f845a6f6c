"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rulefiles import RULES
from workbench import ROOT

from gridfold.plan import fingerprint

SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))


def test_there_are_rules_to_check() -> None:
    assert {"prepare_data", "train", "collect", "fit_final", "report"} <= set(RULES)


def test_what_the_snakefile_imports_is_light() -> None:
    code = "import sys, gridfold.workflow.bridge; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"tensorflow", "keras", "pandas", "sklearn", "scipy", "matplotlib", "pyarrow"}
    assert not heavy & set(loaded)


def test_the_command_line_starts_without_heavy_imports() -> None:
    code = "import sys, gridfold.cli.main; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"tensorflow", "keras", "pandas", "numpy", "pydantic", "snakemake", "yaml"}
    assert not heavy & set(loaded)


@pytest.mark.parametrize("module", ["tables.trials", "statistics.summary"])
def test_jobs_between_tables_import_only_what_reads_tables(module: str) -> None:
    code = f"import sys, gridfold.{module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"keras", "sklearn", "scipy", "matplotlib", "pydantic"} & set(loaded)


def test_the_snakefile_is_thin() -> None:
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 55


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_complete(rule: str) -> None:
    body = RULES[rule]
    for directive in ("output", "log", "benchmark", "message"):
        assert re.search(rf"^    {directive}:", body, re.M), f"{rule} has no {directive}"
    assert f'PATHS.log("{rule}"' in body
    assert f'PATHS.benchmark("{rule}"' in body
    for directive in ("input", "output"):
        block = re.search(rf"^    {directive}:\n((?:        .*\n)+)", body, re.M)
        for line in (block[1] if block else "").splitlines():
            if re.match(r" {8}\S", line) and not line.strip().startswith((")", "]", "}", "#")):
                assert re.match(r" {8}(\w+=|\*\*)", line), f"{rule}: unnamed {directive}: {line}"
    # A script, or a command that runs one.
    assert f'"../workflow/scripts/{rule}.py"' in body or f'SCRIPTS / "{rule}.py"' in body


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_scripts_are_thin_adapters_of_a_rule(script: object) -> None:
    text = script.read_text()  # type: ignore[attr-defined]
    assert script.stem in RULES  # type: ignore[attr-defined]
    assert len([line for line in text.splitlines() if line.strip()]) <= 40
    for node in ast.parse(text).body:
        if isinstance(node, ast.If):
            assert ast.unparse(node.test) == "__name__ == '__main__'"
        else:
            assert "snakemake" not in {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


# Modules that `training` uses and whose edits retrain nothing: they carry requests and results, or
# hold declarations that are part of a trial's settings, or say how to read the same samples
# fastest.
NEUTRAL = {
    "atomic",
    "canonical",
    "data.columns",
    "data.dataset",
    "data.splits",
    "environment.machine",
    "errors",
    "problems",
    "store.trials",
    "study.sections.model",
    "study.sections.training",
    "usercode.functions",
    "usercode.sources",
}


def test_what_training_uses_is_in_its_fingerprint_or_neutral() -> None:
    """Whatever training imports from the package can change its numbers, or is listed above."""
    package = ROOT / "src" / "gridfold"
    used = set()
    for file in (package / "training").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gridfold"):
                inner = (node.module or "").partition(".")[2].replace(".", "/")
                names = [f"{inner}/{alias.name}".strip("/") for alias in node.names]
                used |= {n if (package / f"{n}.py").exists() else inner for n in names}
    outside = {name.replace("/", ".") for name in used if not name.startswith("training")}
    in_fingerprint = {
        name.removesuffix(".py").replace("/", ".") for name in fingerprint.OUTSIDE_THE_FOLDER
    }
    assert outside == NEUTRAL | in_fingerprint


SLURM = re.compile(
    r"(squeue|scontrol|sacct|sacctmgr|sbatch|scancel|srun|sinfo)( |\Z)|.*\bSLURMD?_[A-Z]", re.S
)


def texts_in(file: Path) -> Iterator[str]:
    """Yield the texts in the code of a module that are no docstrings."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            yield node.value


def test_only_one_package_gives_commands_to_slurm_and_reads_its_variables() -> None:
    """Sentences for people may name a command; `advice` knows Slurm's own sentences."""
    package = ROOT / "src" / "gridfold"
    found = [
        (str(file.relative_to(ROOT)), text)
        for file in [*package.rglob("*.py"), *SCRIPTS]
        if file.parent != package / "cluster" and file != package / "advice.py"
        for text in texts_in(file)
        if SLURM.match(text)
    ]
    assert not found
    known = {text for file in (package / "cluster").glob("*.py") for text in texts_in(file)}
    assert {"squeue", "scontrol", "sacct", "sbatch", "srun", "SLURM_JOB_ID"} <= known


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the imports of a copy of the package by the contract of the project."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--no-logo"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_import_against_the_layers_is_refused(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src")
    assert lint_imports(tmp_path).returncode == 0
    with (tmp_path / "src" / "gridfold" / "study" / "objectives.py").open("a") as module:
        module.write("\nfrom gridfold.report import page  # noqa\n")
    refused = lint_imports(tmp_path)
    assert refused.returncode != 0
    assert "gridfold.study is not allowed to import gridfold.report" in refused.stdout

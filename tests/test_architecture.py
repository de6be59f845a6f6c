"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest
from workbench import ROOT

RULE_FILES = sorted((ROOT / "rules").glob("*.smk"))
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
RULES = {
    match[1]: match[2]
    for file in RULE_FILES
    for match in re.finditer(r"^rule (\w+):\n((?:    .*\n|\n)+)", file.read_text(), re.M)
}


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
    assert not {"tensorflow", "keras", "pandas"} & set(loaded)


@pytest.mark.parametrize("module", ["tables", "summary"])
def test_jobs_between_tables_import_only_what_reads_tables(module: str) -> None:
    code = f"import sys, gridfold.{module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"keras", "sklearn", "scipy", "matplotlib", "pydantic"} & set(loaded)


def test_the_snakefile_is_thin() -> None:
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 50


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


def test_training_modules_are_named_in_the_fingerprint() -> None:
    """Whatever training imports from the package can change its numbers, or is listed here."""
    from gridfold.environment import versions

    # These carry requests and results, or hold declarations that are part of the settings.
    neutral = {"canonical", "data", "errors", "runstore", "splits", "task", "atomic", "references"}
    neutral |= {"columns", "kinds"}
    seen: set[str] = set()
    todo = ["training"]
    while todo:
        name = todo.pop()
        if name in seen or name in neutral or name.startswith("study"):
            continue
        seen.add(name)
        tree = ast.parse((ROOT / "src" / "gridfold" / f"{name}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gridfold"):
                inner = (node.module or "").partition(".")[2]
                todo += [inner.partition(".")[0]] if inner else [a.name for a in node.names]
    assert seen == set(versions._TRAINING_MODULES)


def test_long_modules_are_few() -> None:
    long = {
        file.name: count
        for file in (ROOT / "src" / "gridfold").rglob("*.py")
        if (count := len(file.read_text().splitlines())) > 400
    }
    assert not long

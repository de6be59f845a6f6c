"""Notebooks as jobs: run on the results, explained when a cell fails, rerun when they change."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from studies import tiny_study, write_study
from synthetic import Finished, finished
from workbench import ROOT

from gridfold.errors import StudyError
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.loading import load_study
from gridfold.plan.plan import Plan
from gridfold.usercode import notebooks

SHIPPED = ROOT / "workflow" / "notebooks" / "analysis.ipynb"
RUN = """
import json, sys
from pathlib import Path
from gridfold.jobs.job import job
from gridfold.report import notebook
source, parameters, folder = sys.argv[1:]
with job(f"{folder}/run.log"):
    notebook.run(Path(source), json.loads(parameters),
                 Path(folder) / "notebook.ipynb", Path(folder) / "notebook.html")
"""


def write_notebook(file: Path, *cells: str, language: str = "python") -> Path:
    """Write a notebook whose first cell is text and whose second one is for parameters."""
    content = new_notebook(
        cells=[
            new_markdown_cell("# Mine"),
            new_code_cell("study = 'none'", metadata={"tags": ["parameters"]}),
            *map(new_code_cell, cells),
        ],
        metadata={"kernelspec": {"name": "other", "language": language, "display_name": "x"}},
    )
    nbformat.write(content, file)
    return file


def run(
    source: Path, folder: Path, parameters: dict[str, Any] | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    given = json.dumps({"study": "tiny"} if parameters is None else parameters)
    return subprocess.run(
        [sys.executable, "-c", RUN, str(source), given, str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )


def outputs(file: Path) -> list[str]:
    cells = nbformat.read(file, as_version=4).cells
    return [o.get("text", "") for c in cells for o in c.get("outputs", [])]


def tables_of(study: Finished, folder: Path) -> dict[str, str]:
    files = {}
    for name in ("trials", "epochs", "configurations"):
        files[name] = str(folder / f"{name}.parquet")
        getattr(study, name).to_parquet(files[name])
    files["best"] = str(folder / "best.json")
    study.best.write(Path(files["best"]))
    return files


def test_a_notebook_runs_with_this_python_and_an_empty_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    source = write_notebook(
        tmp_path / "mine.ipynb",
        "import sys, os\nprint(sys.executable)",
        "print(study, os.getcwd())",
    )
    answer = run(source, tmp_path / "out", HOME=str(home))
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    said = outputs(tmp_path / "out/notebook.ipynb")
    assert said == [f"{sys.executable}\n", f"tiny {Path.cwd()}\n"]
    assert not list(home.rglob("*kernel*"))
    assert not (tmp_path / "out/unfinished.ipynb").exists()
    assert "WARNING" not in (tmp_path / "out/run.log").read_text()


def test_kernels_of_the_user_are_not_taken_for_ours(tmp_path: Path) -> None:
    for name in ("python3", "gridfold", "other"):
        kernel = tmp_path / ".local/share/jupyter/kernels" / name
        kernel.mkdir(parents=True)
        spec = {"argv": ["/bin/false"], "display_name": name, "language": "python"}
        (kernel / "kernel.json").write_text(json.dumps(spec))
    source = write_notebook(tmp_path / "mine.ipynb", "print(1 + 1)")
    answer = run(source, tmp_path / "out", HOME=str(tmp_path))
    assert answer.returncode == 0, answer.stderr
    assert outputs(tmp_path / "out/notebook.ipynb") == ["2\n"]


def test_the_shipped_notebook_analyses_a_study_and_asks_nothing_of_a_network(
    tmp_path: Path,
) -> None:
    study = finished(tmp_path, space={"mlp.units": [4, 8], "mlp.activation": ["relu", "tanh"]})
    parameters = {
        "study": "tiny",
        "results": "results/tiny",
        "tables": tables_of(study, tmp_path),
    }
    answer = run(SHIPPED, tmp_path / "out", parameters)
    assert answer.returncode == 0, answer.stderr
    said = outputs(tmp_path / "out/notebook.ipynb")
    assert "tiny: 4 configurations, 20 trials in results/tiny\n" in said
    page = (tmp_path / "out/notebook.html").read_text()
    assert study.best.label in page
    assert "data:image/png;base64" in page
    assert not re.search(r"""(?:src|href|import)\s*[=(]\s*["']https?:""", page)
    assert "default-src 'none'" in page


def test_the_shipped_notebook_has_no_outputs_and_tells_its_parameters() -> None:
    content = nbformat.read(SHIPPED, as_version=4)
    nbformat.validate(content)
    assert not any(cell.get("outputs") for cell in content.cells)
    (parameters,) = [c for c in content.cells if "parameters" in c.metadata.get("tags", [])]
    names: dict[str, Any] = {}
    exec(parameters.source, names)
    rules = (ROOT / "rules" / "report.smk").read_text()
    block = re.search(r"rule run_notebook:\n    input:\n((?: {8}.*\n)+)", rules)
    assert block
    assert list(names["tables"]) == re.findall(r"^ {8}(\w+)=", block[1], re.M)


def test_a_failing_cell_is_shown_with_its_number_source_and_traceback(tmp_path: Path) -> None:
    source = write_notebook(
        tmp_path / "mine.ipynb",
        "print('before')",
        "values = {}\nvalues['nothing']",
        "print('after')",
    )
    answer = run(source, tmp_path / "out")
    assert answer.returncode == 1
    assert "cell 4 of 5 failed: KeyError: 'nothing'" in answer.stderr
    assert "\n    values['nothing']\n" in answer.stderr
    assert "\x1b" not in answer.stderr
    traceback = answer.stderr.partition("Traceback")[2]
    assert "----> 2" in traceback
    assert len(answer.stderr.splitlines()) < 30, "nothing of Jupyter's own"
    assert "KeyError: 'nothing'" in (tmp_path / "out/run.log").read_text()
    assert outputs(tmp_path / "out/unfinished.ipynb")[0] == "before\n"
    assert not (tmp_path / "out/notebook.html").exists()


def test_a_kernel_that_dies_is_explained(tmp_path: Path) -> None:
    source = write_notebook(tmp_path / "mine.ipynb", "import os\nos._exit(9)")
    answer = run(source, tmp_path / "out")
    assert answer.returncode == 1
    assert "cell 3 of 3 failed: its kernel ended without a word" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no such file"),
        ("nothing", "is not JSON"),
        ("[1]", "has no cells"),
        ('{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}', "is written in R"),
    ],
)
def test_what_can_not_be_run_is_refused_with_the_study(
    tmp_path: Path, content: str | None, found: str
) -> None:
    file = tmp_path / "mine.ipynb"
    if content is not None:
        file.write_text(content)
    study = write_study(tmp_path / "study.yaml", tiny_study(report={"notebook": str(file)}))
    with pytest.raises(StudyError, match=found) as caught:
        load_study([study])
    assert caught.value.problems[0].path == ("report", "notebook")


def test_only_the_code_of_a_notebook_makes_it_run_again(tmp_path: Path) -> None:
    file = write_notebook(tmp_path / "mine.ipynb", "1 + 1")
    study = write_study(tmp_path / "study.yaml", tiny_study(report={"notebook": str(file)}))
    plan = Plan.load([study], results=tmp_path / "results")
    before = JobRequests(plan).notebook(str(file))
    content = nbformat.read(file, as_version=4)
    content.cells[2].execution_count = 7
    content.metadata["kernelspec"]["display_name"] = "mine"
    nbformat.write(content, file)
    assert JobRequests(plan).notebook(str(file)) == before
    content.cells[2].source = "1 + 2"
    nbformat.write(content, file)
    assert JobRequests(plan).notebook(str(file)) != before
    assert notebooks.problem_with(str(file)) is None

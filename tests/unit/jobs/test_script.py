"""The work of a rule's script is done in a fork with its libraries, or here, and ends alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import forked
import pytest
from workbench import shared_forks

from gridfold.jobs.fork_server import TABLES

SCRIPT = """
import sys
from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Wildcards
from gridfold.jobs.script import hand_over

class Snakemake:
    input = InputFiles(fromdict={{"tables": ["a.csv", "b.csv"], "none": [], "one": "c.csv"}})
    output = OutputFiles(fromdict={{"answer": "answer.txt"}})
    params = Params(fromdict={{"request": {request!r}, "records": "there"}})
    wildcards = Wildcards(fromdict={{"shard": "s0001"}})
    threads = 3
    resources = ResourceList(fromdict={{"attempt": 2}})
    log = Log(toclone=["logs/rule.log"])

hand_over(Snakemake, "forked_rule")
"""
RULE = """
import os
from gridfold.errors import GridfoldError
from gridfold.requests import ReportRequest

def run(job):
    print("working")
    if job.text == "refuse":
        raise GridfoldError("there is nothing to do")
    found = [file.name for file in job.inputs["tables"]] + job.inputs["none"]
    given = [job.parameters["records"], job.wildcards["shard"]]
    given += [job.threads, job.resources["attempt"]]
    text = [*found, job.input("one").name, *map(str, given), str(os.getppid())]
    job.output("answer").write_text(" ".join(text))
"""


@pytest.fixture(params=["in a fork", "here"])
def script(request: pytest.FixtureRequest, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run the script of a rule; it is asked for in the name of a test."""
    (tmp_path / "forked_rule.py").write_text(RULE)
    text = "refuse" if "refuses" in request.node.name else "do"
    environment = dict(os.environ)
    if request.param == "in a fork":
        with shared_forks(TABLES):
            environment |= {TABLES.address: os.environ[TABLES.address]}
    support = Path(forked.__file__).parent
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (tmp_path, support)))
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(request=text)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_files_come_by_their_names(
    script: subprocess.CompletedProcess[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    assert script.returncode == 0, script.stderr
    *words, parent = (tmp_path / "answer.txt").read_text().split()
    assert words == ["a.csv", "b.csv", "c.csv", "there", "s0001", "3", "2"]
    assert (tmp_path / "logs" / "rule.log").read_text() == "working\n"
    # What runs here has this process for its parent, a fork has the server.
    assert (int(parent) == os.getpid()) == ("here" in request.node.name)


def test_a_rule_that_refuses_says_why_and_fails(
    script: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    assert script.returncode == 1
    assert "[gridfold] there is nothing to do" in script.stderr
    assert "working" in (tmp_path / "logs" / "rule.log").read_text()
    assert "Traceback" not in script.stderr

"""A failure says how to repeat it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import repeating

TESTS = """
import pytest


@pytest.fixture
def broken():
    raise OSError("no such thing")


@pytest.mark.parametrize("word", ["fine", "it's bad"])
def test_words(word):
    assert word == "fine"


def test_setup(broken):
    pass
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "repeating", "-p", "no:cacheprovider", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(repeating.__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["here", "with xdist"])
def test_each_failed_test_has_a_command_that_repeats_it(
    tmp_path: Path, processes: tuple[str, ...]
) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    said = run(tmp_path, *processes).stdout
    commands = [line for line in said.splitlines() if line.startswith("uv run pytest ")]
    tests = [shlex.split(command)[3] for command in commands]
    assert sorted(tests) == ["test_some.py::test_setup", "test_some.py::test_words[it's bad]"]
    for test in tests:
        assert "1 passed" not in run(tmp_path, test).stdout
        assert "collected 1 item" in run(tmp_path, test).stdout
    fine = run(tmp_path, *processes, "-k", "fine")
    assert fine.returncode == 0
    assert "to repeat" not in fine.stdout

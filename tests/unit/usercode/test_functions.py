"""The user's own functions are inspected without running them."""

from __future__ import annotations

import itertools
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from gridfold.errors import DataError
from gridfold.usercode.digests import code_digest, source_digest
from gridfold.usercode.functions import clash_of, hyperparameter_names, load, problem_with

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a model file and return the reference to its `build`."""

    times = itertools.count()

    def write_file(text: str) -> str:
        file = tmp_path / "model.py"
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        # A new time stamp, whatever the resolution of the file system's clock.
        os.utime(file, ns=(0, next(times)))
        return f"{file}:build"

    return write_file


BASE = """
def build(hp):
    units = hp.Int("units", 4, 64)
    return units * 2
"""


def digest_of(write: Write, text: str) -> str:
    return source_digest(Path(write(text).rpartition(":")[0]))


@pytest.mark.parametrize(
    "edited",
    [
        BASE + "# a remark\n",
        BASE.replace('hp.Int("units", 4, 64)', "hp.Int('units',\n        4, 64,\n    )"),
        '"""What the file is for."""\n' + BASE,
        BASE.replace("build(hp):\n", 'build(hp):\n    """Build it."""\n'),
        BASE.replace("\n    return", "\n\n\n    return"),
    ],
    ids=["comment", "layout", "module docstring", "function docstring", "empty lines"],
)
def test_an_edit_for_people_does_not_change_the_digest(write: Write, edited: str) -> None:
    assert digest_of(write, edited) == digest_of(write, BASE)


@pytest.mark.parametrize(
    "edited",
    [
        BASE.replace("64", "128"),
        BASE.replace("* 2", "+ 2"),
        BASE.replace("units = hp", "units: int = hp"),
        BASE.replace("def build(hp)", "def build(hp, scale=1)"),
        BASE + "import math\n",
        BASE.replace('"units"', '"width"'),
    ],
)
def test_an_edit_of_what_is_done_changes_the_digest(write: Write, edited: str) -> None:
    assert digest_of(write, edited) != digest_of(write, BASE)


def test_a_function_of_nothing_but_a_docstring_has_a_digest(write: Write) -> None:
    documented = digest_of(write, 'def build(hp):\n    """Nothing yet."""\n')
    assert documented == digest_of(write, "def build(hp):\n    pass\n")


def test_names_are_read_from_all_ways_to_ask(write: Write) -> None:
    reference = write(
        """
        def build(hp):
            depth = hp.Int("depth", 1, 3)
            rate = hp.Float(name="rate", min_value=0, max_value=1)
            if hp.Boolean("norm"):
                kind = hp.Choice("kind", ["a", "b"])
            return head(hp)


        def head(hp):
            return hp.Fixed("classes", 10)
        """
    )
    assert hyperparameter_names(reference) == {"depth", "rate", "norm", "kind", "classes"}


@pytest.mark.parametrize(
    "text",
    [
        'def build(hp):\n    return [hp.Int(f"units_{i}", 1, 9) for i in range(3)]\n',
        'def build(hp):\n    name = "units"\n    return hp.Int(name, 1, 9)\n',
        "from layers import head\n\ndef build(hp):\n    return head(hp)\n",
        "import layers\n\ndef build(hp):\n    return layers.head(search=hp)\n",
        "def build(*hp):\n    return Builder(hp)\n",
    ],
    ids=["f-string", "variable", "imported function", "module function", "star"],
)
def test_names_that_cannot_be_read_are_unknown_rather_than_none(write: Write, text: str) -> None:
    assert hyperparameter_names(write(text)) is None


def test_a_function_is_found_without_running_its_file(write: Write) -> None:
    reference = write("raise SystemExit\n\n\ndef build(hp): ...\n")
    assert problem_with(reference) is None
    assert problem_with(reference.replace(":build", ":other")) == (
        f"no function `other` in {reference.rpartition(':')[0]}",
        "build",
    )


def test_the_function_is_loaded_and_may_import_its_neighbours(write: Write, tmp_path: Path) -> None:
    (tmp_path / "gridfold_test_neighbour.py").write_text("FACTOR = 3\n", encoding="utf-8")
    reference = write(
        "import gridfold_test_neighbour as n\n\ndef build(hp): return hp * n.FACTOR\n"
    )
    assert load(reference)(2) == 6


def test_a_file_that_fails_on_import_says_so_each_time(write: Write) -> None:
    reference = write("import no_such_package_anywhere\n\ndef build(hp): ...\n")
    modules = set(sys.modules)
    for _ in range(2):
        with pytest.raises(DataError, match=r"model\.py fails on import: ModuleNotFoundError"):
            load(reference)
    assert set(sys.modules) == modules


def test_loading_what_is_not_there_says_what_is(write: Write) -> None:
    with pytest.raises(DataError, match=r"no function `train`.*allowed: build"):
        load(write(BASE).replace(":build", ":train"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A model file that uses modules beside it, and their modules."""
    files = {
        "model.py": "import keras\n\nfrom layers import block\n\n\ndef build(hp):\n"
        "    import parts.heads\n\n    return block(parts.heads.SIZE)\n",
        "layers.py": "from parts import tools\n\n\ndef block(n):\n    return tools.twice(n)\n",
        "parts/__init__.py": "",
        "parts/heads.py": "from .sizes import SIZE\n",
        "parts/sizes.py": "SIZE = 8\n",
        "parts/tools.py": "def twice(n):\n    return 2 * n\n",
        "unused.py": "x = 1\n",
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path


@pytest.mark.parametrize("module", ["layers.py", "parts/heads.py", "parts/sizes.py"])
def test_imported_local_modules_count_like_the_file_itself(project: Path, module: str) -> None:
    file = project / "model.py"
    before = code_digest(file)
    text = (project / module).read_text()
    (project / module).write_text("# A remark.\n" + text)
    assert code_digest(file) == before
    (project / module).write_text(text + "more = 3\n")
    assert code_digest(file) != before


def test_modules_that_are_not_imported_do_not_count(project: Path) -> None:
    before = code_digest(project / "model.py")
    (project / "unused.py").write_text("x = 2\n")
    assert code_digest(project / "model.py") == before
    assert code_digest(project / "unused.py") == source_digest(project / "unused.py")


def test_a_broken_local_module_is_named_before_anything_runs(project: Path) -> None:
    (project / "parts" / "tools.py").write_text("def twice(n:\n")
    found = problem_with(f"{project / 'model.py'}:build")
    assert found is not None
    assert "tools.py, line 1" in found[0]


def test_modules_of_one_name_are_not_taken_for_each_other(tmp_path: Path) -> None:
    name = "helpers_that_clash"
    for number, folder in enumerate(("models", "measures")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(
            f"import {name}\n\ndef build(hp):\n    return {name}.NUMBER\n"
        )
        (tmp_path / folder / f"{name}.py").write_text(f"NUMBER = {number}\n")
    first, second = (tmp_path / folder / "own.py" for folder in ("models", "measures"))
    assert clash_of([first, first]) is None
    found, allowed = clash_of([first, second]) or ("", "")
    assert f"{tmp_path}/measures/{name}.py, but also {tmp_path}/models/{name}.py" in found
    assert allowed == "another name for one of them"
    try:
        assert load(f"{first}:build")(None) == 0
        with pytest.raises(DataError, match="Python loads one module of a name"):
            load(f"{second}:build")
    finally:
        sys.modules.pop(name, None)


def test_a_module_that_python_has_itself_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import random\n\ndef build(hp):\n    return random.NUMBER\n")
    (tmp_path / "random.py").write_text("NUMBER = 4\n")
    with pytest.raises(DataError, match=r"`import random` means .*random\.py, but also /"):
        load(f"{tmp_path / 'own.py'}:build")

"""Jobs of a run read copies of the user's files, whatever becomes of the files."""

from __future__ import annotations

import inspect
import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridfold.errors import DataError
from gridfold.usercode import sources
from gridfold.usercode.digests import code_digest, local_modules
from gridfold.usercode.functions import load, own_objects, problem_with

FILES = {
    "model.py": """
        from parts import heads
        import layers_of_copies

        def build(hp):
            return layers_of_copies.WIDTH + heads.WIDTH

        def fail(hp):
            layers_of_copies.fail()
        """,
    "layers_of_copies.py": """
        from pathlib import Path

        WIDTH = 1
        BESIDE = Path(__file__).with_name("words.txt")

        class Layer:
            pass

        def fail():
            raise RuntimeError("as it was")
        """,
    "parts/__init__.py": "",
    "parts/heads.py": "from .sizes import WIDTH\n",
    "parts/sizes.py": "WIDTH = 10\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder with code, of which there are copies; the code itself is edited or gone."""
    folder = tmp_path / "project"
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(inspect.cleandoc(text) + "\n")
    # After the test, both are as before.
    monkeypatch.setenv(sources.VARIABLE, "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        del sys.modules[name]


def copy_all(folder: Path) -> Path:
    copies = folder.parent / "copies"
    contents = {folder / name: (folder / name).read_bytes() for name in FILES}
    sources.write(copies, sources.sources_of(contents, []), contents)
    sources.use([copies])
    return copies


def edit_all(folder: Path) -> None:
    (folder / "model.py").write_text("def build(hp:\n")
    (folder / "layers_of_copies.py").write_text("\n" * 40 + "WIDTH = 2\n")
    shutil.rmtree(folder / "parts")


def test_modules_are_imported_as_they_were(project: Path) -> None:
    copy_all(project)
    edit_all(project)
    assert load("model.py:build")(None) == 11
    # Beside the user's file there may be more than code.
    assert project / "words.txt" == sys.modules["layers_of_copies"].BESIDE
    assert [own.__name__ for own in own_objects([Path("model.py")])] == [
        "Layer",
        "fail",
        "build",
        "fail",
    ]


def test_tracebacks_and_sources_are_those_of_the_copies(project: Path) -> None:
    copies = copy_all(project)
    edit_all(project)
    try:
        load("model.py:fail")(None)
    except RuntimeError as error:
        (*_, last) = traceback.extract_tb(error.__traceback__)
    assert last.filename == str(copies / "files" / "layers_of_copies.py")
    assert last.line == 'raise RuntimeError("as it was")'
    assert "as it was" in inspect.getsource(sys.modules["layers_of_copies"].fail)


def test_checks_and_digests_look_at_the_copies(project: Path) -> None:
    before = code_digest(Path("model.py")), local_modules(Path("model.py"))
    copy_all(project)
    edit_all(project)
    assert problem_with("model.py:build") is None
    assert (code_digest(Path("model.py")), local_modules(Path("model.py"))) == before
    sources.use([])
    assert problem_with("model.py:build") is not None


def test_code_outside_of_the_working_directory_is_copied_as_well(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "elsewhere").mkdir()
    monkeypatch.chdir(project / "elsewhere")
    copies = copy_all(project)
    edit_all(project)
    assert load("../model.py:build")(None) == 11
    assert len(list(copies.glob("outside/*/*.py"))) == len(FILES)


@pytest.mark.parametrize("damage", [b"", b"WIDTH = 3\n", None])
def test_a_damaged_copy_is_not_imported(project: Path, damage: bytes | None) -> None:
    copies = copy_all(project)
    assert sources.is_complete(copies)
    copy = copies / "files" / "layers_of_copies.py"
    if damage is None:
        copy.unlink()
    else:
        copy.write_bytes(damage)
    assert not sources.is_complete(copies)
    with pytest.raises(DataError, match=r"layers_of_copies\.py.*start the same command again"):
        load("model.py:build")


def test_a_damaged_index_is_named(project: Path) -> None:
    copies = copy_all(project)
    (copies / "sources.json").write_text("[{")
    with pytest.raises(DataError, match=r"sources\.json can't be read.*start the same command"):
        load("model.py:build")


def test_a_large_file_is_not_copied_and_may_only_be_touched(project: Path) -> None:
    weights = project / "weights.h5"
    weights.write_bytes(bytes(1000))
    copies = project.parent / "copies"
    found = sources.sources_of({}, [weights])
    sources.write(copies, found, {})
    sources.use([copies])
    assert os.listdir(copies) == ["sources.json"]
    sources.require_unchanged(Path("weights.h5"))
    os.utime(weights, (1, 1))
    sources.require_unchanged(Path("weights.h5"))
    weights.write_bytes(bytes(999) + b"1")
    with pytest.raises(DataError, match=r"weights\.h5 has changed since the run began"):
        sources.require_unchanged(Path("weights.h5"))
    # Not a file of the run.
    sources.require_unchanged(Path("other.h5"))

"""Code that results name runs when it is clearly the user's own, and else when it is trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridfold.usercode.trust import NotTrusted, require_trust


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    for name in (
        "model.py",
        "models/model.py",
        "results/model.py",
        "results/f/model.py",
        "results/f/final/model.py",
        "downloads/model.py",
        "downloads/f/final/model.py",
        "f/final/model.py",
        "../elsewhere/model.py",
    ):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (folder / "link.py").symlink_to(tmp_path / "elsewhere" / "model.py")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "results", ["results/f", "results/f/final", "downloads/f/final", "f/final"]
)
def test_files_that_a_study_names_from_here_are_the_users_own(here: Path, results: str) -> None:
    require_trust([Path("model.py"), Path("models/model.py")], Path(results))
    # What is missing can't run.
    require_trust([Path("/nowhere/model.py")], Path(results))


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ("results/f", "results/f/model.py"),
        ("results/f/final", "results/f/final/model.py"),
        ("results/f/final", "results/f/model.py"),
        ("results/f", "results/model.py"),
        ("downloads/f/final", "downloads/model.py"),
        ("f/final", "f/final/model.py"),
        ("results/f", "../elsewhere/model.py"),
        ("results/f", "models/../model.py"),
        ("results/f", "link.py"),
    ],
)
def test_all_other_files_must_be_trusted(here: Path, results: str, code: str) -> None:
    with pytest.raises(NotTrusted, match="--trust") as refused:
        require_trust([Path(code)], Path(results))
    assert f"\n  {here / code}\n" in str(refused.value)


def test_an_absolute_path_must_be_trusted(here: Path) -> None:
    with pytest.raises(NotTrusted):
        require_trust([here / "model.py"], Path("results/f"))

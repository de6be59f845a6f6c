"""A new project: complete, valid, and written over nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridfold.cli import new
from gridfold.plan.loading import load_study


def test_what_is_written_is_a_valid_study_and_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = new.create(tmp_path / "new")
    monkeypatch.chdir(tmp_path / "new")
    assert len(load_study(["study.yaml"]).expansion.configurations) == 8
    assert all(Path(name).exists() for name in written)
    assert "__STUDY__" not in "".join(p.read_text() for p in written if p.is_file())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("mine")
    with pytest.raises(new.ProjectExists, match=r"already has model\.py"):
        new.create(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.py"]

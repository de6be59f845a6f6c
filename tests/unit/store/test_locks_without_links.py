"""Locks on file systems where a file can't have two names."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from gridfold.store.locks import TrialLock


@pytest.fixture(autouse=True)
def _no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)


def test_only_one_has_the_lock(tmp_path: Path) -> None:
    one, other = TrialLock(tmp_path / "c" / "r0f0"), TrialLock(tmp_path / "c" / "r0f0")
    assert one.acquire()
    assert not other.acquire()
    one.release()
    assert other.acquire()
    other.release()
    assert not [*(tmp_path / "c").iterdir()]

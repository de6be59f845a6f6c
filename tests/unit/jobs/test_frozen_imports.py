"""Imports that last: no garbage collection while they run, none that looks through them later."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from gridfold.jobs.frozen_imports import lasting


def test_nothing_is_collected_meanwhile_and_everything_is_as_before_afterwards() -> None:
    with lasting():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with lasting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_failed_import_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError), lasting():
        raise ImportError
    assert gc.isenabled()


def test_the_fork_server_looks_through_no_import_again() -> None:
    code = "import gc, gridfold.jobs.preloaded; print(gc.get_freeze_count(), len(gc.get_objects()))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    frozen, others = map(int, answer.stdout.split())
    assert frozen > 100 * others

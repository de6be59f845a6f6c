"""AutoGraph has no part in the training loop, and leaves no file of what a user has it rewrite."""

from __future__ import annotations

from pathlib import Path

import forked
import pytest
from studies import tiny_study
from workbench import Bench, prepare_bench, shared_forks

from gridfold.jobs.fork_server import ForkServer


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return prepare_bench(tmp_path, tiny_study())


def test_a_trial_rewrites_nothing_of_the_training_loop(bench: Bench) -> None:
    with shared_forks(), ForkServer() as server:
        fork = server.start(forked.train_and_tell_conversions, bench.work().task, output=2)
        rewritten = fork.connection.recv()
        assert fork.join() == 0
    assert not [name for name in rewritten if name.startswith("gridfold.")], rewritten


def test_what_a_model_of_the_user_needs_is_removed_when_its_trial_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    with ForkServer() as server:
        fork = server.start(forked.convert_own_function, output=2)
        written = fork.connection.recv()
        assert fork.join() == 0
        assert written
        assert not [file for file in written if Path(file).exists()]
    assert not list(folder.glob("__autograph_generated_file*"))

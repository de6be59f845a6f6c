"""Checkpoints: whole or not at all, and never the only one."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gridfold.store import checkpoints
from gridfold.store.checkpoints import Checkpoint


def at(epoch: int) -> Checkpoint:
    generator = np.random.default_rng(epoch)
    return Checkpoint(
        epoch,
        [generator.normal(size=(3, 4)).astype(np.float32), np.array([1, 2], np.uint32)],
        [np.array(epoch, np.int64), generator.normal(size=5)],
        [np.float32([epoch])],
        {"history": [{"loss": 0.5}], "stopped": False},
    )


def assert_equal(one: Checkpoint | None, other: Checkpoint) -> None:
    assert one is not None
    assert one.epoch == other.epoch
    assert one.meta == other.meta
    for a, b in zip(
        [*one.variables, *one.optimizer, *(one.best_weights or [])],
        [*other.variables, *other.optimizer, *(other.best_weights or [])],
        strict=True,
    ):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        np.testing.assert_array_equal(a, b)


def test_what_is_saved_comes_back_bit_for_bit(tmp_path: Path) -> None:
    at(3).save(tmp_path)
    assert_equal(checkpoints.newest(tmp_path, 10), at(3))


def test_without_best_weights_there_are_none(tmp_path: Path) -> None:
    Checkpoint(1, [np.zeros(2)], [], None).save(tmp_path)
    loaded = checkpoints.newest(tmp_path, 1)
    assert loaded is not None
    assert loaded.best_weights is None
    assert loaded.optimizer == []


def test_more_than_a_thousand_arrays_keep_their_order(tmp_path: Path) -> None:
    Checkpoint(1, [np.array(i) for i in range(1200)], [], None).save(tmp_path)
    loaded = checkpoints.newest(tmp_path, 1)
    assert loaded is not None
    assert [int(value) for value in loaded.variables] == list(range(1200))


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for epoch in (1, 2, 3, 4):
        at(epoch).save(tmp_path)
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        "checkpoint-00003.npz",
        "checkpoint-00004.npz",
    ]


def test_who_only_looks_on_disturbs_no_job_that_writes(tmp_path: Path) -> None:
    """What the job has removed meanwhile is not damaged, and nothing is set aside."""
    done = threading.Event()

    def look_on() -> None:
        while not done.is_set():
            checkpoints.newest(tmp_path, 1000)

    with ThreadPoolExecutor(2) as pool:
        watchers = [pool.submit(look_on) for _ in range(2)]
        for epoch in range(1, 301):
            at(epoch).save(tmp_path)
        done.set()
        for watcher in watchers:
            watcher.result()
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        "checkpoint-00299.npz",
        "checkpoint-00300.npz",
    ]


def test_none_is_later_than_what_is_asked_for(tmp_path: Path) -> None:
    for epoch in (3, 4):
        at(epoch).save(tmp_path)
    assert_equal(checkpoints.newest(tmp_path, 3), at(3))
    assert checkpoints.newest(tmp_path, 2) is None
    assert checkpoints.newest(tmp_path / "nowhere", 9) is None


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "no archive"])
def test_a_damaged_one_is_noticed_and_the_one_before_it_used(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    at(1).save(tmp_path)
    file = at(2).save(tmp_path)
    content = bytearray(file.read_bytes())
    if damage == "empty":
        content = bytearray()
    elif damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        # In the middle of the first array's numbers.
        position = content.index(at(2).variables[0].tobytes()[:8])
        content[position] ^= 1
    else:
        content = bytearray(b"x" * len(content))
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert_equal(checkpoints.newest(tmp_path, 9), at(1))
    assert "checkpoint-00002.npz is damaged" in caplog.text


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_flipped_bit_anywhere_never_crashes_and_never_loses_an_array(tmp_path: Path) -> None:
    # Names, sizes, flags and the table of contents of the archive have no checksum of their own.
    at(1).save(tmp_path)
    file = at(2).save(tmp_path)
    content = file.read_bytes()
    found = set()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        file.write_bytes(damaged)
        read = checkpoints.newest(tmp_path, 9)
        assert read is not None, position
        assert_equal(read, at(read.epoch))
        found.add(read.epoch)
    assert found == {1, 2}, "flips in a time stamp are harmless, most others are not"


def test_a_write_that_breaks_off_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(1).save(tmp_path)

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space left"):
        at(2).save(tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["checkpoint-00001.npz"]
    assert_equal(checkpoints.newest(tmp_path, 9), at(1))


def test_a_finished_trial_keeps_one(tmp_path: Path) -> None:
    for epoch in (1, 2):
        at(epoch).save(tmp_path)
    checkpoints.prune(tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["checkpoint-00002.npz"]


def of_trial(epoch: int, identity: str) -> Checkpoint:
    return Checkpoint(epoch, [np.zeros(2)], [], None, {}, identity)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_one_of_another_trial_or_epoch_is_told_and_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    of_trial(1, "cafe/r0f0 ab").save(tmp_path)
    of_trial(2, "").save(tmp_path)
    of_trial(3, "cafe/r0f1 ab").save(tmp_path)
    shutil.copy(of_trial(5, "cafe/r0f0 ab").save(tmp_path / "other"), tmp_path / _name(4))
    shutil.copy(of_trial(2, "").save(tmp_path / "other"), tmp_path / _name(2))
    found = checkpoints.newest(tmp_path, 9, "cafe/r0f0 ab")
    assert found is None
    reasons = (
        "it is of epoch 5",
        "it is of another trial: cafe/r0f1 ab",
        "it is of another trial: it names none",
    )
    assert messages(caplog) == [
        f"{tmp_path / _name(epoch)} is damaged ({reason}); set aside as {_name(epoch)}.damaged, "
        "the one before it is used"
        for epoch, reason in zip((4, 3, 2), reasons, strict=True)
    ]


def _name(epoch: int) -> str:
    return f"checkpoint-{epoch:05d}.npz"


def test_whose_checkpoints_these_are_is_read_from_their_heads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for epoch, identity in ((1, "cafe/r0f0 ab"), (2, "cafe/r0f0 cd"), (3, ""), (4, "x y")):
        shutil.copy(of_trial(epoch, identity).save(tmp_path / str(epoch)), tmp_path)
    file = tmp_path / _name(4)
    file.write_bytes(file.read_bytes()[:-30])
    (tmp_path / _name(5)).mkdir()
    assert list(checkpoints.identities(tmp_path)) == ["cafe/r0f0 cd", "cafe/r0f0 ab"]
    # Whoever only asks sets nothing aside.
    assert file.exists()
    assert not messages(caplog)
    assert list(checkpoints.identities(tmp_path / "nowhere")) == []


def test_too_little_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(1).save(tmp_path)

    def too_little(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(np, "load", too_little)
        with pytest.raises(MemoryError):
            checkpoints.newest(tmp_path, 9)
    assert_equal(checkpoints.newest(tmp_path, 9), at(1))


def test_other_files_are_no_checkpoints(tmp_path: Path) -> None:
    at(2).save(tmp_path)
    for name in ("checkpoint-last.npz", "checkpoint-.npz", "checkpoint-00009.npz.damaged"):
        (tmp_path / name).write_text("x")
    (tmp_path / _name(1)).mkdir()
    assert_equal(checkpoints.newest(tmp_path, 9), at(2))
    checkpoints.prune(tmp_path)
    assert (tmp_path / _name(1)).is_dir()
    assert len(list(tmp_path.iterdir())) == 5


def test_one_that_was_not_written_whole_costs_none_of_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for epoch in (1, 2):
        at(epoch).save(tmp_path)
    save = np.savez

    def half(file: Path, **arrays: object) -> None:
        save(file, **arrays)  # type: ignore[arg-type]
        os.truncate(file, 300)

    monkeypatch.setattr(np, "savez", half)
    assert at(3).save(tmp_path) == tmp_path / _name(3)
    assert sorted(file.name for file in tmp_path.iterdir()) == [_name(1), _name(2), _name(3)]
    assert_equal(checkpoints.newest(tmp_path, 9), at(2))

"""Packing moves the run store into archives and back, and loses nothing wherever it is cut off."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gridfold.paths import StudyPaths
from gridfold.store import archives
from gridfold.store.locks import RunLock, TrialLock
from gridfold.store.running import RunBusy, RunCutOff

# What changes files, as Python announces it to those who audit a program.
_CHANGES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.utime"}


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    """Return a study of three configurations with two trials each."""
    found = StudyPaths(tmp_path / "results" / "demo")
    for number, config_id in enumerate(("aa00", "bb00", "cc00")):
        for split in ("r0f0", "r0f1"):
            folder = found.trial(config_id, split)
            folder.mkdir(parents=True)
            (folder / "result-00003.json").write_text(f'{{"score": {number}}}' * 100)
            (folder / "checkpoint-00003.npz").write_bytes(bytes(range(256)) * 8)
    return found


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin an archive after each configuration."""
    monkeypatch.setattr(archives, "_FILES_OF_AN_ARCHIVE", 4)


def contents(folder: Path) -> dict[str, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.mark.parametrize("size", [3, 8, 5000])
def test_what_is_packed_comes_back_as_it_was(
    paths: StudyPaths, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_FILES_OF_AN_ARCHIVE", size)
    before, old = contents(paths.runs), time.time() - 1e6
    file = paths.trial("aa00", "r0f0") / "result-00003.json"
    os.utime(file, (old, old))
    packed = archives.pack(paths)
    assert (packed.configurations, packed.files, packed.held) == (3, 12, 0)
    assert packed.archives == len(list(paths.packed.iterdir())) == {3: 3, 8: 2, 5000: 1}[size]
    assert list(paths.runs.iterdir()) == []
    assert archives.packed_files(paths) == before.keys()
    assert archives.unpack(paths) == 3
    assert contents(paths.runs) == before
    # A zip file counts in steps of two seconds.
    assert file.stat().st_mtime == pytest.approx(old, abs=2)
    assert list(paths.packed.iterdir()) == []
    assert archives.packed_files(paths) == set()
    assert archives.unpack(paths) == 0


def test_what_is_trained_later_is_packed_beside_it(paths: StudyPaths) -> None:
    before = contents(paths.runs)
    archives.pack(paths)
    paths.trial("dd00", "r0f0").mkdir(parents=True)
    (paths.trial("dd00", "r0f0") / "result-00003.json").write_text("{}")
    assert archives.pack(paths).archives == 1
    assert [file.name for file in sorted(paths.packed.iterdir())] == ["0001.zip", "0002.zip"]
    assert archives.unpack(paths) == 4
    assert contents(paths.runs) == before | {"dd00/r0f0/result-00003.json": b"{}"}


def test_a_trial_that_was_trained_since_takes_none_of_its_configuration_away(
    paths: StudyPaths,
) -> None:
    before = contents(paths.runs)
    archives.pack(paths)
    again = paths.trial("aa00", "r0f0")
    again.mkdir(parents=True)
    (again / "result-00003.json").write_text("{}")
    archives.unpack(paths)
    kept = {name: held for name, held in before.items() if not name.startswith("aa00/r0f0/")}
    assert contents(paths.runs) == kept | {"aa00/r0f0/result-00003.json": b"{}"}


def test_what_is_no_folder_of_a_configuration_stays(paths: StudyPaths) -> None:
    (paths.runs / "notes.txt").write_text("mine")
    (paths.runs / "linked").symlink_to(paths.trial("aa00", "r0f0"))
    assert archives.pack(paths).held == 1
    assert sorted(entry.name for entry in paths.runs.iterdir()) == ["linked", "notes.txt"]
    assert [file.name for file in paths.packed.iterdir()] == ["0001.zip"]


def test_files_from_before_zip_files_can_tell_are_packed(paths: StudyPaths) -> None:
    before = contents(paths.runs)
    os.utime(paths.trial("aa00", "r0f0") / "result-00003.json", (0, 0))
    archives.pack(paths)
    archives.unpack(paths)
    assert contents(paths.runs) == before


def test_without_trials_there_is_nothing_to_pack(tmp_path: Path) -> None:
    paths = StudyPaths(tmp_path)
    assert archives.pack(paths) == archives.Packed(0, 0, 0, 0)
    paths.runs.mkdir()
    assert archives.pack(paths) == archives.Packed(0, 0, 0, 0)
    assert archives.unpack(paths) == 0


def test_what_a_job_holds_or_has_left_stays(paths: StudyPaths) -> None:
    lock = TrialLock(paths.trial("bb00", "r0f1"))
    assert lock.acquire()
    (paths.trial("cc00", "r0f0") / ".result-00004.4711.json").write_text("{")
    packed = archives.pack(paths)
    assert (packed.configurations, packed.held) == (1, 2)
    assert sorted(folder.name for folder in paths.runs.iterdir()) == ["bb00", "cc00"]
    lock.release()


def test_links_are_no_files_of_a_trial(paths: StudyPaths) -> None:
    (paths.trial("aa00", "r0f0") / "elsewhere").symlink_to("/etc/hostname")
    (paths.trial("bb00", "r0f0") / "circle").symlink_to("circle")
    assert archives.pack(paths).held == 2


def test_a_study_that_is_being_run_is_not_packed(paths: StudyPaths) -> None:
    run = RunLock(paths.controller.lock)
    assert run.acquire()
    before = contents(paths.runs)
    with pytest.raises(RunBusy, match="being run already"):
        archives.pack(paths)
    run.release()
    assert contents(paths.runs) == before
    assert archives.pack(paths).configurations == 3
    assert not paths.controller.lock.exists()


def test_a_run_that_was_cut_off_is_left_to_the_next_one(paths: StudyPaths) -> None:
    assert in_a_child(lambda: RunLock(paths.controller.lock).acquire()) == 0
    lock = paths.controller.lock.read_bytes()
    with pytest.raises(RunCutOff, match="the last run of the study demo was cut off"):
        archives.pack(paths)
    assert paths.controller.lock.read_bytes() == lock
    assert len(list(paths.runs.iterdir())) == 3


def test_a_bit_that_flips_costs_its_file_alone(
    paths: StudyPaths, caplog: pytest.LogCaptureFixture
) -> None:
    before = contents(paths.runs)
    archives.pack(paths)
    (archive,) = paths.packed.iterdir()
    content = bytearray(archive.read_bytes())
    # In what the first member holds, behind its head of 30 bytes and its name.
    content[90] ^= 1
    archive.write_bytes(content)
    assert archives.unpack(paths) == 3
    found = contents(paths.runs)
    (lost,) = before.keys() - found.keys()
    assert found == {name: held for name, held in before.items() if name != lost}
    assert "0001.zip.damaged" in caplog.text
    assert "trained anew" in caplog.text
    assert [file.name for file in paths.packed.iterdir()] == ["0001.zip.damaged"]


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("left", [0, 10, 200])
def test_an_archive_that_breaks_off_costs_what_it_held_alone(
    paths: StudyPaths, left: int, caplog: pytest.LogCaptureFixture
) -> None:
    archives.pack(paths)
    os.truncate(paths.packed / "0002.zip", left)
    assert len(archives.packed_files(paths)) == 8
    assert archives.unpack(paths) == 2
    assert sorted(folder.name for folder in paths.runs.iterdir()) == ["aa00", "cc00"]
    assert "0002.zip.damaged" in caplog.text


def test_files_that_a_network_still_holds_are_removed_the_next_time(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS keeps a removed file that is open under another name, and its folder with it."""
    before = contents(paths.runs)

    def busy(folder: int | str, *_: object, **__: object) -> None:
        raise OSError(errno.ENOTEMPTY, "Directory not empty", str(folder))

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", busy)
        assert archives.pack(paths).configurations == 3
        assert len(list(paths.packed.glob(".*.removed"))) == 3
        assert archives.unpack(paths) == 3
        assert contents(paths.runs) == before
    assert archives.unpack(paths) == 0
    assert list(paths.packed.iterdir()) == []


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("work", [archives.pack, archives.unpack])
def test_wherever_it_is_killed_nothing_is_lost(
    paths: StudyPaths, work: Callable[[StudyPaths], object]
) -> None:
    before = contents(paths.runs)
    if work is archives.unpack:
        archives.pack(paths)
    original = paths.root.with_name("original")
    paths.root.rename(original)
    point = 0
    while True:
        point += 1
        shutil.copytree(original, paths.root)
        code = in_a_child(lambda: work(paths), killed_at=point)
        archives.unpack(paths)
        assert contents(paths.runs) == before, f"killed at change {point}"
        assert list(paths.packed.glob("*")) == []
        shutil.rmtree(paths.root)
        if code == 0:
            break
    assert point > 30


def in_a_child(work: Callable[[], object], killed_at: int = 0) -> int:
    """Do something in a process that ends hard before its n-th change; return its code."""
    child = os.fork()
    if child == 0:
        left = killed_at

        def count(event: str, _: object) -> None:
            nonlocal left
            left -= event in _CHANGES
            if left == 0 and killed_at:
                os._exit(9)

        sys.addaudithook(count)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

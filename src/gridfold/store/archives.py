"""Archives hold the run store of a study in a few files, where file systems count them.

A finished trial has three files, and a hundred thousand trials have more than many a quota allows.
Packed, they lie in ``packed/<number>.zip``, some thousand files in each; a run that has something
to do takes them out again before its first job.

Nothing is lost half-way: a folder leaves the run store in one step, when its archive has been
written, synced and read back; an archive is removed when all that it holds is in the run store.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import zipfile
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from gridfold.atomic import make_folder, remove_abandoned, replacing
from gridfold.errors import NotWritten
from gridfold.paths import StudyPaths
from gridfold.store.locks import RunLock
from gridfold.store.running import RunBusy, RunCutOff
from gridfold.store.seals import set_aside

# Files after which the next archive is begun: one is read back in seconds.
_FILES_OF_AN_ARCHIVE = 5000
# Endings of folders that are being removed, or taken out; a killed process leaves them.
_REMOVED, _TAKEN_OUT = ".removed", ".taken-out"


@dataclass(frozen=True)
class Packed:
    """What :func:`pack` has done.

    Attributes
    ----------
    configurations, files : int
        What has left the run store.
    archives : int
        In how many files it lies.
    held : int
        Configurations that stay, since a job holds one of their trials, or something lies in their
        folders that is no file.
    """

    configurations: int
    files: int
    archives: int
    held: int


def pack(paths: StudyPaths) -> Packed:
    """Move the run store of a study that nobody runs into archives.

    Raises
    ------
    RunBusy
        When somebody runs it.
    RunCutOff
        When a run was cut off, which the next one goes on with.
    NotWritten
    """
    if not paths.runs.is_dir():
        return Packed(0, 0, 0, 0)
    with _nobody_running(paths) as lock:
        try:
            make_folder(paths.packed)
            _sweep(paths)
            configurations = files = archives = held = 0
            for batch in _batches(paths.runs):
                if batch.configurations:
                    _write(_next_archive(paths), batch)
                    _remove(paths, batch)
                    archives += 1
                configurations += len(batch.configurations)
                files += len(batch.files)
                held += batch.held
                lock.beat()
        except OSError as error:
            raise NotWritten(paths.packed, error) from error
    return Packed(configurations, files, archives, held)


def unpack(paths: StudyPaths) -> int:
    """Take everything out of the archives of a study; return how many configurations that are.

    What can't be read any more is left out, as if it had never been there, and its archive is set
    aside.

    Raises
    ------
    NotWritten
    """
    if not paths.packed.is_dir():
        return 0
    taken: set[str] = set()
    try:
        _sweep(paths)
        make_folder(paths.runs)
        for archive in _archives(paths):
            place = paths.packed / f".{archive.stem}{_TAKEN_OUT}"
            damage = _extract(archive, place)
            for folder in sorted(place.glob("*/*")):
                # A trial that is in the run store already was packed by a process that was killed,
                # or trained since by a job that had outlived its run.
                if not (target := paths.runs / folder.relative_to(place)).exists():
                    make_folder(target.parent, durable=False)
                    folder.replace(target)
                    taken.add(target.parent.name)
            # Thousands of files at once, before what they were made of goes.
            os.sync()
            _discard(place)
            if damage:
                set_aside(archive, damage, "and what it has lost is trained anew")
            else:
                archive.unlink()
    except OSError as error:
        raise NotWritten(paths.runs, error) from error
    return len(taken)


def packed_files(paths: StudyPaths) -> Set[str]:
    """Return the names of all packed files, as ``<config_id>/<split>/<file>``."""
    names: set[str] = set()
    for archive in _archives(paths):
        with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(archive) as content:
            names.update(content.namelist())
    return names


@contextlib.contextmanager
def _nobody_running(paths: StudyPaths) -> Iterator[RunLock]:
    """Hold the lock of the run in the block, without taking it over from one that was cut off."""
    lock = RunLock(paths.controller.lock)
    if not lock.acquire_free():
        holder = lock.holder()
        if holder is None or not holder.is_live:
            raise RunCutOff(paths)
        raise RunBusy(paths, holder)
    try:
        yield lock
    finally:
        lock.release()


@dataclass
class _Batch:
    """Folders of configurations for one archive, and their files."""

    configurations: list[Path]
    files: list[Path]
    held: int = 0


def _batches(runs: Path) -> Iterator[_Batch]:
    batch = _Batch([], [])
    for folder in sorted(entry for entry in runs.iterdir() if entry.is_dir()):
        entries = sorted(folder.rglob("*"))
        if not all(map(_is_plain, (folder, *entries))):
            batch.held += 1
            continue
        batch.configurations.append(folder)
        batch.files += [entry for entry in entries if entry.is_file()]
        if len(batch.files) >= _FILES_OF_AN_ARCHIVE:
            yield batch
            batch = _Batch([], [])
    yield batch


def _is_plain(entry: Path) -> bool:
    """Tell whether an entry is a folder or a file that no process writes or holds."""
    is_known = entry.is_dir() or (entry.is_file() and not entry.name.startswith("."))
    return is_known and not entry.is_symlink()


def _write(archive: Path, batch: _Batch) -> None:
    """Write an archive, and read it back.

    Raises
    ------
    OSError
        Also where it is not what was written.
    """
    with replacing(archive) as temporary:
        with zipfile.ZipFile(
            temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False
        ) as content:
            for file in batch.files:
                content.write(file, file.relative_to(batch.configurations[0].parent))
        with zipfile.ZipFile(temporary) as content:
            if (damaged := content.testzip()) is not None:
                raise OSError(f"{archive}: {damaged} is not what was written")


def _remove(paths: StudyPaths, batch: _Batch) -> None:
    """Remove the folders of a batch, each in one step as others see it."""
    for folder in batch.configurations:
        removed = paths.packed / f".{folder.name}{_REMOVED}"
        folder.replace(removed)
        _discard(removed)


def _discard(folder: Path) -> None:
    """Remove a folder that nobody needs; what a network file system still holds goes later."""
    shutil.rmtree(folder, ignore_errors=True)


def _extract(archive: Path, place: Path) -> str:
    """Take an archive apart into a folder, with the times of files; return what is damaged."""
    damage = ""
    place.mkdir(exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as content:
            for member in content.infolist():
                try:
                    file = content.extract(member, place)
                # A flipped bit can look like encryption or an unknown compression.
                except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
                    damage = damage or f"{member.filename}: {error}"
                    (place / member.filename).unlink(missing_ok=True)
                    continue
                changed = time.mktime((*member.date_time, 0, 0, -1))
                os.utime(file, (changed, changed))
    except zipfile.BadZipFile as error:
        damage = str(error)
    return damage


def _archives(paths: StudyPaths) -> list[Path]:
    return sorted(paths.packed.glob("[0-9]*.zip"))


def _next_archive(paths: StudyPaths) -> Path:
    numbers = [int(file.stem) for file in _archives(paths) if file.stem.isdecimal()]
    return paths.packed / f"{max(numbers, default=0) + 1:04d}.zip"


def _sweep(paths: StudyPaths) -> None:
    """Remove what a killed process has left of what it was writing, removing or taking out."""
    for unfinished in paths.packed.glob(".*.zip"):
        number = unfinished.name.split(".")[1]
        remove_abandoned(paths.packed, f".{number}.", unfinished.suffix)
    for ending in (_REMOVED, _TAKEN_OUT):
        for folder in paths.packed.glob(f".*{ending}"):
            _discard(folder)

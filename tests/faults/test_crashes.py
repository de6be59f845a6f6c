"""No crash and no full disk loses or falsifies a number; `make crash-matrix` tries all points."""

from __future__ import annotations

import collections
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import crashstudy
import daily
import disturbed
import numpy as np
import pandas as pd
import pytest
import syscalls
import watchedwriters
from crashmatrix import read
from disturbed import EIO, ENOSPC, KILL, POWER, POWER_AND_NAMES, Place, Run
from needs import lacking
from workbench import ROOT

from gridfold.atomic import make_folder, write_text

SEED = os.environ.get("CRASHES") or daily.day()
# Calls of the whole study that are disturbed, each in another stage; `make crash-matrix` tries all.
A_DAY = 2


@pytest.fixture(autouse=True)
def _watchable() -> None:
    if missing := syscalls.missing():
        lacking(f"{missing}, so crashes were NOT tested")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def _in_own_process(
    code: str, root: Path, place: str = "", kind: str = KILL
) -> tuple[Run, dict[str, str]]:
    """Run code with `root` in a new Python whose fork is watched; return also what is there."""
    program = f"""
import json, sys
from dataclasses import asdict
from pathlib import Path
import disturbed
from gridfold.atomic import make_folder, replacing, write_text
root = Path({str(root)!r})
def act():
    {code}
fault = {f"disturbed.Fault(disturbed.Place.parse({place!r}), {kind!r})" if place else None}
run = disturbed.run(act, root, 60, fault)
print(json.dumps([[str(p) for p in run.places], run.code, run.said, run.reached, run.hung]))
"""
    support = str(Path(disturbed.__file__).parent)
    path = os.pathsep.join(filter(None, (support, os.environ.get("PYTHONPATH"))))
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    places, *rest = json.loads(answer.stdout)
    files = {str(f.relative_to(root)): f.read_text() for f in root.rglob("*") if f.is_file()}
    return Run([*map(Place.parse, places)], *rest), files


WRITE = 'write_text(root / "a" / "b.txt", "new", durable=DURABLE)'


@pytest.mark.parametrize(
    ("durable", "kind", "left"),
    [
        (True, POWER, {"a/b.txt": "new"}),
        (True, POWER_AND_NAMES, {"a/b.txt": "new"}),
        # Renamed, but the content was never synced.
        (False, POWER, {"a/b.txt": ""}),
        (False, POWER_AND_NAMES, {}),
    ],
)
def test_a_failure_of_power_takes_what_is_not_synced(
    durable: bool, kind: str, left: dict[str, str], root: Path
) -> None:
    code = f"{WRITE.replace('DURABLE', str(durable))}; (root / 'end').touch()"
    run, files = _in_own_process(code, root, "open end 1", kind)
    assert run.reached
    assert files == left


def test_a_failure_of_power_brings_back_what_was_replaced(root: Path) -> None:
    (root / "b.txt").write_text("old")
    code = (
        "(root / 'n').write_text('new'); (root / 'n').rename(root / 'b.txt'); (root / 'e').touch()"
    )
    _, files = _in_own_process(code, root, "open e 1", POWER_AND_NAMES)
    assert files == {"b.txt": "old"}
    _, files = _in_own_process(code, root, "open e 1", POWER)
    assert files == {"b.txt": ""}


@pytest.mark.parametrize(("kind", "code"), [(KILL, -9), (EIO, 1), (ENOSPC, 1)])
def test_a_file_is_replaced_whole_or_not_at_all(kind: str, code: int, root: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "b.txt").write_text("old")
    run, files = _in_own_process(WRITE.replace("DURABLE", "True"), root, "rename a/b.txt 1", kind)
    assert run.code == code
    assert files["a/b.txt"] == "old"
    # What a killed process leaves goes with the next one that writes the file.
    assert len(files) == (2 if kind == KILL else 1)
    write_text(root / "a" / "b.txt", "new")
    assert [file.name for file in (root / "a").iterdir()] == ["b.txt"]


def test_a_full_disk_is_told_with_the_file(root: Path) -> None:
    run, _ = _in_own_process(
        WRITE.replace("DURABLE", "True"), root, "write a/.b.PROCESS.txt 1", ENOSPC
    )
    assert "No space left on device" in run.said
    assert "a/b.txt" in run.said


@pytest.mark.parametrize("gone", [True, False])
def test_only_files_of_processes_that_are_gone_are_removed(gone: bool, tmp_path: Path) -> None:
    from gridfold import atomic

    process = subprocess.Popen(["sleep", "0" if gone else "1000"])
    if gone:
        process.wait()
    file = tmp_path / f".b.{atomic._machine()}-{process.pid}.txt"
    foreign = tmp_path / f".b.00000000-{process.pid}.txt"
    try:
        for each in (file, foreign):
            each.write_text("")
        write_text(tmp_path / "b.txt", "new")
        assert file.exists() != gone
        assert foreign.exists()
        os.utime(foreign, (0, 0))
        write_text(tmp_path / "b.txt", "newer")
        assert not foreign.exists()
    finally:
        process.kill()
        process.wait()


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file" / "below")


def test_strace_sees_the_same_calls(root: Path, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        lacking("strace is not installed; on Debian: sudo apt-get install strace")
    trace = tmp_path / "trace"
    names = ",".join(syscalls.CALLS)
    answer = subprocess.run(
        [
            *("strace", "-f", "-y", "-s", "4096", "-o", trace, "-e", f"trace={names}"),
            *(sys.executable, watchedwriters.__file__, str(root)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    seen = collections.Counter(json.loads(answer.stdout))
    assert seen == _of_strace(trace, root.resolve())
    assert {name.split()[0] for name in seen} >= {"open", "write", "fsync", "rename", "unlink"}


@pytest.mark.parametrize("suffix", ["json", "parquet", "csv", "npz"])
@pytest.mark.parametrize("changed", ["scores", "seconds"])
def test_a_number_that_differs_is_noticed(suffix: str, changed: str, tmp_path: Path) -> None:
    folders = []
    for name, value in (("one", 0.5), ("two", 0.25)):
        content = {"scores": 1.0, "seconds": 1.0} | {changed: value}
        folder = crashstudy.Folder.new(tmp_path / name)
        file = folder.results / f"file.{suffix}"
        if suffix == "json":
            file.write_text(json.dumps({"scores": {"accuracy": content.pop("scores")}} | content))
        elif suffix == "npz":
            header = np.frombuffer(json.dumps({"seconds": content["seconds"]}).encode(), np.uint8)
            np.savez(file, header=header, variables=np.array(content["scores"]))
        else:
            table = pd.DataFrame([content])
            table.to_csv(file) if suffix == "csv" else table.to_parquet(file)
        folders.append(folder)
    found = crashstudy.differences(*folders, lambda name: False)
    assert found == ([f"file.{suffix} says something else"] if changed == "scores" else [])


@pytest.mark.daily("crashes", 1)
def test_each_way_of_writing_recovers(root: Path) -> None:
    print(f"Once more: CRASHES={SEED} pytest {Path(__file__).relative_to(ROOT)}")
    answer = subprocess.run(
        [sys.executable, watchedwriters.__file__, str(root), SEED],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == []


def _of_strace(trace: Path, root: Path) -> collections.Counter[str]:
    """Return what strace has seen, named as the places are."""
    found: collections.Counter[str] = collections.Counter()
    for line in trace.read_text().splitlines():
        call = re.match(r"\d+\s+(\w+)\((.*)", line)
        # What is seen before the watched process begins, or only read, is not counted.
        if call is None or (call[1] in ("open", "openat") and not _writes(call[2])):
            continue
        given = call[2].removesuffix(" <unfinished ...>").rpartition(") = ")
        paths = re.findall(r'[<"]([^<>"]*)[>"]', given[0] or given[2])
        if call[1] in ("write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate"):
            paths = paths[:1]
        path = paths[-1] if paths else ""
        if f"{path}/".startswith(f"{root}/"):
            found[f"{syscalls._FAMILY.get(call[1], call[1])} {disturbed.named(path, root)}"] += 1
    return found


def _writes(arguments: str) -> bool:
    return re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", arguments) is not None


@pytest.mark.daily("crashes", 1)
def test_a_study_that_is_disturbed_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    record = tmp_path / "points.jsonl"
    words = ["--seed", SEED, "--points", str(A_DAY), "--record", str(record), "--quick"]
    print(f"Once more: CRASHES={SEED} pytest {Path(__file__).relative_to(ROOT)}")
    answer = subprocess.run(
        [sys.executable, ROOT / "tests" / "support" / "crashmatrix.py", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    print(answer.stdout, answer.stderr)
    wrong = {each.point: each.failings for each in read(record) if each.failings}
    assert not wrong, "\n".join(
        f"python tests/support/crashmatrix.py --only '{point}'" for point in wrong
    )
    assert answer.returncode == 0
    assert any(each.reached for each in read(record))


JOB = """
    from gridfold.jobs.job import job
    with job(str(root / "logs" / "a.log"), "request"):
        write_text(root / "answer.txt", "42")
"""


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("open logs/a.log 1", "logs/a.log can't be written: No space left on device"),
        ("write .answer.PROCESS.txt 1", "No space left on device: '{root}/answer.txt'"),
        ("write logs/.a.PROCESS.request 1", "No space left on device: '{root}/logs/a.request'"),
    ],
)
def test_a_job_says_on_the_terminal_that_the_disk_is_full(
    place: str, said: str, root: Path
) -> None:
    run, _ = _in_own_process(JOB.strip(), root, place, ENOSPC)
    assert run.code == 1
    assert said.format(root=root) in run.said
    # The log, which would have it, is full, too.
    assert "Traceback" not in run.said


def test_memory_on_disk_is_reserved_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gridfold.arrays import empty

    def reserve(descriptor: int, begin: int, size: int) -> None:
        raise AssertionError("other processes would have no disk meanwhile")

    monkeypatch.setattr(os, "posix_fallocate", reserve)
    with pytest.raises(OSError, match="No space left") as caught:
        empty((2 * shutil.disk_usage(tmp_path).free,), "uint8", tmp_path)
    assert caught.value.filename == str(tmp_path)


def test_a_disk_with_less_room_than_it_says_is_told_as_well(tmp_path: Path) -> None:
    from gridfold.arrays import empty

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As with a quota.
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            empty((2**30,), "uint8", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert caught.value.filename == str(tmp_path)

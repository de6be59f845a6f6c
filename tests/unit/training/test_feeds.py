"""Data that is read batch by batch: the same numbers as from memory, in less of it."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets
from workbench import Bench, final_state, prepare_bench, wait_for, without_times

from gridfold.arrays import Windows
from gridfold.training.feeds import Rows
from gridfold.training.preprocessing import Preprocessing

DIGITS = {
    "study": "digits",
    "data": {"source": "digits", "subset": 400, "normalise": "global"},
    "problem": {"type": "multiclass"},
    "model": {"mlp": {"units": 16, "dropout": 0.2}},
    "training": {"epochs": 3, "batch_size": 48, "learning_rate": 0.003},
    "resampling": {"method": "stratified", "folds": 3},
}


def table_study(folder: Path) -> dict[str, Any]:
    """Return a study of a table with categories, missing values and sample weights."""
    table = datasets.load_breast_cancer(as_frame=True).frame.head(300)
    table["size"] = np.where(table["mean area"] > 600, "large", "small")
    table.loc[::7, "mean radius"] = np.nan
    table["importance"] = np.linspace(0.5, 2, len(table))
    table.to_csv(folder / "table.csv", index=False)
    return DIGITS | {
        "data": {
            "source": "csv",
            "path": str(folder / "table.csv"),
            "targets": ["target"],
            "weight": "importance",
            "missing": {"numbers": "mean"},
        },
        "problem": {"type": "binary"},
        "resampling": {"method": "kfold", "folds": 3},
    }


def windows_study(folder: Path) -> dict[str, Any]:
    """Return a study of windows of two series, with missing values and a category."""
    table = datasets.load_diabetes(as_frame=True).frame[["bmi", "bp", "target"]].head(240)
    table["series"] = np.where(np.arange(len(table)) < 100, "a", "b")
    table["day"] = np.arange(len(table))
    table["half"] = np.where(table["bp"] > 0, "upper", "lower")
    table.loc[::7, "bmi"] = np.nan
    table.to_csv(folder / "series.csv", index=False)
    return {
        "study": "series",
        "data": {
            "source": "csv",
            "path": str(folder / "series.csv"),
            "targets": ["target"],
            "time": "day",
            "groups": "series",
            "sequence": {"length": 6, "stride": 2},
            "missing": {"numbers": "mean"},
        },
        "problem": {"type": "regression"},
        "model": {"mlp": {"units": 8}},
        "training": {"epochs": 2, "batch_size": 8},
        "resampling": {"method": "blocked", "folds": 3},
    }


STUDIES = {
    "images": DIGITS,
    "XLA": DIGITS
    | {
        "training": {
            "jit_compile": True,
            "deterministic": False,
            "epochs": 2,
            "batch_size": 48,
        }
    },
    "steps of their own": DIGITS
    | {"training": {"steps_per_execution": 2, "epochs": 2, "batch_size": 48}},
    # More than are read at once.
    "small steps": DIGITS | {"training": {"epochs": 2, "batch_size": 8}},
    "blocks": DIGITS | {"training": {"shuffle_block": 4, "epochs": 2, "batch_size": 8}},
    "augmented": DIGITS
    | {"training": {"augmentation": {"rotation": 0.1}, "epochs": 2, "batch_size": 48}},
    "a table": table_study,
    "windows": windows_study,
}


Pair = tuple[Bench, Bench]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """Return each study trained from memory and trained by reading."""
    found = {}
    for name, study in STUDIES.items():
        folder = tmp_path_factory.mktemp("study")
        study = study(folder) if callable(study) else study
        found[name] = (
            prepare_bench(folder / "kept", study),
            prepare_bench(folder / "read", study | {"execution": {"in_memory_mb": 0}}),
        )
    works = [bench.work() for pair in found.values() for bench in pair]
    # One pool for all: starting it takes longer than training.
    first, _ = next(iter(found.values()))
    failures = [event.failure for event in first.train(*works) if event.failure]
    assert not failures, failures
    return found


@pytest.mark.parametrize("name", STUDIES)
def test_reading_gives_what_memory_gives_bit_for_bit(pairs: dict[str, Pair], name: str) -> None:
    kept, read = (bench.work() for bench in pairs[name])
    assert (kept.task.in_memory_mb, read.task.in_memory_mb) == (1024, 0)
    expected, found = (work.store.result(work.task.epochs) for work in (kept, read))
    assert expected is not None
    assert found is not None
    assert without_times(found.history) == without_times(expected.history)
    assert found.scores == expected.scores
    for a, b in zip(
        *(final_state(work.task.folder, work.task.epochs) for work in (read, kept)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_where_samples_are_kept_changes_no_id_and_retrains_nothing(pairs: dict[str, Pair]) -> None:
    kept, read = pairs["images"]
    assert [c.id for c in read.plan.configurations] == [c.id for c in kept.plan.configurations]
    again = prepare_bench(read.plan.paths.root.parent.parent, DIGITS)
    assert again.work().task.in_memory_mb == 1024
    assert again.work().store.result(3) is not None


def pages_in_memory(samples: np.memmap[Any, Any], first: int, last: int) -> list[bool]:
    """Tell of each page of these rows of a mapped array whether the system holds it."""
    begin, end = (samples.ctypes.data + row * samples.strides[0] for row in (first, last))
    begin += -begin % mmap.PAGESIZE
    pages = (ctypes.c_ubyte * -(-(end - begin) // mmap.PAGESIZE))()
    libc = ctypes.CDLL(None, use_errno=True)
    asked = (ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), pages)
    assert libc.mincore(*asked) == 0, os.strerror(ctypes.get_errno())
    return [bool(page & 1) for page in pages]


@pytest.fixture
def on_disk(tmp_path: Path) -> np.memmap[Any, Any]:
    """Return 16,384 rows of a page each, of which nothing is in memory."""
    file = tmp_path / "samples.npy"
    np.save(file, np.random.default_rng(0).random((16_384, 1024), np.float32))
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    samples: np.memmap[Any, Any] = np.load(file, mmap_mode="r")
    if any(pages_in_memory(samples, 1000, 16_000)):
        pytest.skip("temporary files are not on a disk here")
    return samples


def test_a_block_is_read_at_once(on_disk: np.memmap[Any, Any]) -> None:
    part = np.arange(0, len(on_disk), 2)
    read = Rows(on_disk, part, Preprocessing(), 512)
    some = np.array([700, 513, 1023])
    found = read[some]
    # The second block: rows 1024 to 2046.
    wait_for(lambda: all(pages_in_memory(on_disk, 1024, 2047)))
    np.testing.assert_array_equal(found, on_disk[part[some]])
    # Rows that are no neighbours, and arrays in memory, are read as ever.
    far = Rows(on_disk, part[::8], Preprocessing(), 512)
    np.testing.assert_array_equal(far[some], on_disk[part[::8][some]])
    kept = Rows(on_disk[:2048].copy(), np.arange(2048), Preprocessing(), 512)
    np.testing.assert_array_equal(kept[some], on_disk[some])


def test_of_samples_larger_than_memory_no_more_is_read_than_wanted(
    on_disk: np.memmap[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridfold.training.feeds.available_memory", lambda: on_disk.nbytes)
    read = Rows(on_disk, np.arange(len(on_disk)), Preprocessing())
    some = np.array([12_000, 5_000, 9_000])
    found = read[some]
    assert sum(pages_in_memory(on_disk, 1000, 16_000)) <= 2 * len(some)
    np.testing.assert_array_equal(found, on_disk[some])
    # What is read in its order comes in large pieces.
    read[np.arange(2000, 2100)]
    wait_for(lambda: all(pages_in_memory(on_disk, 2000, 2100)))


def test_windows_are_read_by_the_rows_that_they_cover(on_disk: np.memmap[Any, Any]) -> None:
    starts = np.r_[0:4000:2, 6000:12_000:2]
    windows = Windows(on_disk, starts, 10)
    part = np.arange(0, len(starts), 2)
    read = Rows(windows, part, Preprocessing(), 256)
    some = np.array([300, 257, 511])
    found = read[some]
    # The second block: windows 512 to 1022, which begin at the rows 1024 to 2044.
    wait_for(lambda: all(pages_in_memory(on_disk, 1024, 2054)))
    np.testing.assert_array_equal(found, windows[part[some]])
    # Samples larger than memory are windows whose rows are.
    assert read.shape == (len(part), 10, 1024)
    assert windows.nbytes == on_disk.nbytes


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    digits = datasets.load_digits()
    pixels = digits.images.astype(np.float64)
    folder = tmp_path / "arrays"
    folder.mkdir()
    for number, part in enumerate(np.array_split(np.arange(300), 4)):
        np.save(folder / f"x-{number:02}.npy", pixels[part])
        np.save(folder / f"y-{number:02}.npy", digits.target[part])
    np.save(folder / "writer.npy", np.arange(300) // 10)
    return folder


def test_parts_of_an_array_are_one_array(shards: Path, tmp_path: Path) -> None:
    data = {"source": "npy", "path": str(shards), "groups": "writer", "reshape": [8, 8, 1]}
    study = DIGITS | {"data": data, "resampling": {"method": "group", "folds": 3}}
    bench = prepare_bench(tmp_path, study)
    digits = datasets.load_digits()
    features = np.load(bench.plan.paths.data / "features.npy", mmap_mode="r")
    np.testing.assert_array_equal(features[..., 0], digits.images[:300].astype(np.float32))
    np.testing.assert_array_equal(
        np.load(bench.plan.paths.data / "groups.npy"), np.arange(300) // 10
    )


@pytest.mark.parametrize(
    ("change", "options", "complaint"),
    [
        (None, {"features": "z"}, r"neither z\.npy nor z-\*\.npy \(data\.features\); it has writ"),
        (("x-01.npy", np.zeros((2, 9))), {}, r"x-01\.npy has float64 of shape \(9,\), but x-00"),
        (("x-01.npy", np.array([{}])), {}, r"x-01\.npy can't be read, .*Python objects"),
    ],
)
def test_parts_that_do_not_fit_are_named(
    shards: Path, tmp_path: Path, change: Any, options: dict[str, Any], complaint: str
) -> None:
    if change:
        np.save(shards / change[0], change[1])
    with pytest.raises(Exception, match=complaint):
        prepare_bench(
            tmp_path, DIGITS | {"data": {"source": "npy", "path": str(shards), **options}}
        )

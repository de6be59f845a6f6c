"""Data that is read batch by batch: the same numbers as from memory, in less of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets
from workbench import Bench, final_state, prepare_bench, without_times

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
    "augmented": DIGITS
    | {"training": {"augmentation": {"rotation": 0.1}, "epochs": 2, "batch_size": 48}},
    "a table": None,
}


Pair = tuple[Bench, Bench]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """Return each study trained from memory and trained by reading."""
    found = {}
    for name, study in STUDIES.items():
        folder = tmp_path_factory.mktemp("study")
        study = study or table_study(folder)
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

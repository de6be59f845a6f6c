"""What jobs ask a cluster for: it follows the study and grows with every attempt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import tiny_study, write_study

from gridfold.paths import result_file
from gridfold.plan.plan import Plan
from gridfold.plan.resources import JobSizes


def sizes(folder: Path, **sections: Any) -> JobSizes:
    folder.mkdir(exist_ok=True)
    study = tiny_study(search=None) | sections
    return JobSizes(Plan.load([write_study(folder / "study.yaml", study)], results=folder / "r"))


def memory(folder: Path, threads: int = 4, attempt: int = 1, **sections: Any) -> int:
    return sizes(folder, **sections).train_memory("s0001", threads, attempt)


def minutes(folder: Path, threads: int = 4, attempt: int = 1, **sections: Any) -> int:
    return sizes(folder, **sections).train_minutes("s0001", threads, attempt)


def archive(folder: Path, samples: int) -> dict[str, Any]:
    file = folder / f"{samples}.npz"
    np.savez(file, x=np.zeros((samples, 1000), np.uint8), y=np.zeros(samples))
    return {"source": "npz", "path": str(file)}


def test_a_small_study_asks_for_little(tmp_path: Path) -> None:
    assert 1000 <= memory(tmp_path, threads=1) <= 2000
    assert minutes(tmp_path) == 10


def test_data_in_memory_are_paid_for_by_every_worker(tmp_path: Path) -> None:
    # 80 MB as float32, a few copies of it for each of the two trials that run at once.
    data = archive(tmp_path, 20_000)
    one, two = (memory(tmp_path, threads=n, data=data) for n in (1, 2))
    small = memory(tmp_path, threads=1, data=archive(tmp_path, 200))
    assert one - small == pytest.approx(4 * 80, abs=150)
    assert two - one > 4 * 80


def test_windows_take_the_memory_of_their_rows(tmp_path: Path) -> None:
    file = tmp_path / "series.csv"
    file.write_text("t,y\n" + "".join(f"{i},{i}\n" for i in range(300_000)))
    data = {"source": "csv", "path": str(file), "targets": ["y"], "time": "t"}
    plain = {"problem": {"type": "regression"}, "resampling": {"method": "blocked", "folds": 2}}
    asked = [
        memory(tmp_path, threads=1, data=data | {"sequence": {"length": length}}, **plain)
        for length in (2, 200)
    ]
    # As copies they would take 240 MB, and a trial would hold several.
    assert asked[0] == asked[1]


def test_idle_workers_cost_nothing(tmp_path: Path) -> None:
    # Two splits of one configuration: never more than two trials at once.
    assert memory(tmp_path, threads=64) == memory(tmp_path, threads=2)


def test_large_models_and_batches_take_memory(tmp_path: Path) -> None:
    base = memory(tmp_path)
    assert memory(tmp_path, model={"mlp": {"units": 2000, "layers": 3}}) >= base + 2 * 300
    images = {"source": "digits"}
    batches = [
        memory(
            tmp_path,
            data=images,
            model={"cnn": {"filters": 64}},
            training={"epochs": 1, "batch_size": n},
        )
        for n in (32, 3200)
    ]
    assert batches[1] > batches[0]


def test_longer_training_asks_for_more_time_and_more_cores_for_less(tmp_path: Path) -> None:
    def study(epochs: int) -> dict[str, Any]:
        return {
            "data": {"source": "digits"},
            "training": {"epochs": epochs},
            "resampling": {"method": "kfold", "folds": 10},
            "execution": {"trials_per_job": 10},
        }

    short, long = (minutes(tmp_path, threads=1, **study(e)) for e in (2000, 20_000))
    assert 5 * short < long < 15 * short
    assert minutes(tmp_path, threads=10, **study(20_000)) < long / 3


def test_every_attempt_asks_for_more(tmp_path: Path) -> None:
    asked = sizes(tmp_path)
    for ask in (
        lambda attempt: asked.train_memory("s0001", 4, attempt),
        lambda attempt: asked.train_minutes("s0001", 4, attempt),
        asked.final_memory,
        asked.final_minutes,
        asked.data_memory,
        asked.data_minutes,
        asked.table_memory,
        asked.baselines_memory,
        asked.baselines_minutes,
        asked.table_minutes,
    ):
        assert ask(2) == 2 * ask(1)


def test_the_final_model_fits_whichever_configuration_wins(tmp_path: Path) -> None:
    wide = sizes(tmp_path, search={"space": {"mlp.units": [8, 800_000]}})
    narrow = sizes(tmp_path, search={"space": {"mlp.units": [8, 16]}})
    assert wide.final_memory(1) > narrow.final_memory(1)


def test_tables_grow_with_trials_and_epochs(tmp_path: Path) -> None:
    few = sizes(tmp_path).table_memory(1)
    many = sizes(
        tmp_path,
        training={"epochs": 1000},
        search={
            "strategy": {"type": "random", "n": 500},
            "space": {"mlp.units": {"int": {"min": 1, "max": 999}}},
        },
    ).table_memory(1)
    # A million rows.
    assert many > few + 500


def finish_trials(made: JobSizes, factor: float, trained: int) -> None:
    plan = made._plan
    for trial in plan.trials:
        folder = plan.paths.trial(trial.config_id, trial.split)
        folder.mkdir(parents=True, exist_ok=True)
        result_file(folder, plan.configurations[0].epochs).write_text(
            json.dumps({"epochs_trained": trained, "fit_seconds": factor})
        )


def test_what_trials_took_corrects_the_estimate(tmp_path: Path) -> None:
    study: dict[str, Any] = {
        "training": {"epochs": 1000},
        "resampling": {"method": "kfold", "folds": 20},
    }
    before = minutes(tmp_path, threads=1, **study)
    finish_trials(sizes(tmp_path, **study), 300.0, trained=1000)
    slow = minutes(tmp_path, threads=1, **study)
    assert slow > 3 * before
    # 21 trials of five minutes one after the other, and a margin of three.
    assert slow == pytest.approx(3 * 21 * 5, rel=0.1)
    finish_trials(sizes(tmp_path, **study), 150.0, trained=500)
    assert minutes(tmp_path, threads=1, **study) == slow, "it was stopped early; others may not be"
    finish_trials(sizes(tmp_path, **study), 1.0, trained=1000)
    assert minutes(tmp_path, threads=1, **study) < before


def test_a_damaged_result_is_no_measurement(tmp_path: Path) -> None:
    before = minutes(tmp_path)
    made = sizes(tmp_path)
    finish_trials(made, 1e6, trained=3)
    for file in made._plan.paths.runs.glob("*/*/result-*.json"):
        file.write_text("{")
    assert minutes(tmp_path) == before

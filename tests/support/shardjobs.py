"""A shard of four trials, trained by its job in a process of its own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from workbench import Bench, final_state, shared_forks, start_shard_job, without_times

from gridfold.plan.shards import TrialKey
from gridfold.store import checkpoints

EPOCHS = 60


def study(epochs: int = EPOCHS, **extra: Any) -> dict[str, Any]:
    return {
        "study": "shard",
        "data": {"source": "digits", "normalise": "global"},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {"units": 48, "dropout": 0.2}},
        # Jobs are killed after an epoch, however fast it was.
        "training": {
            "epochs": epochs,
            "early_stopping": {"patience": 50},
            "checkpoint_every": 1,
        },
        "search": {"space": {"training.learning_rate": [0.001, 0.003]}},
        "resampling": {"method": "stratified", "folds": 2},
        "execution": {"trials_per_job": 100},
    } | extra


def finish(bench: Bench, workers: int = 2) -> None:
    with shared_forks():
        job = start_shard_job(bench.plan, workers)
    _, errors = job.communicate(timeout=300)
    assert job.returncode == 0, errors.decode()


def epochs_reached(bench: Bench) -> dict[TrialKey, int]:
    reached = {}
    for trial in bench.plan.trials:
        saved = checkpoints.newest(bench.plan.paths.trial(trial.config_id, trial.split), EPOCHS)
        reached[trial] = saved.epoch if saved else 0
    return reached


def segments(bench: Bench, trial: TrialKey) -> list[tuple[int, int]]:
    folder = bench.plan.paths.trial(trial.config_id, trial.split)
    result = json.loads((folder / f"result-{EPOCHS:05d}.json").read_text())
    return [(s["first"], s["last"]) for s in result["segments"]]


def assert_same_numbers(bench: Bench, other: Bench) -> None:
    """Assert that two jobs have trained the same trials to the same numbers, bit for bit."""
    for trial in bench.plan.trials:
        folders = [b.plan.paths.trial(trial.config_id, trial.split) for b in (bench, other)]
        a, b = (json.loads((f / f"result-{EPOCHS:05d}.json").read_text()) for f in folders)
        assert a["scores"] == b["scores"]
        assert without_times(a["history"]) == without_times(b["history"])
        for one, two in zip(*(final_state(f, EPOCHS) for f in folders), strict=True):
            np.testing.assert_array_equal(one, two)

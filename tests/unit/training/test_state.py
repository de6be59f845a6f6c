"""What a training keeps of itself while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from gridfold.errors import BudgetSpent
from gridfold.store import checkpoints
from gridfold.store.trials import TrialTask
from gridfold.training import state
from gridfold.training.devices import Devices
from gridfold.training.loop import TrainingLoop

EPOCHS = 4
NEVER = 1e9


def train(folder: Path, every: int | str, report: Callable[[dict[str, float]], None]) -> None:
    """Train a small model for some epochs, with checkpoints in a folder."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    x = np.linspace(0, 1, 24, dtype=np.float32).reshape(8, 3)
    loop = TrainingLoop(model, (x, x[:, :1]), (x, x[:, :1]), batch_size=4, seed=7)
    task = TrialTask(
        "cafe",
        "r0f0",
        EPOCHS,
        {"model": {"family": "mlp"}},
        folder,
        folder,
        folder,
        checkpoint_every=every,
    )
    following = state.TrainingState(model, loop, None, task, "mae", 7, report, Devices())
    loop.run(0, EPOCHS, [following])


def kept(folder: Path) -> list[int]:
    return sorted(int(file.stem[-5:]) for file in folder.glob("checkpoint-*.npz"))


@pytest.mark.parametrize(
    ("every", "seconds", "times", "expected"),
    [
        ("auto", NEVER, 0, [[], [], [], [4]]),
        ("auto", 0, 0, [[1], [1, 2], [2, 3], [3, 4]]),
        # What the first one takes is not known before it is written.
        ("auto", 0, NEVER, [[1], [1], [1], [1, 4]]),
        (1, NEVER, NEVER, [[1], [1, 2], [2, 3], [3, 4]]),
        (3, 0, 0, [[], [], [3], [3, 4]]),
    ],
)
def test_checkpoints_are_as_far_apart_as_is_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    every: int | str,
    seconds: float,
    times: float,
    expected: list[list[int]],
) -> None:
    monkeypatch.setattr(state, "_LEAST_SECONDS", seconds)
    monkeypatch.setattr(state, "_TIMES_WRITING", times)
    found: list[list[int]] = []
    train(tmp_path, every, lambda row: found.append(kept(tmp_path)))
    assert found == expected


@pytest.mark.parametrize("every", ["auto", 1, 3])
def test_a_training_that_ends_with_the_budget_keeps_its_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int | str
) -> None:
    monkeypatch.setattr(state, "_LEAST_SECONDS", NEVER)

    def report(row: dict[str, Any]) -> None:
        if row["epoch"] == 2:
            raise BudgetSpent(2)

    with pytest.raises(BudgetSpent):
        train(tmp_path, every, report)
    saved = checkpoints.newest(tmp_path, EPOCHS)
    assert saved is not None
    assert saved.epoch == 2
    assert [row["epoch"] for row in saved.meta["history"]] == [1, 2]

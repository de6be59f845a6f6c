"""The state of a trial in training: followed, kept after each epoch, brought back."""

from __future__ import annotations

import contextlib
import math
import platform
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import keras
import numpy as np

from gridfold.arrays import Array
from gridfold.canonical import derive_seed
from gridfold.errors import BudgetSpent, TrialFailure
from gridfold.problems import USUAL_THRESHOLD
from gridfold.store.checkpoints import Checkpoint
from gridfold.store.trials import DIVERGED, TrialTask
from gridfold.training import measures, optimisers
from gridfold.training.devices import Devices
from gridfold.training.loop import TrainingLoop

EpochReport = Callable[[dict[str, float]], None]

# Where `training.checkpoint_every` is auto: seconds from one to the next, and how many times what
# writing one took. That may be as much as an epoch of a small model.
_LEAST_SECONDS = 1.0
_TIMES_WRITING = 20

# Columns of the history that are not of the user's metrics, and those before them in tables.
RESERVED = frozenset(
    {
        "config_id",
        "split",
        "epoch",
        "loss",
        "val_loss",
        "metric",
        "val_metric",
        "learning_rate",
        "seconds",
        "training_seconds",
    }
)


def followed_at(
    threshold: float, history: list[dict[str, float]], task: TrialTask
) -> list[dict[str, float]]:
    """Return a history without what was followed at another threshold than that of a task.

    The outputs of those epochs are no longer there to be judged again. What the user's own loop
    reports is left as it is.

    Parameters
    ----------
    threshold : float
        At which the metric of the history was followed.
    history : list of dict
    task : TrialTask
    """
    if threshold == task.threshold or task.settings["model"]["family"] == "custom":
        return history
    return [{**row, "metric": math.nan, "val_metric": math.nan} for row in history]


class EpochScore(keras.callbacks.Callback):
    """Scores the validation part by a measure after each epoch, before others look at the logs.

    Parameters
    ----------
    scorer : Scorer
    targets : array
        Of the validation part.
    predict : callable
        Returns the predictions for it.
    """

    def __init__(
        self, scorer: measures.Scorer, targets: Array, predict: Callable[[], Array]
    ) -> None:
        super().__init__()
        self._scorer = scorer
        self._targets, self._predict = targets, predict

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the score to the logs, as ``val_<measure>``.

        Raises
        ------
        TrialFailure
            When it is not defined on these samples, or is the user's own and fails.
        """
        predictions, score = self._predict(), math.nan
        # With a loss that is not finite, the trial ends in a moment and says so.
        if np.isfinite(predictions).all():
            with contextlib.suppress(ValueError):
                score = self._scorer.score(self._targets, predictions)
            if math.isnan(score):
                raise TrialFailure(
                    "error",
                    f"early stopping by {self._scorer.measure}, which is not defined on the "
                    "validation part of this split; use resampling.method stratified, or another "
                    "monitor",
                )
        if logs is not None:
            logs[f"val_{self._scorer.measure}"] = score


class TrainingState(keras.callbacks.Callback):
    """Follows the training, writes checkpoints, and stops on a loss that is not finite."""

    def __init__(
        self,
        model: keras.Model,
        loop: TrainingLoop,
        stopping: optimisers.ResumableEarlyStopping | None,
        task: TrialTask,
        metric: str,
        seed: int,
        on_epoch: EpochReport,
        devices: Devices,
    ) -> None:
        super().__init__()
        self._devices = devices
        self.loop = loop
        self._model = model
        self._stopping = stopping
        self._task = task
        self._metric = metric
        self._on_epoch = on_epoch
        self._seed = seed
        self.epoch = 0
        self.stopped = False
        self._is_running = False
        # The last checkpoint: by the clock, its epoch, what it took.
        self._saved_at, self._saved_epoch, self._saving_seconds = time.perf_counter(), 0, 0.0
        self.history: list[dict[str, float]] = []
        self.segments: list[dict[str, Any]] = []

    def restore(self, saved: Checkpoint) -> None:
        """Go back to where the checkpoint was written."""
        self.epoch = self._saved_epoch = saved.epoch
        # Checkpoints of earlier versions don't say it.
        threshold = saved.meta.get("threshold", USUAL_THRESHOLD)
        self.history = followed_at(threshold, saved.meta["history"], self._task)
        self.segments = saved.meta["segments"]
        self.stopped = saved.meta["stopped"]
        for variable, value in zip(self._model.variables, saved.variables, strict=True):
            variable.assign(value)
        for variable, value in zip(self._model.optimizer.variables, saved.optimizer, strict=True):
            variable.assign(value)
        if self._stopping is not None and saved.meta["stopping"] is not None:
            self._stopping.set_model(self._model)
            self._stopping.restore(saved.meta["stopping"], saved.best_weights)
            if self.epoch >= self._task.epochs or self.stopped:
                self._stopping.on_train_begin()

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Open a segment: a stretch of training without interruption, whatever its phases."""
        if self._is_running:
            return
        self._is_running = True
        self.segments.append(
            {
                "first": self.epoch + 1,
                "last": self.epoch,
                "host": platform.node(),
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Make the process's generators a function of (seed, epoch), for code that uses them."""
        rank = self._devices.rank
        epoch_seed = derive_seed(self._seed, "epoch", epoch, *([rank] if rank else []))
        random.seed(epoch_seed)
        np.random.seed(epoch_seed)
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Record the epoch; write a checkpoint; refuse to go on without a finite loss."""
        logs = logs or {}
        row = {
            "epoch": epoch + 1,
            "loss": float(logs["loss"]),
            "val_loss": float(logs.get("val_loss", math.nan)),
            "metric": float(logs.get(self._metric, math.nan)),
            "val_metric": float(logs.get(f"val_{self._metric}", math.nan)),
            "learning_rate": float(keras.ops.convert_to_numpy(self._model.optimizer.learning_rate)),
        }
        known = {"loss", "val_loss", self._metric, f"val_{self._metric}"}
        row |= {name: float(value) for name, value in logs.items() if name not in known}
        self.epoch = epoch + 1
        for name in ("loss", "val_loss"):
            if not math.isfinite(row[name]) and name in logs:
                raise TrialFailure(DIVERGED, f"{name} is {row[name]} in epoch {epoch + 1}")
        self.segments[-1]["last"] = self.epoch
        self.stopped = bool(self._model.stop_training)
        last = self.stopped or self.epoch == self._task.epochs
        row["seconds"] = time.perf_counter() - self._began
        row["training_seconds"] = self.loop.training_seconds
        self.history.append(row)
        if last or self._is_checkpoint_due():
            self._save()
        try:
            self._on_epoch(row)
        except BudgetSpent:
            # It may go on from here another time.
            self._save()
            raise

    def _is_checkpoint_due(self) -> bool:
        every = self._task.checkpoint_every
        if isinstance(every, int):
            return self.epoch % every == 0
        since = time.perf_counter() - self._saved_at
        return since >= max(_LEAST_SECONDS, _TIMES_WRITING * self._saving_seconds)

    def _save(self) -> None:
        """Write a checkpoint, unless this epoch has one."""
        if not self._devices.is_chief or self._saved_epoch == self.epoch:
            return
        began = time.perf_counter()
        best = getattr(self._stopping, "best_weights", None)
        Checkpoint(
            self.epoch,
            [keras.ops.convert_to_numpy(v) for v in self._model.variables],
            [keras.ops.convert_to_numpy(v) for v in self._model.optimizer.variables],
            best,
            {
                "history": self.history,
                "threshold": self._task.threshold,
                "segments": self.segments,
                "stopped": self.stopped,
                "stopping": self._stopping.state() if self._stopping else None,
            },
            self._task.identity,
        ).save(self._task.folder)
        self._saved_at, self._saved_epoch = time.perf_counter(), self.epoch
        self._saving_seconds = self._saved_at - began

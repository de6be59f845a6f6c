"""The user's own training loop: what it is given, what it must report, what it returns.

The contract, for ``train(trial)``:

- Train until epoch ``trial.epochs`` on the samples of ``trial``, beginning with ``trial.seed``.
- Call ``trial.report(epoch, loss=...)`` after each epoch, from 1.
- Write checkpoints of your own to ``trial.folder`` and go on from them: after an interruption, and
  when ``epochs`` is raised, the function is called again with the same folder.
- Return a Keras model from features as in ``trial.training_data`` to outputs as the problem has
  them. gridfold scores it, and saves the final one with the scaling before it.
"""

from __future__ import annotations

import json
import math
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np

from gridfold.arrays import Array, Windows
from gridfold.atomic import write_text
from gridfold.errors import TrialFailure
from gridfold.store.trials import DIVERGED, TrialTask
from gridfold.training import models
from gridfold.training.prepared import Prepared
from gridfold.training.state import EpochReport
from gridfold.usercode import functions


class Trial:
    """What a training function of the user is given.

    Attributes
    ----------
    hp : keras_tuner.HyperParameters
        With the values of the configuration: ``trial.hp.Int("units", 8, 64)``.
    training_data, validation_data : tuple of array
        Features and targets, and sample weights where the data has them; encoded and scaled as
        the study says, fitted on the training part. Validation is None for the final model.
    features, targets : array
        All samples as they are kept, mapped into memory; with `training` and `validation`, the
        indices of both parts, for loops that read by themselves.
    input_shape : tuple of int
        Shape of one sample of `training_data`.
    outputs : int
        Units that the model must have at its end.
    seed : int
        Of this trial, in [0, 2^31).
    epochs : int
        Epochs to reach.
    settings : dict
        All settings of the configuration, ``training`` among them.
    folder : Path
        For checkpoints of the function; kept between calls.
    history : list of dict
        What was reported so far, in earlier calls too.
    """

    def __init__(
        self, task: TrialTask, prepared: Prepared, seed: int, on_epoch: EpochReport
    ) -> None:
        self._on_epoch = on_epoch
        self._prepared = prepared
        self.settings = task.settings
        self.hp = models.hyperparameters(task.settings["model"])
        self.training: Array = prepared.training
        self.validation: Array = prepared.validation
        self.features: Array = np.asarray(prepared.dataset.features)
        self.targets: Array = prepared.dataset.targets
        self.training_data = _plain(prepared.training_arrays())
        validation = prepared.validation_arrays()
        self.validation_data = None if validation is None else _plain(validation)
        self.input_shape = prepared.input_shape
        self.outputs = prepared.dataset.outputs
        self.seed = seed
        self.epochs = task.epochs
        self.folder: Path = task.folder / "own"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._record = task.folder / "own.json"
        kept = json.loads(self._record.read_text()) if self._record.exists() else {}
        self.history: list[dict[str, float]] = kept.get("history", [])[: self.epochs]
        self.segments: list[dict[str, Any]] = kept.get("segments", [])
        self._began = time.perf_counter()
        self._is_running = False

    def report(
        self,
        epoch: int,
        loss: float,
        val_loss: float = math.nan,
        metric: float = math.nan,
        val_metric: float = math.nan,
        learning_rate: float = math.nan,
    ) -> None:
        """Tell how an epoch went, for progress, learning curves and the report.

        Parameters
        ----------
        epoch : int
            From 1. Epochs that were reported before, and are trained again, are replaced.
        loss, val_loss, metric, val_metric, learning_rate : float

        Raises
        ------
        TrialFailure
            When the loss is not finite: the trial has diverged.
        ValueError
            When epochs were left out.
        """
        if not 1 <= epoch <= len(self.history) + 1:
            raise ValueError(f"epoch {epoch} was reported after epoch {len(self.history)}")
        for name, value in (("loss", loss), ("val_loss", val_loss)):
            if not math.isfinite(value) and not (name == "val_loss" and math.isnan(value)):
                raise TrialFailure(DIVERGED, f"{name} is {value} in epoch {epoch}")
        if not self._is_running:
            self._is_running = True
            started = datetime.now(UTC).isoformat(timespec="seconds")
            self.segments.append({"first": epoch, "host": platform.node(), "started": started})
        now = time.perf_counter()
        row = {
            "epoch": epoch,
            "loss": float(loss),
            "val_loss": float(val_loss),
            "metric": float(metric),
            "val_metric": float(val_metric),
            "learning_rate": float(learning_rate),
            "seconds": now - self._began,
            "training_seconds": now - self._began,
        }
        self._began = now
        self.history[epoch - 1 :] = [row]
        self.segments[-1]["last"] = epoch
        write_text(
            self._record, json.dumps({"history": self.history, "segments": self.segments}) + "\n"
        )
        self._on_epoch(row)


def train(trial: Trial) -> keras.Model:
    """Call the user's function and check what it returns.

    Raises
    ------
    TrialFailure
        When it keeps its part of the contract badly.
    """
    settings = trial.settings["model"]
    reference = settings["train"]
    model = functions.load(reference)(trial)
    models.refuse_unasked(reference, settings, trial.hp)
    if not isinstance(model, keras.Model):
        raise TrialFailure(
            "error", f"{reference} returned {type(model).__name__}, not a keras.Model"
        )
    if not trial.history:
        raise TrialFailure("error", f"{reference} never called trial.report")
    return model


def _plain(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return windows as the array that code of a user expects."""
    return tuple(np.asarray(each) if isinstance(each, Windows) else each for each in arrays)

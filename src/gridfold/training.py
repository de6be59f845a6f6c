"""Train one trial: from a request to a fitted, scored model, resumable after every epoch."""

from __future__ import annotations

import math
import platform
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight

from gridfold import checkpoint, measures, models, optimisation
from gridfold.canonical import derive_seed
from gridfold.checkpoint import Checkpoint
from gridfold.data import Array, Dataset
from gridfold.errors import TrialFailure
from gridfold.kinds import PROBLEM_KINDS
from gridfold.loop import TrainingLoop, steps_per_epoch
from gridfold.preprocessing import UNCHANGED, Affine, fit_affine
from gridfold.runstore import DIVERGED, TrialResult
from gridfold.splits import Splits
from gridfold.task import TrialTask

EpochReport = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Fitted:
    """A trained model and how it came about.

    Attributes
    ----------
    model : keras.Model
        With the weights that are to be scored.
    features, targets : Affine
        The scaling of its inputs and outputs.
    scaled_scores : bool
        Whether predictions stay on the scale of training. So it is for several outputs in [0, 1]:
        in their own units, the one with the largest numbers would decide every score.
    history, segments : list of dict
        As in :class:`~gridfold.runstore.TrialResult`.
    best_epoch : int
        Epoch (from 1) of the weights.
    """

    model: keras.Model
    features: Affine
    targets: Affine
    scaled_scores: bool
    history: list[dict[str, float]]
    segments: list[dict[str, Any]]
    best_epoch: int

    @property
    def fit_seconds(self) -> float:
        """Wall time in epochs, interrupted stretches included."""
        return sum(row["seconds"] for row in self.history)

    def predict(self, samples: Array, batch_size: int = 1024) -> Array:
        """Predict raw samples; (samples, outputs) float32.

        Calls the model directly: for one pass over small parts, tracing `Model.predict` costs
        more than it saves.
        """
        parts = [
            keras.ops.convert_to_numpy(
                self.model(self.features.apply(samples[start : start + batch_size]), training=False)
            )
            for start in range(0, len(samples), batch_size)
        ]
        outputs = np.concatenate(parts).reshape(len(samples), -1)
        if not self.scaled_scores:
            outputs = self.targets.invert(outputs)
        return np.asarray(outputs, np.float32)

    def scored_targets(self, targets: Array) -> Array:
        """Return `targets` on the scale on which :meth:`predict` answers."""
        return self.targets.apply(targets) if self.scaled_scores else targets


def train_trial(task: TrialTask, on_epoch: EpochReport) -> tuple[TrialResult, Array]:
    """Train and score one trial.

    Returns
    -------
    result : TrialResult
    predictions : array of shape (validation samples, outputs), float32

    Raises
    ------
    TrialFailure
        When the loss or a prediction is not finite, or the model can't be built.
    """
    started = time.perf_counter()
    dataset = Dataset.load(task.data)
    split = Splits.load(task.splits, task.split).by_name[task.split]
    fitted = fit(task, dataset, split.training, split.validation, on_epoch)
    predictions = fitted.predict(dataset.features[split.validation])
    if not np.isfinite(predictions).all():
        raise TrialFailure(DIVERGED, "predictions are not finite (NaN or infinity)")
    result = TrialResult(
        "finished",
        task.epochs,
        epochs_trained=len(fitted.history),
        best_epoch=fitted.best_epoch,
        scores=measures.score(
            task.settings["problem"]["type"],
            fitted.scored_targets(dataset.targets[split.validation]),
            predictions,
        ),
        history=fitted.history,
        segments=fitted.segments,
        n_train=len(split.training),
        n_validation=len(split.validation),
        parameters=int(sum(math.prod(w.shape) for w in fitted.model.trainable_variables)),
        fit_seconds=fitted.fit_seconds,
        seconds=time.perf_counter() - started,
    )
    return result, predictions


def fit(
    task: TrialTask,
    dataset: Dataset,
    training: Array,
    validation: Array,
    on_epoch: EpochReport,
) -> Fitted:
    """Fit the model of a task, going on from its newest checkpoint.

    Parameters
    ----------
    task : TrialTask
    dataset : Dataset
    training, validation : array of int64
        Sample indices; `validation` may be empty, then nothing is stopped early.
    on_epoch : callable
        Gets the history row of each finished epoch.
    """
    settings = task.settings
    options = settings["training"]
    seed = derive_seed(options["seed"], task.config_id, task.split)
    _prepare_runtime(options, task.threads, seed)

    x_map = fit_affine(settings["preprocessing"]["normalise"], dataset.features[training])
    y_map = UNCHANGED
    if dataset.class_names is None:
        y_map = fit_affine(settings["preprocessing"]["scale_targets"], dataset.targets[training])

    def arrays(part: Array) -> tuple[Array, Array]:
        targets = dataset.targets[part]
        if dataset.class_names is None:
            return x_map.apply(dataset.features[part]), y_map.apply(targets)
        if dataset.outputs == 1:
            targets = targets.astype(np.float32)[:, np.newaxis]
        return x_map.apply(dataset.features[part]), targets

    batch_size = options["batch_size"]
    steps = steps_per_epoch(len(training), batch_size)
    model = models.build(settings, dataset.features.shape[1:], dataset.outputs)
    metric = _compile(model, settings, steps)

    stopping = None
    if options["early_stopping"] and validation.size:
        stopping = optimisation.ResumableEarlyStopping(options["early_stopping"], metric)
    saved = checkpoint.newest(task.folder, task.epochs)
    state = _TrainingState(model, stopping, task, metric, seed, on_epoch)
    if saved is not None:
        state.restore(saved)
    if state.epoch < task.epochs and not state.stopped:
        train_arrays: tuple[Array, ...] = arrays(training)
        weights = _sample_weights(options["class_weights"], dataset, training)
        if weights is not None:
            train_arrays = (*train_arrays, weights)
        TrainingLoop(
            model,
            train_arrays,
            arrays(validation) if validation.size else None,
            batch_size,
            seed,
            task.steps_per_execution,
        ).run(state.epoch, task.epochs, [stopping, state] if stopping else [state])
    best_epoch = state.epoch
    if stopping is not None and stopping.restore_best_weights:
        # Keras restores them at the end of a training, but a resumed one may have nothing to train.
        model.set_weights(stopping.best_weights)
        best_epoch = stopping.best_epoch + 1
    return Fitted(
        model,
        x_map,
        y_map,
        settings["problem"]["type"] == "multi_output",
        state.history,
        state.segments,
        best_epoch,
    )


def _prepare_runtime(options: Mapping[str, Any], threads: int, seed: int) -> None:
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    keras.utils.set_random_seed(seed)
    if options["deterministic"]:
        tf.config.experimental.enable_op_determinism()
    if options["mixed_precision"]:
        keras.mixed_precision.set_global_policy("mixed_float16" if gpus else "mixed_bfloat16")


def _compile(model: keras.Model, settings: Mapping[str, Any], steps: int) -> str:
    """Compile `model`, unless the user has, and return the name of the metric to follow."""
    metric = PROBLEM_KINDS[settings["problem"]["type"]].metric
    options = settings["training"]
    if model.compiled:
        # A compiled model brings its own optimiser and loss, as with Keras Tuner.
        model.compile(
            optimizer=model.optimizer,
            loss=model.loss,
            metrics=[metric],
            jit_compile=options["jit_compile"],
        )
    else:
        model.compile(
            optimizer=optimisation.optimizer(options, steps),
            loss=settings["problem"]["loss"],
            metrics=[metric],
            jit_compile=options["jit_compile"],
        )
    model.optimizer.build(model.trainable_variables)
    return metric


def _sample_weights(setting: Any, dataset: Dataset, training: Array) -> Array | None:
    if setting == "none" or dataset.class_names is None:
        return None
    codes = dataset.targets[training]
    if setting == "balanced":
        present = np.unique(codes)
        weights = np.ones(len(dataset.class_names), np.float32)
        weights[present] = compute_class_weight("balanced", classes=present, y=codes)
    else:
        unknown = sorted(set(setting) - set(dataset.class_names))
        if unknown:
            raise TrialFailure(
                "error",
                f"training.class_weights names no class of the data: {', '.join(unknown)}; "
                f"classes: {', '.join(dataset.class_names)}",
            )
        weights = np.array([setting.get(n, 1.0) for n in dataset.class_names], np.float32)
    return weights[codes].astype(np.float32)


class _TrainingState(keras.callbacks.Callback):
    """Follows the training, writes checkpoints, and stops on a loss that is not finite."""

    def __init__(
        self,
        model: keras.Model,
        stopping: optimisation.ResumableEarlyStopping | None,
        task: TrialTask,
        metric: str,
        seed: int,
        on_epoch: EpochReport,
    ) -> None:
        super().__init__()
        self._model = model
        self._stopping = stopping
        self._task = task
        self._metric = metric
        self._on_epoch = on_epoch
        self._seed = seed
        self.epoch = 0
        self.stopped = False
        self.history: list[dict[str, float]] = []
        self.segments: list[dict[str, Any]] = []

    def restore(self, saved: Checkpoint) -> None:
        """Go back to where the checkpoint was written."""
        self.epoch = saved.epoch
        self.history = saved.meta["history"]
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
        """Open a segment: a stretch of training without interruption."""
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
        epoch_seed = derive_seed(self._seed, "epoch", epoch)
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
        self.epoch = epoch + 1
        for name in ("loss", "val_loss"):
            if not math.isfinite(row[name]) and name in logs:
                raise TrialFailure(DIVERGED, f"{name} is {row[name]} in epoch {epoch + 1}")
        self.segments[-1]["last"] = self.epoch
        self.stopped = bool(self._model.stop_training)
        last = self.stopped or self.epoch == self._task.epochs
        row["seconds"] = time.perf_counter() - self._began
        self.history.append(row)
        if last or self.epoch % self._task.checkpoint_every == 0:
            self._save()
        self._on_epoch(row)

    def _save(self) -> None:
        best = getattr(self._stopping, "best_weights", None)
        Checkpoint(
            self.epoch,
            [keras.ops.convert_to_numpy(v) for v in self._model.variables],
            [keras.ops.convert_to_numpy(v) for v in self._model.optimizer.variables],
            best,
            {
                "history": self.history,
                "segments": self.segments,
                "stopped": self.stopped,
                "stopping": self._stopping.state() if self._stopping else None,
            },
        ).save(self._task.folder)

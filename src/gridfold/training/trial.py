"""Train one trial: from a request to a fitted, scored model, resumable after every epoch."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import config as tf_config

from gridfold import arrays
from gridfold.arrays import Array, Samples
from gridfold.canonical import case_id, derive_seed
from gridfold.data.dataset import Dataset
from gridfold.data.splits import Splits
from gridfold.errors import TrialFailure, summary_of
from gridfold.problems import PROBLEM_KINDS
from gridfold.store import checkpoints
from gridfold.store.trials import DIVERGED, TrialResult, TrialTask
from gridfold.training import (
    answers,
    costs,
    custom_loop,
    in_force,
    measures,
    models,
    optimisers,
    own_metrics,
    pretrained,
)
from gridfold.training.answers import Answers
from gridfold.training.devices import Devices
from gridfold.training.feeds import NUMBER_BYTES
from gridfold.training.loop import steps_per_epoch
from gridfold.training.phases import Phase, phase_after, phases_of
from gridfold.training.prepared import Prepared
from gridfold.training.preprocessing import Affine, Preprocessing, fit_affine
from gridfold.training.reloading import OWN_FAMILIES, refuse_unloadable
from gridfold.training.state import EpochReport, EpochScore, TrainingState, followed_at
from gridfold.training.turns import Turns
from gridfold.usercode.functions import own_code

# Families whose outputs are what the user has made them.
_BROUGHT = ("python", "custom", "saved")
# Samples that are predicted at once, and what they may take in memory.
_PREDICTED = 1024
# Samples that a model and its loaded file are compared on.
_RELOADED = 8
_PREDICTED_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Predictor:
    """A model with all that it takes to predict samples as they are kept.

    Attributes
    ----------
    model : keras.Model
    answers : Answers
        How predictions are made of its outputs.
    features : Preprocessing
        Of its inputs.
    targets : Affine
        The scaling of its outputs.
    scaled_scores : bool
        Whether predictions stay on the scale of training. So it is for several outputs in [0, 1]:
        in their own units, the one with the largest numbers would decide every score.
    """

    model: keras.Model
    answers: Answers
    features: Preprocessing
    targets: Affine
    scaled_scores: bool

    def predict(self, samples: Samples, rows: Array) -> Array:
        """Predict `rows` of `samples` as they are kept; (rows, outputs) float32.

        Calls the model directly: for one pass over small parts, tracing `Model.predict` costs
        more than it saves.
        """
        bytes_of_one = NUMBER_BYTES * math.prod(self.features.shape(samples.shape[1:]))
        size = max(1, min(_PREDICTED, _PREDICTED_BYTES // bytes_of_one))
        parts = [
            self.answers.predictions(
                answers.single(
                    self.model(self.features.apply(samples[rows[piece]]), training=False)
                )
            )
            for piece in arrays.pieces(rows, size)
        ]
        units = 1 if self.answers.of_second_class else self.answers.units
        outputs = np.concatenate(parts) if parts else np.empty((0, units))
        if not self.scaled_scores:
            outputs = self.targets.invert(outputs)
        return np.asarray(outputs, np.float32)

    def scored_targets(self, targets: Array) -> Array:
        """Return `targets` on the scale on which :meth:`predict` answers."""
        return self.targets.apply(targets) if self.scaled_scores else targets


@dataclass(frozen=True)
class Fitted(Predictor):
    """A trained model, with the weights that are to be scored, and how it came about.

    Attributes
    ----------
    history, segments : list of dict
        As in :class:`~gridfold.store.trials.TrialResult`.
    best_epoch : int
        Epoch (from 1) of the weights.
    device : str
        What each replica computed on.
    """

    history: list[dict[str, float]]
    segments: list[dict[str, Any]]
    best_epoch: int
    device: str

    @property
    def fit_seconds(self) -> float:
        """Wall time in epochs, interrupted stretches included."""
        return sum(row["seconds"] for row in self.history)


def train_trial(
    task: TrialTask,
    on_epoch: EpochReport,
    turns: Turns | None = None,
    known: tuple[TrialResult, Array] | None = None,
) -> tuple[TrialResult, Array]:
    """Train and score one trial.

    Parameters
    ----------
    task : TrialTask
    on_epoch : callable
        Gets the history row of each finished epoch.
    turns : Turns, optional
        What the trials of this process share: where to train, and the graphs of the trial before.
        One device when left out. With several processes, all of them call this and get the same
        answer.
    known : (TrialResult, array), optional
        A result with its predictions that lacks only scores: by measures of the user's own, or at
        the threshold of the task.

    Returns
    -------
    result : TrialResult
    predictions : array of shape (validation samples, outputs), float32

    Raises
    ------
    TrialFailure
        When the loss or a prediction is not finite, the model can't be built, a classifier's
        outputs are no probabilities, a model that must be loadable from its file is not, or a
        measure of the user's own fails.
    """
    started = time.perf_counter()
    measures.require_own(task.own_measures.values())
    dataset = Dataset.load(task.data)
    split = Splits.load(task.splits, task.split).by_name[task.split]
    training, watched = split.parts(task.settings["training"]["early_stopping"])
    if known is not None:
        result, predictions = known
        targets = dataset.targets[split.validation]
        if task.settings["problem"]["type"] == "multi_output":
            kind = task.settings["preprocessing"]["scale_targets"]
            targets = fit_affine(kind, dataset.targets[training]).apply(targets)
        scores = _scores(task, targets, predictions)
        history = followed_at(result.threshold, result.history, task)
        return replace(result, scores=scores, history=history), predictions
    turns = turns or Turns()
    fitted = fit(task, dataset, training, watched, on_epoch, turns)
    devices = turns.devices(task.threads)
    predictions = _predicted_by_all(fitted, dataset, split.validation, devices)
    if not np.isfinite(predictions).all():
        raise TrialFailure(DIVERGED, "predictions are not finite (NaN or infinity)")
    fitted.answers.check(task.settings["problem"]["type"], predictions)
    if task.must_be_loadable and task.settings["model"]["family"] in OWN_FAMILIES:
        # After training: what is loaded draws random numbers, too.
        some = fitted.features.apply(dataset.features[training[:_RELOADED]])
        refuse_unloadable(fitted.model, some, own_code(task.settings["model"]))
    result = TrialResult(
        "finished",
        task.epochs,
        epochs_trained=len(fitted.history),
        best_epoch=fitted.best_epoch,
        scores=_scores(task, fitted.scored_targets(dataset.targets[split.validation]), predictions),
        history=fitted.history,
        segments=fitted.segments,
        n_train=len(split.training),
        n_validation=len(split.validation),
        parameters=int(sum(math.prod(w.shape) for w in fitted.model.trainable_variables)),
        world_size=devices.world_size,
        batch_size=global_batch_size(task.settings["training"]),
        device=fitted.device,
        precision=keras.config.dtype_policy().name,
        fit_seconds=fitted.fit_seconds,
        seconds=time.perf_counter() - started,
        costs=_costs(task, fitted, dataset, split.validation),
    )
    return result, predictions


def _costs(task: TrialTask, fitted: Fitted, dataset: Dataset, rows: Array) -> dict[str, float]:
    """Return what the study has asked for of what the model costs; last, for its time."""
    if not task.costs:
        return {}
    some = fitted.features.apply(dataset.features[rows[: costs.MOST_SAMPLES]])
    return costs.measured(task.costs, fitted.model, some)


def _predicted_by_all(
    predictor: Predictor, dataset: Dataset, rows: Array, devices: Devices
) -> Array:
    """Predict `rows`, each process a part of them; all get the whole."""
    own = rows[devices.own_part(len(rows))]
    return devices.gather(predictor.predict(dataset.features, own))


def _scores(task: TrialTask, targets: Array, predictions: Array) -> dict[str, float]:
    """Return all scores on the validation part, which the final model has not."""
    if not len(predictions):
        return {}
    problem = task.settings["problem"]["type"]
    return measures.score(problem, targets, predictions, task.own_measures, task.threshold)


def fit(
    task: TrialTask,
    dataset: Dataset,
    training: Array,
    validation: Array,
    on_epoch: EpochReport,
    turns: Turns | None = None,
) -> Fitted:
    """Fit the model of a task, going on from its newest checkpoint.

    Parameters
    ----------
    task : TrialTask
    dataset : Dataset
    training, validation : array of int64
        Sample indices: what is trained on, preprocessing and class weights included, and what is
        followed after each epoch and early stopping looks at, which is the validation part of the
        split or an inner part of its training part. It may be empty, then nothing is stopped early.
    on_epoch : callable
        Gets the history row of each finished epoch.
    turns : Turns, optional
        What the trials of this process share; one device when left out.
    """
    settings = task.settings
    options = settings["training"]
    # The same training on more devices begins with the same weights and sees the same order.
    seed = derive_seed(options["seed"], case_id(settings), task.split)
    turns = turns or Turns()
    devices = turns.devices(task.threads)
    if turns.goes_on(task) and settings["model"]["family"] not in _BROUGHT:
        # The rest is as the trial before has left it. Clearing Keras' session, or setting the seed
        # of TensorFlow, which no layer of these families asks for, has all graphs prepared anew.
        random.seed(seed)
        np.random.seed(seed)
    else:
        _prepare_runtime(options, seed)

    prepared = Prepared.of(settings, dataset, training, validation, task.in_memory_mb)
    if settings["model"]["family"] == "custom":
        return _fit_custom(task, prepared, seed, on_epoch, devices)
    # The chief alone looks: on a shared file system others might see another state of the folder.
    saved = devices.from_chief(
        checkpoints.newest(task.folder, task.epochs, task.identity) if devices.is_chief else None
    )
    phases = phases_of(settings["model"])
    phase = phase_after(phases, saved.epoch if saved else 0)
    model, metric, says = _built(task, prepared, phase, devices)
    prepared = prepared.for_units(says.units if says.one_hot else 0)
    loop = turns.loop(task, model, prepared, global_batch_size(options), seed)
    model = loop.model

    predictor = Predictor(
        model,
        says,
        prepared.features,
        prepared.targets,
        settings["problem"]["type"] == "multi_output",
    )
    stopping, judges = None, []
    if options["early_stopping"] and validation.size:
        stopping = optimisers.ResumableEarlyStopping(options["early_stopping"], metric)
        judges = _judges(task, predictor, dataset, validation, devices)
    state = TrainingState(model, loop, stopping, task, metric, seed, on_epoch, devices)
    if saved is not None:
        state.restore(saved)
    devices.align(model)
    while state.epoch < task.epochs and not state.stopped:
        if phase is not phase_after(phases, state.epoch + 1):
            phase = phase_after(phases, state.epoch + 1)
            with devices.scope():
                _compile(model, task, prepared, phase, says)
            devices.adopt(model.optimizer)
            state.loop = turns.loop(task, model, prepared, global_batch_size(options), seed)
        # Where a second phase follows, a score that no longer improves is no reason to stop.
        followers = [*judges, stopping, state] if stopping and phase.end is None else [state]
        state.loop.run(state.epoch, min(task.epochs, phase.end or task.epochs), followers)
    best_epoch = state.epoch
    if stopping and stopping.restore_best_weights and stopping.best_weights is not None:
        # Keras restores them at the end of a training, but a resumed one may have nothing to train.
        model.set_weights(stopping.best_weights)
        best_epoch = stopping.best_epoch + 1
    return Fitted(
        **vars(predictor),
        history=state.history,
        segments=state.segments,
        best_epoch=best_epoch,
        device=devices.device(),
    )


def _judges(
    task: TrialTask, predictor: Predictor, dataset: Dataset, validation: Array, devices: Devices
) -> list[keras.callbacks.Callback]:
    """Return what scores each epoch by the measure that early stopping looks at, if it does."""
    measure = task.settings["training"]["early_stopping"]["monitor"]
    if measure in optimisers.FOLLOWED_ANYWAY:
        return []
    return [
        EpochScore(
            measures.Scorer(measure, task.own_measures.get(measure), task.threshold),
            predictor.scored_targets(dataset.targets[validation]),
            lambda: _predicted_by_all(predictor, dataset, validation, devices),
        )
    ]


def _fit_custom(
    task: TrialTask, prepared: Prepared, seed: int, on_epoch: EpochReport, devices: Devices
) -> Fitted:
    """Let the user's own loop train."""
    trial = custom_loop.Trial(task, prepared, seed, on_epoch)
    model = custom_loop.train(trial)
    return Fitted(
        model,
        _answers(model, task.settings, prepared),
        prepared.features,
        prepared.targets,
        task.settings["problem"]["type"] == "multi_output",
        trial.history,
        trial.segments,
        len(trial.history),
        devices.device(),
    )


def global_batch_size(options: Mapping[str, Any]) -> int:
    """Return the samples of one step over all replicas.

    Parameters
    ----------
    options : mapping
        The ``training`` settings of a configuration.
    """
    parallel = options.get("distribution")
    size: int = options["batch_size"]
    if parallel is not None and parallel["batch"] == "per_replica":
        size *= parallel["world_size"]
    return size


def precision_policy(setting: bool | str) -> str:
    """Return Keras' name for ``training.mixed_precision``."""
    if isinstance(setting, str):
        return f"mixed_{setting}"
    if not setting:
        return "float32"
    return "mixed_float16" if tf.config.get_visible_devices("GPU") else "mixed_bfloat16"


def _prepare_runtime(options: Mapping[str, Any], seed: int) -> None:
    # A process of a distributed job trains several trials; none may find another's state.
    keras.utils.clear_session()
    keras.config.set_floatx("float32")
    keras.utils.set_random_seed(seed)
    if options["deterministic"]:
        tf.config.experimental.enable_op_determinism()
    else:
        tf_config.disable_op_determinism()
    keras.mixed_precision.set_global_policy(precision_policy(options["mixed_precision"]))


def _built(
    task: TrialTask, prepared: Prepared, phase: Phase, devices: Devices
) -> tuple[keras.Model, str, Answers]:
    """Return the compiled model, the name of the metric to follow, and what its outputs are.

    Processes that fail here fail together, so that none waits for the others' gradients.
    """
    error, model, metric, says = "", None, "", Answers()
    settings = task.settings
    try:
        with devices.scope():
            model = models.build(
                settings, prepared.input_shape, prepared.dataset.outputs, prepared.positions()
            )
            says = _answers(model, settings, prepared)
            metric = _compile(model, task, prepared, phase, says)
        devices.adopt(model.optimizer)
    except Exception as caught:
        if devices.world_size == 1:
            raise
        error = str(caught) if isinstance(caught, TrialFailure) else summary_of(caught)
    for rank, text in devices.errors(error):
        raise TrialFailure("error", text if devices.world_size == 1 else f"rank {rank}: {text}")
    return model, metric, says


def _answers(model: keras.Model, settings: Mapping[str, Any], prepared: Prepared) -> Answers:
    """Return what the outputs of a model are, asked of its own loss where it has one."""
    if settings["model"]["family"] not in _BROUGHT:
        # They end as `problem.output_activation` says.
        return Answers(units=prepared.dataset.outputs)
    return answers.answers_of(
        model,
        settings["problem"]["type"],
        prepared.dataset.outputs,
        prepared.some_samples(),
        keeps_loss=model.compiled and settings["model"]["family"] in ("python", "custom"),
    )


def _compile(
    model: keras.Model,
    task: TrialTask,
    prepared: Prepared,
    phase: Phase,
    says: Answers,
) -> str:
    """Compile `model`, unless the user has, and return the name of the metric to follow."""
    settings = task.settings
    metric = PROBLEM_KINDS[settings["problem"]["type"]].metric
    options = phase.training(settings["training"])
    pretrained.set_trainable(model, settings, is_frozen=phase.is_frozen)
    own = own_metrics.OwnMetrics()
    if model.compiled and settings["model"]["family"] == "python":
        # A compiled model brings its own optimiser, loss and metrics, as with Keras Tuner.
        optimizer, loss, own = model.optimizer, model.loss, own_metrics.of(model, metric)
        in_force.check_own_compilation(model, settings)
    else:
        steps = steps_per_epoch(len(prepared.training), global_batch_size(options))
        optimizer, loss = optimisers.optimizer(options, steps), settings["problem"]["loss"]
    model.compile(
        optimizer=optimizer,
        loss=loss,
        metrics=[says.metric(metric, task.threshold), *own.metrics],
        weighted_metrics=own.weighted,
        # Whole epochs are compiled by the loop.
        jit_compile=options["jit_compile"] is True,
    )
    in_force.check(model, settings["model"]["family"], options)
    model.optimizer.build(model.trainable_variables)
    return metric

"""The training loop: Keras' own training step, many times in one graph.

`Model.fit` fetches every batch through an iterator, which for small models costs as much as the
training itself. Here features and targets are tensors, an epoch is a permutation, and a graph
gathers each batch where it is needed. The step is the model's `train_step`, so losses, metrics,
regularisers, loss scaling and a user's own `train_step` work as in `fit`, and so do callbacks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from gridfold.data import Array
from gridfold.distribution import Distribution, statistics

_EVALUATION_BATCH = 4096


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Return the optimiser steps of one epoch; the last one may be smaller."""
    return math.ceil(samples / batch_size)


def epoch_order(samples: int, seed: int, epoch: int) -> Any:
    """Return the order of the samples in an epoch.

    A stateless shuffle: a function of (seed, epoch), never of the process's history, so that a
    resumed training sees what an uninterrupted one would have seen.

    Parameters
    ----------
    samples : int
    seed : int
        In [0, 2^31).
    epoch : int
        From 0.

    Returns
    -------
    tf.Tensor of int32, shape (samples,)
    """
    return tf.random.experimental.stateless_shuffle(tf.range(samples), seed=[seed, epoch])


class TrainingLoop:
    """Trains a compiled model on arrays that are kept in memory.

    Parameters
    ----------
    model : keras.Model
        Compiled.
    training : tuple of array
        Features, targets and perhaps sample weights, samples first.
    validation : tuple of array or None
        Likewise.
    batch_size : int
        Samples of one step, over all replicas.
    seed : int
        In [0, 2^31).
    steps_per_execution : int or "auto"
        Optimiser steps between returns to Python; "auto" is a whole epoch.
    distribution : Distribution

    Attributes
    ----------
    training_seconds : float
        Wall time of the last epoch without validation.
    """

    def __init__(
        self,
        model: keras.Model,
        training: tuple[Array, ...],
        validation: tuple[Array, ...] | None,
        batch_size: int,
        seed: int,
        steps_per_execution: int | str = "auto",
        distribution: Distribution | None = None,
    ) -> None:
        self._model = model
        self._distribution = distribution or Distribution()
        self.training_seconds = 0.0
        self._samples = len(training[0])
        self._batch_size = batch_size
        self._seed = seed
        self.steps = steps_per_epoch(self._samples, batch_size)
        self._at_once = self.steps if steps_per_execution == "auto" else int(steps_per_execution)
        with self._distribution.scope():
            _build_metrics(model, training)
        self._train = self._over_batches(model.train_step, training, batch_size)
        self._test = None
        if validation is not None:
            size = min(_EVALUATION_BATCH, len(validation[0]))
            self._test = self._over_batches(model.test_step, validation, size)
            self._everything = tf.range(len(validation[0]))
            self._test_steps = steps_per_epoch(len(validation[0]), size)

    def run(
        self, first_epoch: int, last_epoch: int, callbacks: Sequence[keras.callbacks.Callback]
    ) -> None:
        """Train from `first_epoch` (from 0) until `last_epoch` (not included).

        Callbacks are called around the training and each epoch, with the logs that `fit` gives:
        the metrics, and ``val_`` before those of the validation. They may set
        `model.stop_training`.
        """
        model, distribution = self._model, self._distribution
        followers = keras.callbacks.CallbackList(list(callbacks), model=model)
        model.stop_training = False
        followers.on_train_begin()
        for epoch in range(first_epoch, last_epoch):
            model.reset_metrics()
            followers.on_epoch_begin(epoch)
            began = time.perf_counter()
            order = epoch_order(self._samples, self._seed, epoch)
            for step in range(0, self.steps, self._at_once):
                self._train(order, step, min(step + self._at_once, self.steps))
            distribution.total_metrics(model)
            distribution.average_statistics(model)
            logs = _numbers(model.get_metrics_result())
            self.training_seconds = time.perf_counter() - began
            if self._test is not None:
                model.reset_metrics()
                self._test(self._everything, 0, self._test_steps)
                distribution.total_metrics(model)
                validated = _numbers(model.get_metrics_result())
                logs |= {f"val_{name}": value for name, value in validated.items()}
            followers.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        followers.on_train_end()

    def _over_batches(
        self, step: Callable[[Any], Any], arrays: tuple[Array, ...], batch_size: int
    ) -> Callable[[Any, int, int], None]:
        """Return a function that takes steps `first` to `last` of an order of samples, in a graph.

        XLA wants static shapes, so it gets the full batches and a smaller last one as two programs.
        Otherwise one graph serves both sizes, which halves the time for tracing.
        """
        tensors = tuple(tf.constant(array) for array in arrays)
        samples, replicas = len(arrays[0]), self._distribution.world_size
        full = samples // batch_size
        # With fewer samples than replicas, those without must leave no trace of that step.
        is_scarce = 0 < samples - full * batch_size < replicas

        def step_on(batch: Any) -> Any:
            """Take a step on this replica's part of a batch; return the size of the part."""
            if replicas == 1:
                step(tuple(tf.gather(tensor, batch) for tensor in tensors))
                return tf.shape(batch)[0]
            own, count, weight = _own_samples(batch, replicas, self._distribution.replica())
            with self._distribution.weighing(weight):
                step(tuple(tf.gather(tensor, own) for tensor in tensors))
            return count

        def own_step(order: Any, number: Any) -> None:
            step_on(order[number * batch_size : (number + 1) * batch_size])

        def scarce_step(order: Any) -> None:
            traces = [*self._model.metrics_variables, *statistics(self._model)]
            kept = [tf.identity(variable.value) for variable in traces]
            count = step_on(order[full * batch_size :])
            for variable, before in zip(traces, kept, strict=True):
                variable.assign(tf.where(count > 0, variable.value, before))

        @tf.function  # type: ignore[untyped-decorator]
        def batches(order: Any, first: Any, last: Any) -> None:
            for number in tf.range(first, last):
                self._distribution.run(own_step, order, number)

        @tf.function  # type: ignore[untyped-decorator]
        def scarce_batch(order: Any) -> None:
            self._distribution.run(scarce_step, order)

        compiled = tf.function(step, jit_compile=True)

        @tf.function  # type: ignore[untyped-decorator]
        def compiled_batches(order: Any, first: Any, last: Any) -> None:
            for number in tf.range(first, last):
                chosen = tf.slice(order, [number * batch_size], [batch_size])
                compiled(tuple(tf.gather(tensor, chosen) for tensor in tensors))

        def run(order: Any, first: int, last: int) -> None:
            if self._model.jit_compile:
                compiled_batches(order, tf.constant(first), tf.constant(min(last, full)))
                if last > full:
                    rest = order[full * batch_size :]
                    compiled(tuple(tf.gather(tensor, rest) for tensor in tensors))
                return
            batches(order, tf.constant(first), tf.constant(min(last, full) if is_scarce else last))
            if is_scarce and last > full:
                scarce_batch(order)

        return run


def _own_samples(batch: Any, replicas: int, replica: Any) -> tuple[Any, Any, Any]:
    """Return a replica's part of a batch, its number of samples, and its weight.

    Parts differ by at most one sample; the weight makes the mean over replicas the mean over
    samples. Without samples of its own a replica gets one of another's, with weight 0: a step needs
    data, and all replicas must take it.

    Returns
    -------
    samples : tensor of int32, shape (max(count, 1),)
    count : scalar tensor of int32
    weight : scalar tensor of float64
    """
    size = tf.shape(batch)[0]
    base, extra = size // replicas, size % replicas
    count = base + tf.cast(replica < extra, tf.int32)
    start = tf.minimum(replica * base + tf.minimum(replica, extra), size - 1)
    weight = tf.cast(count * replicas, tf.float64) / tf.cast(size, tf.float64)
    return batch[start : start + tf.maximum(count, 1)], count, weight


def _build_metrics(model: keras.Model, arrays: tuple[Array, ...]) -> None:
    """Let loss and metrics create their variables, which they can't do inside a graph's loop."""
    batch = tuple(tf.constant(array[:2]) for array in arrays)
    x, y, *weights = batch
    prediction = model(x, training=False)
    sample_weight = weights[0] if weights else None
    model.compute_loss(x, y, prediction, sample_weight, training=False)
    model.compute_metrics(x, y, prediction, sample_weight)
    model.reset_metrics()


def _numbers(logs: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in logs.items()}

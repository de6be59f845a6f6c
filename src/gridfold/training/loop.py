"""The training loop: Keras' own training step, many times in one graph.

`Model.fit` fetches every batch through an iterator, which for small models costs as much as the
training itself. Here features and targets are tensors, an epoch is a permutation, and a graph
gathers each batch where it is needed; only what is too large for memory is read on the way. The
step is the model's `train_step`, so losses, metrics, regularisers, loss scaling and a user's own
`train_step` work as in `fit`, and so do callbacks.
"""

from __future__ import annotations

import functools
import math
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gridfold.errors import TrialFailure, summary_of
from gridfold.training.augmentation import Augmenter
from gridfold.training.devices import Devices, statistics
from gridfold.training.feeds import BLOCKS_TOGETHER, Feed, for_each, own_part

_EVALUATION_BATCH = 4096
_EVALUATION_BYTES = 64 * 2**20


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Return the optimiser steps of one epoch; the last one may be smaller."""
    return math.ceil(samples / batch_size)


def epoch_order(samples: int, seed: int, epoch: int, block: int | None = None) -> Any:
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
    block : int, optional
        How many neighbours make a block (``training.shuffle_block``); blocks are taken in random
        order, some at a time, and their samples in random order.

    Returns
    -------
    tf.Tensor of int32, shape (samples,)
    """
    order = _shuffled(samples, [seed, epoch])
    if block is None:
        return order
    positions = order.numpy()
    # As a stream of its own: numbers of epochs are not negative.
    places = _shuffled(-(-samples // block), [seed, -1 - epoch]).numpy()
    groups = places[positions // block] // BLOCKS_TOGETHER
    return tf.constant(positions[np.argsort(groups, kind="stable")])


def _shuffled(count: int, seed: list[int]) -> Any:
    return tf.random.experimental.stateless_shuffle(tf.range(count), seed=seed)


class TrainingLoop:
    """Trains a compiled model on arrays.

    Parameters
    ----------
    model : keras.Model
        Compiled.
    training : tuple of array
        Features, targets and perhaps sample weights, samples first. Features may be
        :class:`~gridfold.training.feeds.Rows`, which are read when they are needed, or
        :class:`~gridfold.arrays.Windows`, which are cut out then.
    validation : tuple of array or None
        Likewise.
    batch_size : int
        Samples of one step, over all replicas.
    seed : int
        In [0, 2^31).
    steps_per_execution : int or "auto"
        Optimiser steps between returns to Python; "auto" is a whole epoch.
    devices : Devices
    augmentation : Augmenter, optional
        What is done to training samples, and to no others.
    compiles_epochs : bool
        Whether an epoch is one program of XLA; on one device, with all samples in memory.
    shuffle_block : int, optional
        As the `block` of :func:`epoch_order`.

    Attributes
    ----------
    model : keras.Model
        The one that is trained.
    training_seconds : float
        Wall time of the last epoch without validation.
    """

    def __init__(
        self,
        model: keras.Model,
        training: tuple[Any, ...],
        validation: tuple[Any, ...] | None,
        batch_size: int,
        seed: int,
        steps_per_execution: int | str = "auto",
        devices: Devices | None = None,
        augmentation: Augmenter | None = None,
        compiles_epochs: bool = False,
        shuffle_block: int | None = None,
    ) -> None:
        self.model = model
        self._shuffle_block = shuffle_block
        self._devices = devices or Devices()
        self.training_seconds = 0.0
        self._seed = seed
        self._augmentation = augmentation
        self._steps_per_execution = steps_per_execution
        self._feed = Feed(training, batch_size, self._devices)
        with self._devices.scope():
            _build_metrics(model, self._feed.first(2))
        over = self._in_one_program if compiles_epochs else self._over_batches
        self._train = over(model.train_step, self._feed, augmentation)
        self._take_counted = functools.partial(self._counted, float)
        if self._devices.world_size == 1 and _resets_in_graphs(model):
            counted = functools.partial(self._counted, tf.identity)
            self._take_counted = tf.function(counted, autograph=False)
        self._seen: Feed | None = None
        if validation is not None:
            self._seen = Feed(validation, _evaluation_batch(validation[0], model), self._devices)
            self._test = self._over_batches(model.test_step, self._seen)

    def fits(self, training: tuple[Any, ...], validation: tuple[Any, ...] | None) -> bool:
        """Tell whether other arrays differ from those of before in the number of samples alone."""
        if (validation is None) != (self._seen is None) or not self._feed.fits(training):
            return False
        if validation is None or self._seen is None:
            return True
        batch = _evaluation_batch(validation[0], self.model)
        return batch == self._seen.batch_size and self._seen.fits(validation)

    def renew(
        self,
        model: keras.Model,
        training: tuple[Any, ...],
        validation: tuple[Any, ...] | None,
        seed: int,
    ) -> None:
        """Go over to the training of another model that has the same graphs; none is made again.

        Parameters
        ----------
        model : keras.Model
            Compiled, its optimiser built; :attr:`model` gets the values of its variables.
        training, validation : tuple of array
            Which :meth:`fits`.
        seed : int
        """
        own = (*self.model.variables, *self.model.optimizer.variables)
        given = (*model.variables, *model.optimizer.variables)
        for variable, value in zip(own, given, strict=True):
            variable.assign(value.value)
        self._seed = seed
        if self._augmentation is not None:
            self._augmentation.begin(seed)
        self._feed.fill(training)
        if self._seen is not None and validation is not None:
            self._seen.fill(validation)

    def run(
        self, first_epoch: int, last_epoch: int, callbacks: Sequence[keras.callbacks.Callback]
    ) -> None:
        """Train from `first_epoch` (from 0) until `last_epoch` (not included).

        Callbacks are called around the training and each epoch, with the logs that `fit` gives:
        the metrics, and ``val_`` before those of the validation. They may set
        `model.stop_training`.
        """
        model, devices, steps = self.model, self._devices, self._feed.steps
        chosen = self._steps_per_execution
        at_once = steps if chosen == "auto" else int(chosen)
        followers = keras.callbacks.CallbackList(list(callbacks), model=model)
        model.stop_training = False
        model.reset_metrics()
        followers.on_train_begin()
        for epoch in range(first_epoch, last_epoch):
            followers.on_epoch_begin(epoch)
            began = time.perf_counter()
            order = epoch_order(self._feed.samples, self._seed, epoch, self._shuffle_block)
            noise = self._augmentation.seed_of(epoch) if self._augmentation else 0
            for step in range(0, steps, at_once):
                self._train(order, step, min(step + at_once, steps), noise)
            devices.average_statistics(model)
            logs = self._found()
            self.training_seconds = time.perf_counter() - began
            if self._seen is not None:
                self._test(tf.range(self._seen.samples), 0, self._seen.steps, 0)
                logs |= {f"val_{name}": value for name, value in self._found().items()}
            followers.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        followers.on_train_end()

    def _found(self) -> dict[str, float]:
        """Return what loss and metrics have come to, and let them begin anew."""
        self._devices.total_metrics(self.model)
        return {name: float(value) for name, value in self._take_counted().items()}

    def _counted(self, read: Callable[[Any], Any]) -> dict[str, Any]:
        # Before they are set back: a metric may answer with its variable itself.
        values = {name: read(value) for name, value in self.model.get_metrics_result().items()}
        self.model.reset_metrics()
        return values

    def _in_one_program(
        self, step: Callable[[Any], Any], feed: Feed, augmentation: Augmenter | None
    ) -> Callable[[Any, int, int, int], None]:
        """Return a function that takes all steps of an order of samples, as one program of XLA.

        It is compiled for the number of samples, on which the sizes of all batches depend.
        """
        if feed.is_read:
            raise TrialFailure(
                "error",
                "compiled epochs (training.jit_compile) need all samples in memory, and these are "
                "read from their file; raise execution.in_memory_mb, or set jit_compile: false",
            )
        size = feed.batch_size

        def step_on(tensors: Any, positions: Any, noise: Any, number: Any) -> None:
            features, *others = feed.take(tensors, positions, None)
            if augmentation is not None:
                features = augmentation.apply(features, noise, number)
            step((features, *others))

        def epoch(order: Any, tensors: Any, noise: Any) -> None:
            full, rest = divmod(order.shape[0], size)
            # Not even the graph of a full batch where there are too few samples for one.
            if full:

                def full_step(number: Any) -> None:
                    positions = tf.slice(order, [number * size], [size])
                    step_on(tensors, positions, noise, number)

                for_each(0, full, 1, full_step)
            if rest:
                step_on(tensors, order[full * size :], noise, tf.constant(full))

        compiled = tf.function(epoch, jit_compile=True, autograph=False)

        def run(order: Any, first: int, last: int, noise: int) -> None:
            assert (first, last) == (0, feed.steps), "never a part of an epoch"
            compiled(order, feed.tensors, tf.constant(noise))

        return run

    def _over_batches(
        self, step: Callable[[Any], Any], feed: Feed, augmentation: Augmenter | None = None
    ) -> Callable[[Any, int, int, int], None]:
        """Return a function that takes steps `first` to `last` of an order of samples, in a graph.

        XLA wants static shapes, so it gets the full batches and a smaller last one as two programs.
        Otherwise one graph serves both sizes, which halves the time for tracing.
        """
        devices = self._devices
        replicas = devices.world_size
        # With fewer samples than replicas, those without must leave no trace of that step.
        is_scarce = 0 < feed.samples - feed.full * feed.batch_size < replicas

        def augmented(batch: tuple[Any, ...], noise: Any, number: Any) -> tuple[Any, ...]:
            if augmentation is None:
                return batch
            return (augmentation.apply(batch[0], noise, number), *batch[1:])

        def step_on(tensors: Any, positions: Any, features: Any, noise: Any, number: Any) -> Any:
            """Take a step on this replica's part of a batch; return the size of the part."""
            if replicas == 1:
                step(augmented(feed.take(tensors, positions, features), noise, number))
                return tf.shape(positions)[0]
            part, count, weight = own_part(tf.shape(positions)[0], devices)
            with devices.weighing(weight):
                step(augmented(feed.take(tensors, positions, features, part), noise, number))
            return count

        def own_step(*batch: Any) -> None:
            step_on(*batch)

        def scarce_step(*batch: Any) -> None:
            traces = [*self.model.metrics_variables, *statistics(self.model)]
            kept = [tf.identity(variable.value) for variable in traces]
            count = step_on(*batch)
            for variable, before in zip(traces, kept, strict=True):
                variable.assign(tf.where(count > 0, variable.value, before))

        @_in_graph(feed, numbers=2)
        def batches(order: Any, tensors: Any, noise: Any, first: Any, last: Any) -> None:
            def next_step(number: Any, features: Any) -> None:
                positions = feed.positions(order, number)
                devices.run(own_step, tensors, positions, features, noise, number)

            feed.each_step(order, first, last, next_step)

        @_in_graph(feed, numbers=1)
        def scarce_batch(order: Any, tensors: Any, noise: Any, number: Any) -> None:
            positions = feed.positions(order, number)
            devices.run(scarce_step, tensors, positions, feed.read(positions), noise, number)

        compiled = tf.function(step, jit_compile=True, autograph=False)

        @_in_graph(feed, numbers=2)
        def compiled_batches(order: Any, tensors: Any, noise: Any, first: Any, last: Any) -> None:
            size = feed.batch_size

            def next_step(number: Any, features: Any) -> None:
                positions = tf.slice(order, [number * size], [size])
                if features is not None:
                    features = tf.ensure_shape(features, (size, *features.shape[1:]))
                compiled(augmented(feed.take(tensors, positions, features), noise, number))

            feed.each_step(order, first, last, next_step)

        @_in_graph(feed, numbers=1)
        def last_batch(order: Any, tensors: Any, noise: Any, number: Any) -> tuple[Any, ...]:
            positions = feed.positions(order, number)
            return augmented(feed.take(tensors, positions, feed.read(positions)), noise, number)

        def run(order: Any, first: int, last: int, noise: int) -> None:
            full, given = feed.full, (order, feed.tensors, tf.constant(noise))
            if self.model.jit_compile:
                compiled_batches(*given, tf.constant(first), tf.constant(min(last, full)))
                if last > full:
                    compiled(last_batch(*given, tf.constant(full)))
                return
            end = min(last, full) if is_scarce else last
            batches(*given, tf.constant(first), tf.constant(end))
            if is_scarce and last > full:
                scarce_batch(*given, tf.constant(full))

        return run


def _in_graph(feed: Feed, numbers: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what makes a graph of a function of an order, tensors, noise and some whole numbers.

    One graph for any number of samples. AutoGraph has no part in it, as in Keras' own loop: what it
    rewrites would take as long as all the rest of a small model's graph.
    """
    number = tf.TensorSpec((), tf.int32)
    order = tf.TensorSpec((None,), tf.int32)
    signature = (order, feed.specification(), number, *[number] * numbers)
    return tf.function(input_signature=signature, autograph=False)  # type: ignore[no-any-return]


def _build_metrics(model: keras.Model, batch: tuple[Any, ...]) -> None:
    """Let loss and metrics create their variables, which they can't do inside a graph's loop."""
    x, y, *weights = batch
    # Of a model that knows its output nothing has to be computed: shape and type are enough.
    known = getattr(model, "outputs", None)
    prediction = (
        keras.ops.zeros((len(y), *known[0].shape[1:]), known[0].dtype)
        if known and len(known) == 1
        else model(x, training=False)
    )
    sample_weight = weights[0] if weights else None
    model.compute_loss(x, y, prediction, sample_weight, training=False)
    try:
        model.compute_metrics(x, y, prediction, sample_weight)
    except Exception as error:
        reason = f"a metric that the model is compiled with fails: {summary_of(error)}"
        raise TrialFailure("error", reason, traceback.format_exc()) from error
    model.reset_metrics()


def _evaluation_batch(features: Any, model: keras.Model) -> int:
    """Return how many samples are validated at once: many, but not more than is small.

    A graph may get fewer, but XLA computes with the number that it was compiled for.
    """
    bytes_of_one = 4 * int(math.prod(features.shape[1:]))
    most = min(_EVALUATION_BATCH, _EVALUATION_BYTES // bytes_of_one)
    return max(1, min(most, len(features)) if model.jit_compile else most)


def _resets_in_graphs(model: keras.Model) -> bool:
    """Tell whether a graph may set the metrics of a model back: where all are Keras' own.

    One call then does what otherwise takes dozens, as long as several steps of a small model. What
    a metric of the user sets back may be no variable.
    """
    metrics = [
        part for metric in model.metrics for part in (metric, *getattr(metric, "metrics", ()))
    ]
    return all(type(one).__module__.startswith("keras.") for one in (model, *metrics))

"""How samples reach the training step: from tensors in memory, or read as they are needed.

Both give the same numbers. Tensors are faster; reading needs room for a few batches only, so data
may be larger than memory. tf.data reads ahead while a step is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from gridfold.arrays import Array, Samples, Windows, read_alone, read_soon
from gridfold.environment.machine import available_memory
from gridfold.training.devices import Devices
from gridfold.training.preprocessing import Preprocessing

BLOCKS_TOGETHER = 10
"""How many blocks of ``training.shuffle_block`` samples are mixed with each other."""

# A larger part of the memory that is left can't be kept for samples.
_MOST_CACHED = 0.8
# What is read at once of a file, for each sample that is needed of it.
_MOST_READ = 4
# Pieces that are read ahead.
_AHEAD = 2
# What is read at once: many small batches together, for each call from a graph into Python and back
# takes as long as a small step.
_PIECE_BYTES = 2**20
_MOST_STEPS = 32

NUMBER_BYTES = 4
"""What a number of a sample takes, for all of them are float32."""


class Rows:
    """Samples that are read from their file, and preprocessed, each time they are needed.

    Parameters
    ----------
    samples : array
        All samples as they are kept, mapped into memory.
    rows : array of int64
        The part of them, in their order.
    fitted : Preprocessing
    block : int, optional
        Of how many neighbours at a time they will be read; the system then reads these at once.
    """

    def __init__(
        self, samples: Samples, rows: Array, fitted: Preprocessing, block: int | None = None
    ) -> None:
        self._samples, self._rows, self._fitted = samples, rows, fitted
        self._block = block
        self._announced: set[int] = set()
        if samples.nbytes > _MOST_CACHED * available_memory():
            read_alone(samples)
        self.shape = (len(rows), *fitted.shape(samples.shape[1:]))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, positions: Any) -> Array:
        """Return the preprocessed samples at `positions` of the part, float32."""
        rows = self._rows[positions]
        if self._block is None:
            # As those of a validation part, which are read in their order.
            self._announce(rows)
        else:
            self._announce_blocks({*(positions // self._block).tolist()}, self._block)
        return self._fitted.apply(self._samples[rows])

    def _announce(self, rows: Array) -> None:
        first, last = int(rows.min()), int(rows.max()) + 1
        # Of a small part of all samples the neighbours are far from each other.
        if last - first <= _MOST_READ * len(rows):
            read_soon(self._samples, first, last)

    def _announce_blocks(self, blocks: set[int], size: int) -> None:
        for number in blocks - self._announced:
            self._announce(self._rows[number * size : (number + 1) * size])
        # Those of the blocks that are taken together are wanted again and again for a while.
        known = self._announced | blocks
        self._announced = blocks if len(known) > 2 * BLOCKS_TOGETHER else known


class Feed:
    """The samples of one part, batch by batch.

    Parameters
    ----------
    arrays : tuple
        Features, as an array, as :class:`Rows` or as windows in memory, then arrays of targets and
        perhaps weights.
    batch_size : int
        Samples of one step, over all replicas.
    devices : Devices

    Attributes
    ----------
    tensors : tuple of tensor
        What is in memory of them, samples first; of windows, where they begin, and as the last one
        their rows.
    """

    def __init__(self, arrays: tuple[Any, ...], batch_size: int, devices: Devices) -> None:
        self._devices = devices
        self.batch_size = batch_size
        self.fill(arrays)

    def fill(self, arrays: tuple[Any, ...]) -> None:
        """Take other samples, whose arrays differ from the present ones in their length alone.

        Graphs that were made before read the new ones: :attr:`tensors` are arguments of theirs.
        """
        # The old ones go first, to make room.
        self.tensors: tuple[Any, ...] = ()
        features, *others = arrays
        self._rows = features if isinstance(features, Rows) else None
        self._length: int | None = None
        kept = others if self._rows is not None else arrays
        if isinstance(features, Windows):
            self._length = features.length
            kept = (features.starts, *others, features.rows)
        self.tensors = tuple(tf.constant(array) for array in kept)
        self._kinds = _kinds(arrays)
        self.samples = len(features)
        # Full batches, and with the smaller last one.
        self.full = self.samples // self.batch_size
        self.steps = -(-self.samples // self.batch_size)

    @property
    def is_read(self) -> bool:
        """Whether features are read as they are needed."""
        return self._rows is not None

    def fits(self, arrays: tuple[Any, ...]) -> bool:
        """Tell whether other arrays can be taken (:meth:`fill`)."""
        return self._kinds == _kinds(arrays)

    def specification(self) -> tuple[Any, ...]:
        """Return what graphs must know of :attr:`tensors`: all but the number of samples."""
        return tuple(
            tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in self.tensors
        )

    def positions(self, order: Any, step: Any) -> Any:
        """Return the positions of the samples of a step, over all replicas."""
        return order[step * self.batch_size : (step + 1) * self.batch_size]

    def each_step(
        self, order: Any, first: Any, last: Any, step: Callable[[Any, Any], None]
    ) -> None:
        """Take steps `first` to `last`, one after another, reading ahead what is read.

        To be called in a graph, like all the following.

        Parameters
        ----------
        order : tensor of int32
            Of the samples.
        first, last : scalar tensor of int32
        step : callable
            Gets the number of a step, and what :meth:`read` returns for it.
        """
        if self._rows is None:
            for_each(first, last, 1, lambda number: step(number, None))
            return
        at_once, size = self._steps_at_once(), self.batch_size

        def read(start: Any) -> Any:
            start = tf.cast(start, tf.int32)
            end = tf.minimum(start + at_once, last)
            return self.read(order[start * size : end * size])

        first_64, last_64 = (tf.cast(number, tf.int64) for number in (first, last))
        pieces = tf.data.Dataset.range(first_64, last_64, at_once)
        # A thread of its own reads: those of the training are few, and busy with it.
        options = tf.data.Options()
        options.threading.private_threadpool_size = 1
        stream = iter(pieces.map(read).prefetch(_AHEAD).with_options(options))

        def steps_of_piece(start: Any) -> None:
            features = next(stream)

            def step_of_piece(number: Any) -> None:
                place = (number - start) * size
                step(number, features[place : place + size])

            for_each(start, tf.minimum(start + at_once, last), 1, step_of_piece)

        for_each(first, last, at_once, steps_of_piece)

    def _steps_at_once(self) -> int:
        """Return the steps whose samples are read together."""
        if self._devices.reads_own_part and self._devices.world_size > 1:
            # What a process needs of several batches is in several places.
            return 1
        assert self._rows is not None, "only such samples are read"
        bytes_of_step = self.batch_size * math.prod(self._rows.shape[1:]) * NUMBER_BYTES
        return max(1, min(_PIECE_BYTES // bytes_of_step, _MOST_STEPS))

    def read(self, positions: Any) -> Any:
        """Return the features at `positions` that this process needs; None if in memory."""
        if self._rows is None:
            return None
        if self._devices.reads_own_part:
            part, _, _ = own_part(tf.shape(positions)[0], self._devices)
            positions = positions[part]
        features = tf.numpy_function(self._read_rows, [positions], tf.float32)
        return tf.ensure_shape(features, (None, *self._rows.shape[1:]))

    def _read_rows(self, positions: Any) -> Array:
        # Those that are there when a graph runs, not when it was made.
        assert self._rows is not None, "only such samples are read"
        return self._rows[positions]

    def take(
        self, tensors: Sequence[Any], positions: Any, features: Any, part: slice = slice(None)
    ) -> tuple[Any, ...]:
        """Return a batch for the training step.

        Parameters
        ----------
        tensors : sequence of tensor
            :attr:`tensors`, as the graph got them.
        positions : tensor of int32
            Of the samples of a step, over all replicas.
        features : tensor or None
            What :meth:`read` returned for them.
        part : slice
            The samples of this replica.
        """
        own = positions[part]
        if self._length is not None:
            *tensors, rows = tensors
            starts, *others = (tf.gather(tensor, own) for tensor in tensors)
            places = starts[:, tf.newaxis] + tf.range(self._length, dtype=starts.dtype)
            return (tf.gather(rows, places), *others)
        gathered = [tf.gather(tensor, own) for tensor in tensors]
        if features is None:
            return tuple(gathered)
        if not self._devices.reads_own_part:
            features = features[part]
        return (features, *gathered)

    def first(self, count: int) -> tuple[Any, ...]:
        """Return the first samples as tensors, outside of a graph."""
        positions = np.arange(min(count, self.samples))
        features = None if self._rows is None else tf.constant(self._rows[positions])
        return self.take(self.tensors, tf.constant(positions, tf.int32), features)


def for_each(first: Any, last: Any, by: int, body: Callable[[Any], None]) -> None:
    """Do what `body` does for the numbers from `first` to `last`, in steps of `by`, in a graph."""

    def step(number: Any) -> list[Any]:
        body(number)
        return [number + by]

    tf.while_loop(lambda number: number < last, step, [tf.convert_to_tensor(first)])


def _kinds(arrays: tuple[Any, ...]) -> list[Any]:
    return [
        (type(a), a.shape[1:]) if isinstance(a, Rows | Windows) else (a.dtype, a.shape[1:])
        for a in arrays
    ]


def own_part(size: Any, devices: Devices) -> tuple[slice, Any, Any]:
    """Return a replica's part of a batch, its number of samples, and its weight.

    Parts differ by at most one sample; the weight makes the mean over replicas the mean over
    samples. Without samples of its own a replica gets one of another's, with weight 0: a step needs
    data, and all replicas must take it.

    Parameters
    ----------
    size : scalar tensor of int32
        Samples of the batch.
    devices : Devices

    Returns
    -------
    part : slice
        Of at least one sample.
    count : scalar tensor of int32
    weight : scalar tensor of float64
    """
    replicas, replica = devices.world_size, devices.replica()
    base, extra = size // replicas, size % replicas
    count = base + tf.cast(replica < extra, tf.int32)
    start = tf.minimum(replica * base + tf.minimum(replica, extra), size - 1)
    weight = tf.cast(count * replicas, tf.float64) / tf.cast(size, tf.float64)
    return slice(start, start + tf.maximum(count, 1)), count, weight

"""Where a trial is trained: on one device, on several of one process, or in several processes.

One interface for all of them, so that the training code does not know the difference. Two words:
a *replica* is a copy of the model that sees its own part of each batch; a *process* is what the
launcher started. With Horovod each process is one replica, with MirroredStrategy one process holds
all replicas.

Horovod's own Keras classes do not work with Keras 3 (horovod issue 4290), its operations do. So
gradients are combined here, before the optimiser sees them: clipping, loss scaling and gradient
accumulation then act on what all replicas agree on.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from typing_extensions import override

from gridfold.arrays import Array
from gridfold.canonical import derive_seed
from gridfold.errors import TrialFailure


def start(
    options: Mapping[str, Any] | None, threads: int, gpu_memory_mb: int | None = None
) -> Devices:
    """Set this process's devices up and return how it trains.

    Must come before TensorFlow does anything: devices can't be changed afterwards.

    Parameters
    ----------
    options : mapping or None
        ``training.distribution`` of a configuration; None for one device.
    threads : int
        CPU threads of each process; 0 leaves the choice to TensorFlow.
    gpu_memory_mb : int, optional
        The most memory of each GPU that this process may take; as much as it needs when left out.

    Raises
    ------
    TrialFailure
        When this machine or this launch does not have what `options` ask for.
    """
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    for gpu in tf.config.list_physical_devices("GPU"):
        if gpu_memory_mb is None:
            tf.config.experimental.set_memory_growth(gpu, True)
        else:
            part = tf.config.LogicalDeviceConfiguration(memory_limit=gpu_memory_mb)
            tf.config.set_logical_device_configuration(gpu, [part])
    if options is None:
        return Devices()
    if options["backend"] == "mirrored":
        return Mirrored(options["world_size"])
    return Horovod(options)


class Devices:
    """The devices of a training: one process with one device; the base of those with several.

    Attributes
    ----------
    world_size : int
        Number of replicas.
    rank : int
        Number of this process among them, from 0.
    reads_own_part : bool
        Whether a process reads only the samples of its own replica.
    """

    world_size = 1
    rank = 0
    reads_own_part = True

    @property
    def is_chief(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which models and optimisers are made."""
        return contextlib.nullcontext()

    def run(self, step: Callable[..., None], *arguments: Any) -> None:
        """Take one step on every replica of this process."""
        step(*arguments)

    def replica(self) -> Any:
        """Return the number of the replica that takes the present step."""
        return self.rank

    def configure(self, options: Mapping[str, Any] | None) -> None:
        """Take over how gradients are combined; the trials of one launch may differ in that."""

    def adopt(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Make an optimiser combine the gradients of all replicas before it uses them."""

    @contextlib.contextmanager
    def weighing(self, weight: Any) -> Iterator[None]:
        """Say, while a step is traced, how much this replica's gradients count.

        Parameters
        ----------
        weight : scalar tensor or None
            Samples of this replica over the mean of all replicas.
        """
        yield

    def align(self, model: keras.Model) -> None:
        """Give all replicas the chief's variables, and random layers numbers of their own."""

    def total_metrics(self, model: keras.Model) -> None:
        """Add up what the metrics have counted on every replica."""

    def average_statistics(self, model: keras.Model) -> None:
        """Average what replicas learn without gradients, as the means of batch normalisation."""

    def from_chief(self, value: Any) -> Any:
        """Return the chief's `value` in every process."""
        return value

    def errors(self, error: str) -> list[tuple[int, str]]:
        """Return rank and error of every process that has one; all processes must call this."""
        return [(0, error)] if error else []

    def own_part(self, count: int) -> slice:
        """Return which of `count` samples this process predicts."""
        return slice(0, count)

    def gather(self, rows: Array) -> Array:
        """Return the rows of all processes, in the order of their parts."""
        return rows

    def device(self) -> str:
        """Return what a replica computes on: the name of a GPU, or ``CPU``."""
        gpus = tf.config.get_visible_devices("GPU")
        if not gpus:
            return "CPU"
        details = tf.config.experimental.get_device_details(gpus[0])
        return str(details.get("device_name", "GPU"))


class _Parallel(Devices):
    """What training with several replicas has in common."""

    def __init__(self) -> None:
        # MirroredStrategy traces each replica in a thread of its own.
        self._traced = threading.local()

    @override
    @contextlib.contextmanager
    def weighing(self, weight: Any) -> Iterator[None]:
        self._traced.weight = weight
        try:
            yield
        finally:
            self._traced.weight = None

    @override
    def adopt(self, optimizer: keras.optimizers.Optimizer) -> None:
        # On the instance, not in a subclass: whatever optimiser a user has compiled keeps its
        # class, its configuration and its saved form.
        plain_apply = optimizer.apply

        def apply(grads: Sequence[Any], trainable_variables: Any = None) -> None:
            present = [index for index, grad in enumerate(grads) if grad is not None]
            combined = list(grads)
            for index, grad in zip(
                present, self._combined([self._weighted(grads[i]) for i in present]), strict=True
            ):
                combined[index] = grad
            plain_apply(combined, trainable_variables)

        optimizer.apply = apply

    def _weighted(self, grad: Any) -> Any:
        # Gradients of embeddings come as slices; dense, they can travel with all the others.
        dense = tf.convert_to_tensor(grad)
        weight = getattr(self._traced, "weight", None)
        # A replica without samples has no gradient: whatever it computed, NaN included, counts 0.
        return (
            dense
            if weight is None
            else tf.math.multiply_no_nan(dense, tf.cast(weight, dense.dtype))
        )

    def _combined(self, grads: list[Any]) -> list[Any]:
        raise NotImplementedError


class Mirrored(_Parallel):
    """Several devices of one machine in one process: tf.distribute.MirroredStrategy.

    Without GPUs the processor is divided into as many logical devices, so that a study can be
    tried anywhere.

    Parameters
    ----------
    world_size : int
        Devices.
    """

    reads_own_part = False

    def __init__(self, world_size: int) -> None:
        super().__init__()
        self.world_size = world_size
        gpus = tf.config.list_physical_devices("GPU")
        if 0 < len(gpus) < world_size:
            raise TrialFailure(
                "error",
                f"`backend: mirrored` with world_size {world_size} needs as many GPUs on one "
                f"machine; {len(gpus)} can be seen here",
            )
        if not gpus:
            (cpu,) = tf.config.list_physical_devices("CPU")
            parts = [tf.config.LogicalDeviceConfiguration() for _ in range(world_size)]
            tf.config.set_logical_device_configuration(cpu, parts)
        kind = "GPU" if gpus else "CPU"
        self._strategy = tf.distribute.MirroredStrategy(
            [f"{kind}:{number}" for number in range(world_size)]
        )

    @override
    def scope(self) -> contextlib.AbstractContextManager[Any]:
        return self._strategy.scope()  # type: ignore[no-any-return]

    @override
    def run(self, step: Callable[..., None], *arguments: Any) -> None:
        self._strategy.run(step, args=arguments)

    @override
    def replica(self) -> Any:
        return tf.distribute.get_replica_context().replica_id_in_sync_group

    @override
    def adopt(self, optimizer: keras.optimizers.Optimizer) -> None:
        super().adopt(optimizer)
        # Keras would add the replicas' gradients up once more, and only after clipping each.
        for each in (optimizer, getattr(optimizer, "inner_optimizer", None)):
            if each is not None:
                each._all_reduce_sum_gradients = list

    def _combined(self, grads: list[Any]) -> list[Any]:
        # Keras has divided each replica's loss by their number, so the sum is the mean.
        context = tf.distribute.get_replica_context()
        return list(context.all_reduce(tf.distribute.ReduceOp.SUM, grads))

    @override
    def align(self, model: keras.Model) -> None:
        @tf.function  # type: ignore[untyped-decorator]
        def shift() -> None:
            offsets = tf.constant([_seed_offset(rank) for rank in range(self.world_size)])
            for state in seed_states(model):
                offset = tf.cast(offsets[self.replica()], state.dtype)
                state.assign(state.value + tf.stack([offset, tf.zeros_like(offset)]))

        if seed_states(model):
            self._strategy.run(shift)

    @override
    def average_statistics(self, model: keras.Model) -> None:
        for variable in statistics(model):
            # Reading takes the mean over the replicas, writing reaches all of them.
            variable.assign(keras.ops.convert_to_numpy(variable))


class Horovod(_Parallel):
    """One process for each replica, on one machine or many, over MPI or Gloo.

    Parameters
    ----------
    options : mapping
        ``training.distribution``.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__()
        import horovod.tensorflow as hvd

        hvd.init()
        self._hvd = hvd
        self.world_size, self.rank = hvd.size(), hvd.rank()
        if self.world_size != options["world_size"]:
            reason = (
                f"{self.world_size} processes found each other, for world_size "
                f"{options['world_size']}"
            )
            if self.world_size == 1:
                reason += (
                    ". The launcher (resource `launcher`) is not one of the MPI that Horovod was "
                    "built with, or of one that this MPI understands"
                )
            raise TrialFailure("error", reason)
        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            # Steps of a job see all GPUs of their node, or the one that the launcher chose.
            tf.config.set_visible_devices(gpus[hvd.local_rank() % len(gpus)], "GPU")
        self.configure(options)

    @override
    def configure(self, options: Mapping[str, Any] | None) -> None:
        hvd, options = self._hvd, options or {}
        self._reduction = {"average": hvd.Average, "sum": hvd.Sum, "adasum": hvd.Adasum}[
            options["reduction"]
        ]
        self._compression = {"none": hvd.Compression.none, "fp16": hvd.Compression.fp16}[
            options["compression"]
        ]

    def _combined(self, grads: list[Any]) -> list[Any]:
        how = {"op": self._reduction, "compression": self._compression}
        if self._reduction is self._hvd.Adasum:
            # Horovod 0.28 has no grouped form of it.
            return [self._hvd.allreduce(grad, **how) for grad in grads]
        # As one group: in one message, and always added up in the same order.
        return list(self._hvd.grouped_allreduce(grads, **how))

    @override
    def align(self, model: keras.Model) -> None:
        for variable in (*model.variables, *model.optimizer.variables):
            variable.assign(self._hvd.broadcast(tf.convert_to_tensor(variable.value), root_rank=0))
        for state in seed_states(model):
            first, count = keras.ops.convert_to_numpy(state)
            state.assign(np.array([first + _seed_offset(self.rank), count]))

    @override
    def total_metrics(self, model: keras.Model) -> None:
        self._reduce(model.metrics_variables, self._hvd.Sum)

    @override
    def average_statistics(self, model: keras.Model) -> None:
        self._reduce(statistics(model), self._hvd.Average)

    def _reduce(self, variables: Sequence[Any], operation: Any) -> None:
        """Reduce variables over all processes, in one message and in 64 bit."""
        if not variables:
            return
        values = [keras.ops.convert_to_numpy(variable) for variable in variables]
        flat = np.concatenate([value.astype(np.float64).ravel() for value in values])
        reduced = self._hvd.allreduce(tf.constant(flat), op=operation).numpy()
        ends = np.cumsum([value.size for value in values])
        for variable, value, part in zip(
            variables, values, np.split(reduced, ends[:-1]), strict=True
        ):
            variable.assign(part.reshape(value.shape).astype(value.dtype))

    @override
    def from_chief(self, value: Any) -> Any:
        return self._hvd.broadcast_object(value, root_rank=0)

    @override
    def errors(self, error: str) -> list[tuple[int, str]]:
        found = self._hvd.allgather_object(error)
        return [(rank, text) for rank, text in enumerate(found) if text]

    @override
    def own_part(self, count: int) -> slice:
        start, size = part_of(count, self.world_size, self.rank)
        return slice(start, start + size)

    @override
    def gather(self, rows: Array) -> Array:
        return np.asarray(self._hvd.allgather(tf.constant(rows)).numpy())


def part_of(count: int, parts: int, number: int) -> tuple[int, int]:
    """Return start and size of part `number` of `count` things; sizes differ by at most one."""
    base, extra = divmod(count, parts)
    return number * base + min(number, extra), base + (number < extra)


def seed_states(model: keras.Model) -> list[Any]:
    """Return the states of the generators that random layers such as dropout draw from."""
    return [v for v in model.variables if v.path.endswith("seed_generator_state")]


def statistics(model: keras.Model) -> list[Any]:
    """Return what a model learns without gradients, as the means of batch normalisation."""
    return [v for v in model.non_trainable_variables if v.dtype.startswith("float")]


def _seed_offset(rank: int) -> int:
    # The chief's states stay as they are, and so they are what a checkpoint holds.
    return derive_seed("replica", rank) >> 1 if rank else 0

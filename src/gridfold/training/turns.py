"""Trials of one shape take turns in a process, which traces their training once.

Tracing is most of what a short training takes. Trials whose graphs are the same, as those of a
configuration on its splits, differ only in what graphs read: initial variables, seeds, samples, the
learning rate. So a process keeps a model and its training loop, and the next trial gives them its
own variables and samples, as a checkpoint does. What it trains is, bit for bit, what it would have
trained in a process of its own.
"""

from __future__ import annotations

import keras

from gridfold.store.trials import TrialTask
from gridfold.training import devices as distribution
from gridfold.training.augmentation import Augmenter
from gridfold.training.compilation import compiles_epochs
from gridfold.training.devices import Devices
from gridfold.training.loop import TrainingLoop, steps_per_epoch
from gridfold.training.prepared import Prepared

# TensorFlow keeps some operations for each variable that ever was, half a megabyte a trial.
_CLEARED_AFTER = 64


class Turns:
    """What the trials of a process leave to the next one: devices, and a model with its loop.

    Parameters
    ----------
    devices : Devices, optional
        Where all of them train; one device when left out.
    gpu_memory_mb : int, optional
        What they may take of the memory of that device, if it is a GPU.
    """

    def __init__(self, devices: Devices | None = None, gpu_memory_mb: int | None = None) -> None:
        self._devices, self._gpu_memory_mb = devices, gpu_memory_mb
        self._loop: TrainingLoop | None = None
        self._shape: tuple[str, int] | None = None
        self._trials = 0

    def devices(self, threads: int) -> Devices:
        """Return the devices of this process, which can't be set up twice."""
        if self._devices is None:
            self._devices = distribution.start(None, threads, self._gpu_memory_mb)
        return self._devices

    def goes_on(self, task: TrialTask) -> bool:
        """Tell whether a trial can do with what TensorFlow has prepared for the one before.

        It is of the same shape, and not too many were since TensorFlow has last forgotten.
        """
        if self._shape is None or task.shape != self._shape[0]:
            return False
        return self._trials % _CLEARED_AFTER > 0

    def loop(
        self,
        task: TrialTask,
        model: keras.Model,
        prepared: Prepared,
        batch_size: int,
        seed: int,
    ) -> TrainingLoop:
        """Return the training loop of a trial, whose model has the variables of `model`.

        It is the one of the trial before, where both have the same graphs.

        Parameters
        ----------
        task : TrialTask
        model : keras.Model
            Compiled, its optimiser built.
        prepared : Prepared
        batch_size : int
            Samples of one step, over all replicas.
        seed : int
            Of the trial.
        """
        training, validation = prepared.training_arrays(), prepared.validation_arrays()
        steps = steps_per_epoch(len(prepared.training), batch_size)
        shape = None
        if task.shape is not None:
            self._trials += 1
            # Schedules count in steps.
            shape = task.shape, steps
            if shape == self._shape and self._loop and self._loop.fits(training, validation):
                self._loop.renew(model, training, validation, seed)
                return self._loop
        # The one before may go first, to make room.
        self._loop, self._shape = None, shape
        devices, augmentation = self.devices(task.threads), None
        if options := task.settings["training"].get("augmentation"):
            augmentation = Augmenter(options, prepared.input_shape, seed, devices)
        loop = TrainingLoop(
            model,
            training,
            validation,
            batch_size,
            seed,
            task.steps_per_execution,
            devices,
            augmentation,
            compiles_epochs=compiles_epochs(task.settings, model, steps),
            shuffle_block=prepared.shuffle_block,
        )
        if shape is not None:
            self._loop = loop
        return loop

"""Augmentation: training images changed at random, another way in each epoch.

Keras's own layers, on the way to the training step and not in the model: so whatever model a user
brings is augmented, no other call of it is, and a saved model knows nothing of it. Their random
numbers are a function of (seed, epoch, step, replica), so a resumed training sees the same images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from gridfold.canonical import derive_seed
from gridfold.errors import TrialFailure
from gridfold.training.devices import Devices

# More than all layers together draw for one batch.
_DRAWS = 64


class Augmenter:
    """Changes the images of a batch.

    Parameters
    ----------
    options : mapping
        ``training.augmentation`` of a configuration.
    sample_shape : tuple of int
        Shape of one sample.
    seed : int
        Of the trial.
    devices : Devices

    Raises
    ------
    TrialFailure
        When samples are no images.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        sample_shape: tuple[int, ...],
        seed: int,
        devices: Devices,
    ) -> None:
        if len(sample_shape) != 3:
            raise TrialFailure(
                "error",
                "training.augmentation needs images (height, width, channels), not samples of "
                f"shape {sample_shape}; set data.reshape, or leave it out",
            )
        self._devices = devices
        self.begin(seed)
        with devices.scope():
            self._generator = keras.random.SeedGenerator(0)
            self._layers = _layers(options)
        for layer in self._layers:
            layer.generator = self._generator

    def begin(self, seed: int) -> None:
        """Begin with another trial, whose seed this is."""
        self._seed = seed

    def seed_of(self, epoch: int) -> int:
        """Return what :meth:`apply` needs to know of an epoch, in [0, 2^31)."""
        return derive_seed(self._seed, "augmentation", epoch)

    def apply(self, images: Any, epoch_seed: Any, step: Any) -> Any:
        """Return the images of a step, changed, in a graph.

        Parameters
        ----------
        images : tensor of float32, shape (samples, height, width, channels)
        epoch_seed : scalar tensor of int32
            :meth:`seed_of` the epoch.
        step : scalar tensor of int32
            Of the epoch, from 0.
        """
        state = self._generator.state
        stream = step * self._devices.world_size + self._devices.replica()
        start = tf.stack([tf.cast(epoch_seed, state.dtype), tf.cast(stream * _DRAWS, state.dtype)])
        state.assign(start)
        for layer in self._layers:
            images = layer(images, training=True)
        return images


def _layers(options: Mapping[str, Any]) -> list[Any]:
    """Return the layers that `options` ask for; geometry first, then contrast."""
    fill = {"fill_mode": options["fill"], "seed": 0, "dtype": "float32"}
    plain = {"seed": 0, "dtype": "float32"}
    layers: list[Any] = []
    if options["flip"] != "none":
        mode = {"both": "horizontal_and_vertical"}.get(options["flip"], options["flip"])
        layers.append(keras.layers.RandomFlip(mode, **plain))
    if options["rotation"]:
        layers.append(keras.layers.RandomRotation(options["rotation"], **fill))
    if options["translation"]:
        share = options["translation"]
        layers.append(keras.layers.RandomTranslation(share, share, **fill))
    if options["zoom"]:
        layers.append(keras.layers.RandomZoom(options["zoom"], **fill))
    if options["contrast"]:
        # Scaled features have no fixed range, so nothing is cut off.
        everything = (-math.inf, math.inf)
        layers.append(keras.layers.RandomContrast(options["contrast"], everything, **plain))
    return layers

"""The work that all contestants do: trials, data, network, and two ways to train it.

A trial is a configuration on a split; its score is the accuracy on the validation part after the
last epoch, and it is followed after each. Each trial has one thread. What all contestants leave is
``scores.csv`` in the working directory: a line for each trial, its name and its accuracy.
"""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

BATCH = 32
WORKERS = 2


@dataclass(frozen=True)
class Size:
    """A grid of convolutional networks for the digits.

    Attributes
    ----------
    folds, epochs : int
    fixed : dict
        What all configurations have, by the names of gridfold's ``cnn``.
    axes : dict of list
        What they differ in, likewise, and the learning rate.
    """

    folds: int
    epochs: int
    fixed: dict[str, int]
    axes: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def all_axes(self) -> dict[str, list[Any]]:
        """What trials differ in: axes, and the fold."""
        return {**self.axes, "fold": list(range(self.folds))}

    def trials(self) -> list[dict[str, Any]]:
        """Return the values and the fold of each trial."""
        axes = self.all_axes
        return [
            self.fixed | dict(zip(axes, point, strict=True))
            for point in itertools.product(*axes.values())
        ]


# Seconds of a trial that shares two cores with another.
SIZES = {
    # To see that everything runs.
    "small": Size(
        folds=2,
        epochs=2,
        fixed={"blocks": 1, "filters": 8, "dense_units": 32},
        axes={"learning_rate": [0.001, 0.002]},
    ),
    "1s": Size(
        folds=5,
        epochs=20,
        fixed={"blocks": 1},
        axes={"filters": [8, 16], "dense_units": [32, 64], "learning_rate": [0.001, 0.002, 0.003]},
    ),
    "10s": Size(
        folds=5,
        epochs=60,
        fixed={"blocks": 2, "dense_units": 64},
        axes={"filters": [16, 32], "learning_rate": [0.0005, 0.001, 0.002]},
    ),
    "60s": Size(
        folds=3,
        epochs=150,
        fixed={"blocks": 2, "dense_units": 64, "filters": 32},
        axes={"learning_rate": [0.001, 0.002]},
    ),
}


def size_asked_for() -> Size:
    """Return the size that the command line names first."""
    return SIZES[sys.argv[1]]


def name_of(trial: dict[str, Any]) -> str:
    """Return the name of a trial."""
    return ",".join(f"{key}={trial[key]}" for key in sorted(trial))


def write_scores(trials: Iterable[dict[str, Any]], scores: Iterable[float]) -> None:
    """Write what the comparison reads."""
    with Path("scores.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            (name_of(trial), score) for trial, score in zip(trials, scores, strict=True)
        )


@cache
def _samples() -> tuple[Any, Any]:
    digits = load_digits()
    return digits.images[..., None].astype(np.float32), digits.target


@cache
def parts(folds: int, fold: int) -> tuple[Any, Any, Any, Any]:
    """Return training and validation samples and classes of a fold, scaled by the training part."""
    x, y = _samples()
    splits = StratifiedKFold(folds, shuffle=True, random_state=0).split(x, y)
    training, validation = next(itertools.islice(splits, fold, None))
    mean, deviation = x[training].mean(), x[training].std()
    x = (x - mean) / deviation
    return x[training], y[training], x[validation], y[validation]


def begin() -> None:
    """Set a process up, before TensorFlow computes."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def network(trial: dict[str, Any]) -> Any:
    """Return the network of a trial."""
    import keras

    inputs = keras.Input((8, 8, 1))
    y = inputs
    for _ in range(trial["blocks"]):
        y = keras.layers.Conv2D(trial["filters"], 3, padding="same", activation="relu")(y)
        y = keras.layers.MaxPooling2D(2, padding="same")(y)
    y = keras.layers.Flatten()(y)
    y = keras.layers.Dense(trial["dense_units"], activation="relu")(y)
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(y))


def compiled(trial: dict[str, Any]) -> Any:
    """Return the network of a trial, ready for `fit`."""
    import keras

    model = network(trial)
    model.compile(
        keras.optimizers.Adam(trial["learning_rate"]),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def fitted_by_keras(trial: dict[str, Any], size: Size) -> float:
    """Train with `fit` on cached data, as the guides of TensorFlow advise; return the accuracy."""
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    x, y, seen_x, seen_y = parts(size.folds, trial["fold"])
    model = compiled(trial)
    training, validation = datasets(x, y, seen_x, seen_y)
    history = model.fit(training, epochs=size.epochs, validation_data=validation, verbose=0)
    return float(history.history["val_accuracy"][-1])


def datasets(x: Any, y: Any, seen_x: Any, seen_y: Any) -> tuple[Any, Any]:
    """Return training and validation part as cached datasets."""
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices
    training = data((x, y)).cache().shuffle(len(x)).batch(BATCH).prefetch(tf.data.AUTOTUNE)
    return training, data((seen_x, seen_y)).batch(len(seen_x)).cache()


def fitted_by_hand(trial: dict[str, Any], size: Size) -> float:
    """Train with the best loop that we could write for this work; return the accuracy."""
    import keras
    import tensorflow as tf

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    x, y, seen_x, seen_y = (tf.constant(part) for part in parts(size.folds, trial["fold"]))
    model = network(trial)
    optimizer = keras.optimizers.Adam(trial["learning_rate"])
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy()
    steps = -(-len(x) // BATCH)

    @tf.function
    def epoch(number: Any) -> Any:
        order = tf.random.experimental.stateless_shuffle(tf.range(len(x)), seed=[0, number])
        for step in tf.range(steps):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            with tf.GradientTape() as tape:
                loss = loss_of(tf.gather(y, chosen), model(tf.gather(x, chosen), training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
        found = model(seen_x, training=False)
        right = tf.argmax(found, axis=1, output_type=seen_y.dtype) == seen_y
        return tf.reduce_mean(tf.cast(right, tf.float32)), loss_of(seen_y, found)

    accuracy = 0.0
    for number in range(size.epochs):
        accuracy, _ = (float(value) for value in epoch(tf.constant(number)))
    return accuracy

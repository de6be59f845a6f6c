"""Compare the training loop with XLA: nothing compiled, each step, whole epochs.

Each network is trained in three ways, each time in a fresh process with one thread; of several
epochs the fastest counts, as what else a machine does only adds time. Samples are made up. The
columns are: seconds of the first epoch, which traces and compiles, and microseconds of a step after
it. `pays after` is how many epochs must follow until compiled epochs have made up for their
compiling.

Run: ``uv run python benchmarks/compiled_epochs.py`` (nine minutes on two cores)
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from typing import Any

WAYS = {"as it is": "false", "each step": "true", "epochs": "epoch"}
# Samples, their shape, batch, hidden layers; the last two with a convolution before them.
NETWORKS: dict[str, tuple[int, tuple[int, ...], int, tuple[int, ...], int]] = {
    "16 units, 64 features, 1,400 samples": (1400, (64,), 32, (16,), 0),
    "2 x 64 units, 64 features, 1,400 samples": (1400, (64,), 32, (64, 64), 0),
    "2 x 32 units, 8 features, 16,000 samples": (16_000, (8,), 32, (32, 32), 0),
    "3 x 128 units, 64 features, 1,400 samples": (1400, (64,), 32, (128,) * 3, 0),
    "2 x 256 units, 200 features, 5,000 samples": (5000, (200,), 32, (256, 256), 0),
    "the same, batches of 128": (5000, (200,), 128, (256, 256), 0),
    "2 x 512 units, 784 features, 5,000 samples, batches of 128": (
        5000,
        (784,),
        128,
        (512, 512),
        0,
    ),
    "CNN, 8 filters, 8 x 8, 1,400 samples": (1400, (8, 8, 1), 32, (), 8),
    "CNN, 16 filters, 28 x 28, 1,400 samples": (1400, (28, 28, 1), 32, (), 16),
}


def run(network: str, way: str, epochs: int) -> dict[str, float]:
    """Train and return the seconds of the first epoch and of the fastest one after it."""
    import keras
    import numpy as np
    import tensorflow as tf

    from gridfold.training.loop import TrainingLoop

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    samples, shape, batch, hidden, filters = NETWORKS[network]
    draws = np.random.default_rng(0)
    features = draws.normal(size=(samples, *shape)).astype(np.float32)
    classes = draws.integers(0, 10, samples).astype(np.int32)
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input(shape)
    if filters:
        x = keras.layers.Conv2D(filters, 3, strides=2, activation="relu")(x)
        x = keras.layers.Flatten()(x)
    for units in hidden:
        x = keras.layers.Dense(units, activation="relu")(x)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
    loss = "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=way == "true")
    model.optimizer.build(model.trainable_variables)
    began = time.perf_counter()
    loop = TrainingLoop(
        model, (features, classes), None, batch, seed=0, compiles_epochs=way == "epoch"
    )
    loop.run(0, 1, [])
    first, fastest = time.perf_counter() - began, math.inf
    for epoch in range(1, epochs):
        began = time.perf_counter()
        loop.run(epoch, epoch + 1, [])
        fastest = min(fastest, time.perf_counter() - began)
    return {"first": first, "epoch": fastest}


def measured(network: str, way: str, repeats: int, epochs: int) -> dict[str, float]:
    """Return the fastest of several processes."""
    rows = []
    for _ in range(repeats):
        command = [sys.executable, __file__, "--one", network, way, "--epochs", str(epochs)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(answer.stdout.splitlines()[-1]))
    return {name: min(row[name] for row in rows) for name in ("first", "epoch")}


def main() -> None:
    """Train all networks in all ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run(*options.one, options.epochs)))
        return
    heads = [f"{what}, {way}" for way in WAYS for what in ("first epoch", "us a step")]
    print("|", " | ".join(["network", *heads, "faster", "pays after"]), "|")
    print("|---|", "---:|" * (len(heads) + 2), sep="")
    for network, (samples, _, batch, _, _) in NETWORKS.items():
        steps = -(-samples // batch)
        found: dict[str, Any] = {
            name: measured(network, way, options.repeats, options.epochs)
            for name, way in WAYS.items()
        }
        cells = [
            cell
            for one in found.values()
            for cell in (f"{one['first']:.2f} s", f"{one['epoch'] / steps * 1e6:.0f}")
        ]
        usual, compiled = found["as it is"], found["epochs"]
        saved, cost = usual["epoch"] - compiled["epoch"], compiled["first"] - usual["first"]
        pays = f"{math.ceil(max(0.0, cost) / saved)} epochs" if saved > 0 else "never"
        faster = f"{usual['epoch'] / compiled['epoch']:.2f}"
        print("|", " | ".join([network, *cells, faster, pays]), "|", flush=True)


if __name__ == "__main__":
    main()

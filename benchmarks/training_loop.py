"""Compare the speed of training with the best hand-written loop, on the same model and data.

Contestants, each in a fresh process with one thread, in turn and several times:

- ``fit(numpy)``: `Model.fit` on arrays, as most scripts do it
- ``fit(tf.data)``: `Model.fit` on a shuffled, cached dataset
- ``fit(tf.data, steps)``: the same with `steps_per_execution` of a whole epoch
- ``gridfold``: the loop that trials use, without checkpoints and validation
- ``loop``: a hand-written `tf.function` over all steps of an epoch, the floor

Run: ``uv run python benchmarks/training_loop.py``
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from typing import Any

CONTESTANTS = ("fit(numpy)", "fit(tf.data)", "fit(tf.data, steps)", "gridfold", "loop")
BATCH = 32


def model_and_data() -> tuple[Any, Any, Any]:
    import keras
    import numpy as np
    from sklearn.datasets import load_digits

    keras.utils.set_random_seed(0)
    digits = load_digits()
    x = (digits.images[..., None] / 16).astype(np.float32)
    inputs = keras.Input((8, 8, 1))
    y = keras.layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    y = keras.layers.MaxPooling2D()(y)
    y = keras.layers.Flatten()(y)
    y = keras.layers.Dense(64, activation="relu")(y)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(y))
    return model, x[:1437], digits.target[:1437]


def run(contestant: str, epochs: int) -> dict[str, float]:
    """Train and return the seconds of the first epoch and of all following ones."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras

    # Its import is not a part of the first epoch.
    from gridfold.training.loop import TrainingLoop

    model, x, y = model_and_data()
    loss = "sparse_categorical_crossentropy"
    steps = -(-len(x) // BATCH)
    marks = [time.perf_counter()]

    if contestant == "loop":
        _hand_written(model, x, y, epochs, steps, marks)
    else:
        mark = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: marks.append(time.perf_counter())
        )
        if contestant == "fit(numpy)":
            model.compile("adam", loss)
            model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[mark])
        elif contestant.startswith("fit(tf.data"):
            data = tf.data.Dataset.from_tensor_slices((x, y)).cache().shuffle(len(x)).batch(BATCH)
            at_once = steps if "steps" in contestant else 1
            model.compile("adam", loss, steps_per_execution=at_once)
            model.fit(data.prefetch(2), epochs=epochs, verbose=0, callbacks=[mark])
        else:
            model.compile("adam", loss, jit_compile=False)
            model.optimizer.build(model.trainable_variables)
            TrainingLoop(model, (x, y), None, BATCH, seed=0).run(0, epochs, [mark])
    return {"first": marks[1] - marks[0], "rest": marks[-1] - marks[1], "all": marks[-1] - marks[0]}


def _hand_written(model: Any, x: Any, y: Any, epochs: int, steps: int, marks: list[float]) -> None:
    import keras
    import tensorflow as tf

    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    loss_function = keras.losses.SparseCategoricalCrossentropy()
    x, y = tf.constant(x), tf.constant(y)

    @tf.function
    def epoch(number: Any) -> Any:
        order = tf.random.experimental.stateless_shuffle(tf.range(len(x)), seed=[0, number])
        total = 0.0
        for step in tf.range(steps):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            with tf.GradientTape() as tape:
                value = loss_function(tf.gather(y, chosen), model(tf.gather(x, chosen)))
            gradients = tape.gradient(value, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
            total += value
        return total

    for number in range(epochs):
        epoch(tf.constant(number)).numpy()
        marks.append(time.perf_counter())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        print(json.dumps(run(options.contestant, options.epochs)))
        return
    times: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for _ in range(options.rounds):
        for name in CONTESTANTS:
            command = [sys.executable, __file__, "--contestant", name]
            command += ["--epochs", str(options.epochs)]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            times[name].append(json.loads(answer.stdout.splitlines()[-1]))
    print(f"digits CNN, batch {BATCH}, {options.epochs} epochs, medians of {options.rounds} rounds")
    print(f"{'':20}{'first epoch':>12}{'ms/epoch':>10}{'all':>8}{'ratio to loop':>15}")
    for name in CONTESTANTS:
        middle = {k: statistics.median(t[k] for t in times[name]) for k in ("first", "rest", "all")}
        ratio = statistics.median(
            a["rest"] / b["rest"] for a, b in zip(times[name], times["loop"], strict=True)
        )
        per_epoch = 1000 * middle["rest"] / (options.epochs - 1)
        print(
            f"{name:20}{middle['first']:>10.2f} s{per_epoch:>10.1f}{middle['all']:>6.2f} s"
            f"{ratio:>15.2f}"
        )


if __name__ == "__main__":
    main()

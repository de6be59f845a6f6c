"""Compare training on samples in memory with training on samples that are read as they are needed.

Dense networks on a memory-mapped file, whose content the page cache holds; each in a fresh process
with one thread, in turn. Numbers are the same; what differs is the time.

Run: ``uv run python benchmarks/reading.py`` (three minutes on two cores)
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

SAMPLES, FEATURES, EPOCHS = 200_000, 200, 4
# Batch size and units of a layer.
NETWORKS = [(32, 64), (128, 64), (128, 512), (512, 512)]
WAYS = ("memory", "read")


def trained(file: Path, way: str, batch: int, units: int) -> dict[str, float]:
    """Train a network and return seconds of an epoch, and the loss at the end."""
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from gridfold.training.feeds import Rows
    from gridfold.training.loop import TrainingLoop
    from gridfold.training.preprocessing import Affine, Preprocessing

    keras.utils.set_random_seed(0)
    samples = np.load(file, mmap_mode="r")
    random = np.random.default_rng(0)
    rows = np.sort(random.permutation(SAMPLES)[: SAMPLES * 4 // 5])
    targets = random.integers(0, 10, len(rows))
    fitted = Preprocessing(scaling=Affine(np.float32(0.1), np.float32(1.1)))
    features = Rows(samples, rows, fitted) if way == "read" else fitted.apply(samples[rows])
    inputs = keras.Input((FEATURES,))
    hidden = keras.layers.Dense(units, activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(hidden))
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    loop = TrainingLoop(model, (features, targets), None, batch, seed=0)
    seconds, losses = [], []

    def note(epoch: int, logs: dict[str, float]) -> None:
        seconds.append(loop.training_seconds)
        losses.append(logs["loss"])

    loop.run(0, EPOCHS, [keras.callbacks.LambdaCallback(on_epoch_end=note)])
    return {"seconds": statistics.median(seconds[1:]), "loss": losses[-1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        file, way, batch, units = options.one
        print(json.dumps(trained(Path(file), way, int(batch), int(units))))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "features.npy"
        random = np.random.default_rng(0)
        np.save(file, random.standard_normal((SAMPLES, FEATURES), dtype=np.float32))
        for batch, units in NETWORKS:
            found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for _ in range(options.rounds):
                for way in WAYS:
                    command = [sys.executable, __file__, "--one", str(file), way]
                    command += [str(batch), str(units)]
                    answer = subprocess.run(command, capture_output=True, text=True, check=True)
                    found[way].append(json.loads(answer.stdout.splitlines()[-1]))
            if len({run["loss"] for runs in found.values() for run in runs}) > 1:
                sys.exit("reading and memory have come to different numbers")
            memory, read = (min(run["seconds"] for run in found[way]) for way in WAYS)
            steps = -(-SAMPLES * 4 // 5 // batch)
            rows.append(
                {
                    "batch": batch,
                    "units": units,
                    "memory, us a step": 1e6 * memory / steps,
                    "read, us a step": 1e6 * read / steps,
                    "speed": memory / read,
                }
            )
    print(pd.DataFrame(rows).round(2).to_markdown(index=False))


if __name__ == "__main__":
    main()

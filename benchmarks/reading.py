"""Compare training on samples in memory with training on samples that are read as they are needed.

Dense networks on a memory-mapped file, whose content the page cache holds; each in a fresh process
with one thread, in turn. Numbers are the same; what differs is the time. Then windows of a series:
copied into an array, cut out of the rows in memory, and cut out of the rows in their file.

Run: ``uv run python benchmarks/reading.py`` (five minutes on two cores)
"""

from __future__ import annotations

import argparse
import json
import resource
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
# Columns of a series, and rows of its windows.
COLUMNS, LENGTH = 8, 48
WAYS_OF_WINDOWS = ("copies", "windows", "windows read")


def trained(file: Path, way: str, batch: int, units: int) -> dict[str, float]:
    """Train a network; return seconds of an epoch, the last loss, and MB that the samples took."""
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from gridfold.arrays import Windows
    from gridfold.training.feeds import Rows
    from gridfold.training.loop import TrainingLoop
    from gridfold.training.preprocessing import Affine, Preprocessing

    keras.utils.set_random_seed(0)
    samples = np.load(file, mmap_mode="r")
    random = np.random.default_rng(0)
    rows = np.sort(random.permutation(SAMPLES)[: SAMPLES * 4 // 5])
    targets = random.integers(0, 10, len(rows))
    fitted = Preprocessing(scaling=Affine(np.float32(0.1), np.float32(1.1)))
    if way in WAYS_OF_WINDOWS:
        samples = Windows(samples, np.arange(SAMPLES), LENGTH)
    before = _most_memory()
    if way in ("read", "windows read"):
        features = Rows(samples, rows, fitted)
    elif way == "windows":
        features = Windows(fitted.apply(samples.rows), samples.starts[rows], LENGTH)
    else:
        features = fitted.apply(samples[rows])
    taken = _most_memory() - before
    inputs = keras.Input(features.shape[1:])
    hidden = keras.layers.Dense(units, activation="relu")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(hidden))
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    loop = TrainingLoop(model, (features, targets), None, batch, seed=0)
    seconds, losses = [], []

    def note(epoch: int, logs: dict[str, float]) -> None:
        seconds.append(loop.training_seconds)
        losses.append(logs["loss"])

    loop.run(0, EPOCHS, [keras.callbacks.LambdaCallback(on_epoch_end=note)])
    return {"seconds": statistics.median(seconds[1:]), "loss": losses[-1], "memory": taken}


def _most_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compared(file: Path, ways: tuple[str, ...], rounds: int) -> pd.DataFrame:
    """Return a table of the networks, trained in each of the ways."""
    rows = []
    for batch, units in NETWORKS:
        found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way in ways:
                command = [sys.executable, __file__, "--one", str(file), way]
                command += [str(batch), str(units)]
                answer = subprocess.run(command, capture_output=True, text=True, check=True)
                found[way].append(json.loads(answer.stdout.splitlines()[-1]))
        if len({run["loss"] for runs in found.values() for run in runs}) > 1:
            sys.exit("the ways have come to different numbers")
        steps = -(-SAMPLES * 4 // 5 // batch)
        best = {way: min(run["seconds"] for run in found[way]) for way in ways}
        row: dict[str, float] = {"batch": batch, "units": units}
        row |= {f"{way}, us a step": 1e6 * best[way] / steps for way in ways}
        row |= {f"speed of {way}": best[ways[0]] / best[way] for way in ways[1:]}
        row |= {f"{way}, MB": max(run["memory"] for run in found[way]) for way in ways}
        rows.append(row)
    return pd.DataFrame(rows).round(2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        file, way, batch, units = options.one
        print(json.dumps(trained(Path(file), way, int(batch), int(units))))
        return
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(0)
        for ways, shape in (
            (WAYS, (SAMPLES, FEATURES)),
            (WAYS_OF_WINDOWS, (SAMPLES + LENGTH - 1, COLUMNS)),
        ):
            file = Path(folder) / "features.npy"
            np.save(file, random.standard_normal(shape, dtype=np.float32))
            print(compared(file, ways, options.rounds).to_markdown(index=False), flush=True)


if __name__ == "__main__":
    main()

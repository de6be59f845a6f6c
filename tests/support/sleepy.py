"""Studies on a cluster that take their time, so that they can be interrupted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
from clones import Clone, scores_below
from slurmcluster import SlurmCluster
from workspaces import Workspace, tiny

# Every batch takes a nap as long as a file is there: on the cluster, not in the comparison.
SLEEPY_MODEL = """
import os
import time

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("gridfold tests of interruptions")
class Nap(keras.layers.Layer):
    def call(self, x):
        file = os.environ.get("GRIDFOLD_TEST_NAPS")
        if not file:
            return x

        def nap(values):
            if os.path.exists(file):
                time.sleep(0.2)
            return values

        y = tf.numpy_function(nap, [x], tf.float32)
        y.set_shape(x.shape)
        return y


def build_model(hp, input_shape, outputs):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(Nap()(inputs))
    x = keras.layers.Dense(hp.Int("units", 1, 64), activation="relu")(x)
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
"""


EPOCHS = 150


def sleepy() -> dict[str, Any]:
    """Four jobs of one trial each, a minute long while they take naps."""
    return tiny(
        model={"python": {"build": "sleepy.py:build_model"}},
        training={"epochs": EPOCHS, "batch_size": 150, "checkpoint_every": 1},
        search={"space": {"python.units": [8, 16]}},
        execution={"trials_per_job": "split", "retries": 4},
    )


def sleepy_clone(
    cluster: SlurmCluster, folder: Path, study: dict[str, Any], *, shares_forks: bool = False
) -> Clone:
    """Return a clone with data and splits whose batches take naps until :func:`wake`."""
    clone = Clone(folder, cluster, shares_forks=shares_forks)
    (clone.folder / "sleepy.py").write_text(SLEEPY_MODEL)
    naps = clone.folder / "naps"
    naps.touch()
    clone.environment |= {"GRIDFOLD_TEST_NAPS": str(naps), "OMPI_MCA_btl": "tcp,self"}
    clone.prepare(study)
    return clone


def undisturbed(folder: Path, study: dict[str, Any], *targets: str) -> pd.DataFrame:
    """Return the scores of the study where nothing sleeps and nothing is interrupted: here."""
    folder.mkdir()
    (folder / "sleepy.py").write_text(SLEEPY_MODEL)
    Workspace(folder, is_lean=False).snakemake(study, "--", *targets)
    return scores_below(folder / "results" / "tiny")


def wake(clone: Clone) -> None:
    """Let what has been interrupted go on as fast as it can."""
    (clone.folder / "naps").unlink()


def assert_resumed_and_equal(clone: Clone, expected: pd.DataFrame, epochs: int) -> None:
    assert (clone.scores()["resumptions"] >= 1).all(), "every trial was interrupted"
    assert_same_numbers(clone, expected)
    for file in clone.results().glob(f"runs/*/*/result-{epochs:05d}.json"):
        stretches = json.loads(file.read_text())["segments"]
        # Every stretch begins right after the last epoch that was kept: nothing ran twice.
        assert [s["first"] for s in stretches] == [1, *(s["last"] + 1 for s in stretches[:-1])]


def assert_same_numbers(clone: Clone, expected: pd.DataFrame) -> None:
    columns = ["config_id", "split", "accuracy", "log_loss", "best_epoch", "epochs_trained"]
    pd.testing.assert_frame_equal(clone.scores()[columns], expected[columns], check_exact=True)


def trained(clone: Clone) -> set[Path]:
    """Return the trials that have at least one epoch behind them."""
    return {file.parent for file in clone.results().glob("runs/*/*/checkpoint-*")}


def running_jobs(cluster: SlurmCluster) -> dict[str, str]:
    """Return the ids of jobs that have processes by their comment."""
    lines = cluster.run("squeue", "--noheader", "--states=R,CG", "--format=%i %k").splitlines()
    return {comment: job for job, comment, *_ in map(str.split, lines)}


def epoch_of(clone: Clone) -> int:
    """Return the last epoch of the only trial that is kept."""
    files = clone.results().glob("runs/*/*/checkpoint-*")
    return max((int(re.findall(r"\d+", file.name)[0]) for file in files), default=0)

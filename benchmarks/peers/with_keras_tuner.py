"""Keras Tuner: a grid search with a chief and two workers, as its guide on distributed tuning.

The fold is a hyperparameter, so that each trial trains once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import keras_tuner
import task


class Tuner(keras_tuner.GridSearch):
    """Trains a network on the fold of its trial."""

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the accuracy of a trial."""
        size = task.size_asked_for()
        import keras

        keras.utils.clear_session()
        model = self.hypermodel.build(trial.hyperparameters)
        parts = task.parts(size.folds, trial.hyperparameters.values["fold"])
        training, validation = task.datasets(*parts)
        history = model.fit(training, epochs=size.epochs, validation_data=validation, verbose=0)
        return history.history["val_accuracy"][-1]


def build(hp: keras_tuner.HyperParameters) -> Any:
    size = task.size_asked_for()
    chosen = {name: hp.Choice(name, values) for name, values in size.all_axes.items()}
    return task.compiled(size.fixed | chosen)


def main() -> None:
    if "KERASTUNER_TUNER_ID" in os.environ:
        task.begin()
        tuner = Tuner(build, keras_tuner.Objective("val_accuracy", "max"), max_trials=None)
        tuner.search()
        return
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": "28399"}
    names = ["chief", *(f"tuner{number}" for number in range(task.WORKERS))]
    processes = [
        subprocess.Popen(
            [sys.executable, *sys.argv], env={**os.environ, **address, "KERASTUNER_TUNER_ID": name}
        )
        for name in names
    ]
    for process in processes:
        process.wait()
    tuner = Tuner(build, keras_tuner.Objective("val_accuracy", "max"), max_trials=None)
    done = tuner.oracle.trials.values()
    task.write_scores(
        [task.size_asked_for().fixed | t.hyperparameters.values for t in done],
        [t.score for t in done],
    )


if __name__ == "__main__":
    main()

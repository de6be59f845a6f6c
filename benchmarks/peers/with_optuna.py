"""Optuna: two processes that share a study in a journal file, its points enqueued as a grid."""

from __future__ import annotations

import multiprocessing
from typing import Any

import optuna
import task


def objective(asked: optuna.Trial) -> float:
    size = task.size_asked_for()
    trial = {
        name: asked.suggest_categorical(name, choices) for name, choices in size.all_axes.items()
    }
    return task.fitted_by_keras({**size.fixed, **trial}, size)


def study() -> optuna.Study:
    backend = optuna.storages.journal.JournalFileBackend("study.log")
    return optuna.create_study(
        study_name="peers",
        storage=optuna.storages.JournalStorage(backend),
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )


def work(_: Any) -> None:
    task.begin()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = study()
    # As many as are left, not a share fixed before.
    while found.get_trials(deepcopy=False, states=[optuna.trial.TrialState.WAITING]):
        found.optimize(objective, n_trials=1)


if __name__ == "__main__":
    size = task.size_asked_for()
    for trial in size.trials():
        study().enqueue_trial({name: trial[name] for name in size.all_axes})
    with multiprocessing.get_context("spawn").Pool(task.WORKERS) as pool:
        pool.map(work, range(task.WORKERS))
    done = study().get_trials(states=[optuna.trial.TrialState.COMPLETE])
    task.write_scores([size.fixed | t.params for t in done], [t.value for t in done])

"""What a training job has to train: one piece of work for each trial."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridfold.data.manifest import Manifest
from gridfold.data.splits import FINAL, Splits
from gridfold.jobs import pool
from gridfold.paths import StudyPaths
from gridfold.plan.shards import Trial
from gridfold.store.selection import Selection
from gridfold.store.trials import TrialStore, TrialTask


def trial_work(
    request: Mapping[str, Any],
    trial: Trial,
    settings: Mapping[str, Any],
    epochs: int,
    paths: StudyPaths,
    data_digest: str,
    split_digest: str,
    threads: int,
) -> pool.Work:
    """Return the work of one trial, its store opened."""
    folder = paths.trial(trial.config_id, trial.split)
    store = TrialStore(
        folder,
        paths.set_aside,
        {
            "settings": settings,
            "data": data_digest,
            "split": split_digest,
            "code": request["code"],
            "versions": request["versions"],
        },
    )
    store.open()
    return pool.Work(trial_task(request, trial, settings, epochs, paths, folder, threads), store)


def trial_task(
    request: Mapping[str, Any],
    trial: Trial,
    settings: Mapping[str, Any],
    epochs: int,
    paths: StudyPaths,
    folder: Path,
    threads: int,
) -> TrialTask:
    """Return the task of one trial, its checkpoints in `folder`."""
    return TrialTask(
        trial.config_id,
        trial.split,
        epochs,
        dict(settings),
        paths.data,
        paths.splits,
        folder,
        threads,
        request["steps_per_execution"],
        request["checkpoint_every"],
        request["in_memory_mb"],
    )


def final_work(
    request: Mapping[str, Any], selection: Selection, paths: StudyPaths, threads: int
) -> pool.Work:
    """Return the work of training the final model; its lock should be held (`final_folder`).

    Parameters
    ----------
    request : mapping
        :meth:`gridfold.plan.plan.Plan.final_request`.
    selection : Selection
    paths : StudyPaths
    threads : int
        CPU threads of each process.
    """
    config_id = selection.config_id
    return trial_work(
        request,
        Trial(config_id, FINAL),
        request["settings"][config_id]["settings"],
        selection.final_epochs,
        paths,
        digest_of_data(paths),
        Splits.load(paths.splits, FINAL).by_name[FINAL].digest,
        threads,
    )


def final_folder(selection: Selection, paths: StudyPaths) -> Path:
    """Return where the run store keeps the training of the final model."""
    return paths.trial(selection.config_id, FINAL)


def digest_of_data(paths: StudyPaths) -> str:
    """Return the digest of the prepared data."""
    return Manifest.read(paths.manifest).digest

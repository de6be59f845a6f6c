"""What a training job has to train: one piece of work for each trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridfold.data.splits import FINAL, Split, Splits
from gridfold.jobs.pool import Work
from gridfold.paths import StudyPaths
from gridfold.plan.shards import Trial
from gridfold.store.trials import TrialStore, TrialTask


@dataclass(frozen=True)
class JobInputs:
    """What the trials of one job share, and how each of them is made from it.

    Attributes
    ----------
    request : mapping
        What the job was asked for; read here are ``code``, ``versions``, ``steps_per_execution``,
        ``checkpoint_every`` and ``in_memory_mb``.
    paths : StudyPaths
    splits : mapping of str to Split
        By name.
    data_digest : str
        Of the prepared data.
    threads : int
        CPU threads of each process; 0 leaves the choice to TensorFlow.
    """

    request: Mapping[str, Any]
    paths: StudyPaths
    splits: Mapping[str, Split]
    data_digest: str
    threads: int

    @classmethod
    def load(
        cls, request: Mapping[str, Any], paths: StudyPaths, threads: int, only: str | None = None
    ) -> JobInputs:
        """Read the splits (all, or `only` one) and the digest of the data.

        Raises
        ------
        FileNotFoundError
            When the study has no prepared data.
        """
        digest: str = json.loads((paths.data / "manifest.json").read_text())["digest"]
        return cls(request, paths, Splits.load(paths.splits, only).by_name, digest, threads)

    def work(self, trial: Trial, settings: Mapping[str, Any], epochs: int) -> Work:
        """Return the work of one trial, its store opened; its lock should be held."""
        folder = self.paths.trial(trial.config_id, trial.split)
        fingerprint = {
            "settings": settings,
            "data": self.data_digest,
            "split": self.splits[trial.split].digest,
            "code": self.request["code"],
            "versions": self.request["versions"],
        }
        store = TrialStore(folder, self.paths.set_aside, fingerprint)
        store.open()
        return Work(self.task(trial, settings, epochs, folder), store)

    def task(
        self, trial: Trial, settings: Mapping[str, Any], epochs: int, folder: Path
    ) -> TrialTask:
        """Return the task of one trial, its checkpoints in `folder`."""
        return TrialTask(
            trial.config_id,
            trial.split,
            epochs,
            dict(settings),
            self.paths.data,
            self.paths.splits,
            folder,
            self.threads,
            self.request["steps_per_execution"],
            self.request["checkpoint_every"],
            self.request["in_memory_mb"],
        )


def final_work(
    request: Mapping[str, Any], selection: Mapping[str, Any], paths: StudyPaths, threads: int
) -> Work:
    """Return the work of training the final model; its lock should be held (`final_folder`).

    Parameters
    ----------
    request : mapping
        :meth:`gridfold.plan.plan.Plan.final_request`.
    selection : mapping
        :func:`gridfold.statistics.summary.select`.
    paths : StudyPaths
    threads : int
        CPU threads of each process.
    """
    config_id = selection["config_id"]
    settings = request["settings"][config_id]["settings"]
    inputs = JobInputs.load(request, paths, threads, FINAL)
    return inputs.work(Trial(config_id, FINAL), settings, selection["final_epochs"])


def final_folder(selection: Mapping[str, Any], paths: StudyPaths) -> Path:
    """Return where the run store keeps the training of the final model."""
    return paths.trial(selection["config_id"], FINAL)

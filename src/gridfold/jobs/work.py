"""A training job makes one piece of work of each trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridfold.data.dataset import verify
from gridfold.data.splits import FINAL, Split, Splits
from gridfold.environment.versions import versions_of_job
from gridfold.jobs.pool import Work
from gridfold.paths import StudyPaths
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_file import read_catalogue
from gridfold.requests import Conditions, FinalRequest, WantedConfiguration
from gridfold.store.selection import Selection
from gridfold.store.trials import TrialStore, TrialTask
from gridfold.study.sections.outer import outer_fold_of


@dataclass(frozen=True)
class JobInputs:
    """What the trials of one job share, and how each of them is made from it.

    Attributes
    ----------
    conditions : Conditions
    paths : StudyPaths
        Where the study keeps its data, splits and trials.
    splits : mapping of str to Split
        By name.
    data_digest : str
        Digest of the prepared data.
    threads : int
        CPU threads of each process; 0 leaves the choice to TensorFlow.
    versions : mapping of str to str, optional
        Of the container in which trials are trained, where this process is outside of it.
    """

    conditions: Conditions
    paths: StudyPaths
    splits: Mapping[str, Split]
    data_digest: str
    threads: int
    versions: Mapping[str, str] | None = None

    @classmethod
    def load(
        cls,
        conditions: Conditions,
        paths: StudyPaths,
        threads: int,
        only: str | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> JobInputs:
        """Verify the data, and read their digest and the splits (all, or `only` one).

        Raises
        ------
        FileNotFoundError
            When the study has no prepared data.
        DamagedRecord
            When data or splits are not what was written.
        """
        digest = verify(paths.data).digest
        splits = Splits.load(paths.splits, only).by_name
        return cls(conditions, paths, splits, digest, threads, versions)

    def work(self, trial: TrialKey, wanted: WantedConfiguration) -> Work:
        """Return the work of one trial, its store opened; its lock should be held.

        Raises
        ------
        GridfoldError
            When packages have changed since the run began.
        """
        work = self.unopened(trial, wanted)
        work.store.open()
        return work

    def unopened(self, trial: TrialKey, wanted: WantedConfiguration) -> Work:
        """Return the same with the store as it is, to look whether there is anything to do.

        Raises
        ------
        GridfoldError
            When packages have changed since the run began.
        """
        store = self.store(trial, wanted)
        return Work(self.task(trial, wanted, store.folder, store.identity), store)

    def store(self, trial: TrialKey, wanted: WantedConfiguration) -> TrialStore:
        """Return the store of one trial, not opened: to look at what another job records.

        Raises
        ------
        GridfoldError
            When packages have changed since the run began.
        """
        folder = self.paths.trial(trial.config_id, trial.split)
        conditions = self.conditions
        fingerprint: dict[str, Any] = {
            "settings": wanted.settings,
            "data": self.data_digest,
            "split": self.splits[trial.split].digest,
            "code": conditions.code,
            "versions": self.versions or versions_of_job(conditions.versions),
        }
        stopping = wanted.settings["training"]["early_stopping"]
        if inner := self.splits[trial.split].watched_digest(stopping):
            fingerprint["inner"] = inner
        if conditions.threshold is not None and conditions.trains_by_threshold(wanted.settings):
            fingerprint["threshold"] = conditions.threshold
        own_code = {name: own.code for name, own in (conditions.own_measures or {}).items()}
        return TrialStore(
            folder,
            self.paths.set_aside,
            fingerprint,
            own_code,
            conditions.positive_from,
            # The final model has no validation part to predict.
            () if trial.split == FINAL else conditions.costs or (),
        )

    def task(
        self, trial: TrialKey, wanted: WantedConfiguration, folder: Path, identity: str = ""
    ) -> TrialTask:
        """Return the task of one trial, its checkpoints in `folder`, which name it so."""
        return TrialTask(
            trial.config_id,
            trial.split,
            wanted.epochs,
            dict(wanted.settings),
            self.paths.data,
            self.paths.splits,
            folder,
            self.threads,
            self.conditions.steps_per_execution,
            self.conditions.checkpoint_every,
            self.conditions.in_memory_mb,
            # Once for each configuration, whose models are alike on all splits.
            self.conditions.loadable
            and trial.split == next(filter(_is_of_search, self.splits), None),
            self.conditions.own_functions,
            self.conditions.positive_from,
            identity,
            () if trial.split == FINAL else self.conditions.costs or (),
            self.conditions.share_process,
        )


def _is_of_search(split: str) -> bool:
    """Tell whether a split is one of the study's own search."""
    return split != FINAL and outer_fold_of(split) is None


def final_work(
    request: FinalRequest,
    selection: Selection,
    paths: StudyPaths,
    threads: int,
    versions: Mapping[str, str] | None = None,
) -> Work:
    """Return the work of training the final model; its lock should be held (`final_folder`).

    Parameters
    ----------
    request : FinalRequest
    selection : Selection
    paths : StudyPaths
    threads : int
        CPU threads of each process.
    versions : mapping of str to str, optional
        As in :class:`JobInputs`.
    """
    config_id = selection.config_id
    settings = read_catalogue(paths)[config_id].settings
    inputs = JobInputs.load(request.conditions, paths, threads, FINAL, versions)
    return inputs.work(
        TrialKey(config_id, FINAL), WantedConfiguration(settings, selection.final_epochs)
    )


def final_folder(selection: Selection, paths: StudyPaths) -> Path:
    """Return where the run store keeps the training of the final model."""
    return paths.trial(selection.config_id, FINAL)

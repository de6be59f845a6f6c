"""Studies as they lie in the results folder: what is finished, and what the others have reached."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd

from gridfold.arrays import Array
from gridfold.data.dataset import Dataset, mapped
from gridfold.data.splits import FINAL, Splits
from gridfold.data.time_splits import spans_of
from gridfold.errors import GridfoldError
from gridfold.paths import StudyPaths
from gridfold.plan.shards import Ledger
from gridfold.statistics.dependence import Units, units_of
from gridfold.statistics.intervals import rounding_variance
from gridfold.store.answer import Answer
from gridfold.store.archives import packed_files
from gridfold.store.model_card import ModelCard
from gridfold.store.progress import read_jobs
from gridfold.store.selection import Selection
from gridfold.tables.predictions import predicted_samples
from gridfold.tables.trials import read_table
from gridfold.training.measures import Scorer
from gridfold.typed_json import DamagedRecord
from gridfold.usercode.functions import split_reference

# A job writes its progress twice a second; one that was silent for so long is gone.
_SILENCE = 600.0


@dataclass(frozen=True)
class FinishedStudy:
    """What a comparison between studies needs to know of one.

    Attributes
    ----------
    name : str
    paths : StudyPaths
    best : Selection
    card : ModelCard
    scores : Series
        Score of the selected configuration on each split, by the split's name.
    ratio : float
        Validation samples over training samples, the mean over its splits.
    rounding : float
        Variance that a score has by its resolution alone.
    splits : dict of str to str
        Digest of each split.
    test : array of int64
        Indices of the test samples.
    """

    name: str
    paths: StudyPaths
    best: Selection
    card: ModelCard
    scores: pd.Series
    ratio: float
    rounding: float
    splits: dict[str, str]
    test: Array

    @classmethod
    def read(cls, folder: Path) -> FinishedStudy:
        """Read a study from its folder in the results.

        Raises
        ------
        GridfoldError
            When there is no finished study.
        """
        paths = StudyPaths(folder)
        try:
            answer = Answer.read(paths)
            trials = read_table(paths.table("trials"))
            splits = Splits.load(paths.splits)
        except (FileNotFoundError, NotADirectoryError):
            raise GridfoldError(
                f"{folder} holds no finished study; allowed: finished ones, as results/demo"
            ) from None
        best = answer.best
        mine = trials[(trials["config_id"] == best.config_id) & (trials["status"] == "finished")]
        return cls(
            folder.resolve().name,
            paths,
            best,
            answer.card,
            mine.set_index("split")[best.measure],
            float((mine["n_validation"] / mine["n_train"]).mean()),
            rounding_variance(best.measure, mine[best.measure], mine["n_validation"]),
            {name: split.digest for name, split in splits.by_name.items() if name != FINAL},
            splits.test,
        )

    @property
    def own_code(self) -> list[Path]:
        """The files of the measures of its author's own that a comparison calls."""
        function = self.card.test.function if self.card.test else None
        return [split_reference(function)[0]] if function else []

    @property
    def measure(self) -> str:
        """The measure that ranked its configurations."""
        return self.best.measure

    @property
    def problem(self) -> str:
        """The type of its problem."""
        return self.card.configuration.problem

    @property
    def data_digest(self) -> str:
        """Digest of all of its data."""
        return self.card.data.digest

    def test_digest(self) -> str:
        """Return the digest of the test samples themselves, in their order; empty without any."""
        if not len(self.test):
            return ""
        data = Dataset.verified(self.paths.data)
        result = hashlib.sha256(repr((data.class_names, data.target_names)).encode())
        for array in (data.features, data.targets):
            result.update(np.ascontiguousarray(array[self.test]).tobytes())
        return result.hexdigest()

    def test_results(self) -> tuple[Array, Array]:
        """Return targets and predictions of the test samples, in the order of `test`."""
        table = read_table(self.paths.final_model.test_predictions)
        targets = mapped(self.paths.array("targets"))
        (found,) = predicted_samples(table.head(0), table, targets, self.card.positive_from)
        return found.truth, found.prediction

    def test_units(self, scorer: Scorer, targets: Array, prediction: Array) -> Units | None:
        """Return what is independent among the test samples; None where each of them is.

        Parameters
        ----------
        scorer : Scorer
        targets, prediction : array
            As of :meth:`test_results`.
        """
        data = Dataset.load(self.paths.data)
        told = self.card.test
        by_time = told is not None and told.method == "blocks"
        times = spans_of(data)[self.test, 1] if by_time else None
        return units_of(data.groups[self.test], times, scorer, targets, prediction)


@dataclass(frozen=True)
class StudyState:
    """One line of the index.

    Attributes
    ----------
    name : str
        Of the folder.
    paths : StudyPaths
    answer : Answer or None
        None while the study is not finished.
    done, known : int
        Trials with a result, of those that were ever given to a job.
    running : int
        Training jobs that have been heard of lately.
    """

    name: str
    paths: StudyPaths
    answer: Answer | None
    done: int
    known: int
    running: int


def find_studies(results: Path) -> Iterator[StudyState]:
    """Yield all studies of a results folder, by name.

    Parameters
    ----------
    results : Path
        Folder of all results; anything in it that is no study is passed over.
    """
    for folder in sorted(results.iterdir()) if results.is_dir() else []:
        paths = StudyPaths(folder)
        if folder.is_dir() and (paths.ledger.exists() or paths.best.exists()):
            yield _state(paths)


def _state(paths: StudyPaths) -> StudyState:
    ledger = Ledger.read(paths.ledger)
    trials = {trial for members in ledger.shards.values() for trial in members}
    packed = {
        name.rpartition("/")[0] for name in packed_files(paths) if fnmatch(name, "*/result-*.json")
    }
    done = sum(
        f"{trial.config_id}/{trial.split}" in packed
        or any(paths.trial(trial.config_id, trial.split).glob("result-*.json"))
        for trial in trials
    )
    jobs = read_jobs(paths.progress, ledger.shards).values()
    return StudyState(
        paths.root.name,
        paths,
        _answer(paths),
        done,
        len(trials),
        sum(not job.ended and time.time() - job.updated < _SILENCE for job in jobs),
    )


def _answer(paths: StudyPaths) -> Answer | None:
    try:
        return Answer.read(paths)
    except (OSError, DamagedRecord):
        return None

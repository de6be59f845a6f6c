"""A search with Keras Tuner: its trials are trained as all others are, split by split.

The oracle proposes hyperparameters, and gets the mean over the splits for an answer. In between is
the run store: what is finished is not trained again, a promotion of Hyperband goes on from the
checkpoint of the round before, and a job that was killed has lost the epoch that it was in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gridfold import advice
from gridfold.canonical import digest
from gridfold.data.splits import Split, Splits
from gridfold.errors import TrialFailure
from gridfold.jobs import pool
from gridfold.jobs.work import digest_of_data, trial_work
from gridfold.paths import StudyPaths
from gridfold.plan.shards import Trial
from gridfold.search.tuner.protocol import (
    COMPLETED,
    FAILED,
    INVALID,
    STOPPED,
    Desk,
    Proposal,
    Report,
)
from gridfold.search.tuner.scores import mean_objectives
from gridfold.search.tuner.space import TuningSpace
from gridfold.space.space import Configuration, Space
from gridfold.store import job_records
from gridfold.store.locks import Heartbeat
from gridfold.store.progress import JobProgress, ProgressFile
from gridfold.store.trials import DIVERGED, TrialResult
from gridfold.study.objectives import chosen_objectives
from gridfold.study.request import requested_study
from gridfold.study.sections.tuner import KerasTunerStrategy

log = logging.getLogger(__name__)

_EPOCHS = "tuner/epochs"
# What a search may be continued with in other numbers: how long, and by whom.
_NOT_IN_FINGERPRINT = {
    "max_trials",
    "hyperband_iterations",
    "max_retries_per_trial",
    "max_consecutive_failed_trials",
    "overwrite",
    "workers",
}


@dataclass(frozen=True)
class Piece:
    """One training of a trial of the tuner.

    Attributes
    ----------
    configuration : Configuration
    split : str
    epochs : int
    execution : int
        From 0; each has its own seed.
    """

    configuration: Configuration
    split: str
    epochs: int
    execution: int

    @property
    def trial(self) -> Trial:
        """Its name in the run store."""
        return Trial(self.configuration.id, self.split)


class TuningStudy:
    """What every process of a search knows: the space, the data and how a trial is trained.

    Parameters
    ----------
    request : mapping
        :meth:`gridfold.plan.search_plan.SearchPlan.tune_request`.
    paths : StudyPaths
    """

    def __init__(self, request: Mapping[str, Any], paths: StudyPaths) -> None:
        self._request = request
        self.paths = paths
        self.study = requested_study(request)
        strategy = self.study.search.strategy
        assert isinstance(strategy, KerasTunerStrategy)
        self.strategy = strategy
        training = self.study.training
        self.epochs = training.epochs
        explore = self.study.search.explore
        self._own_epochs = explore.epochs if explore else None
        if strategy.tuner == "hyperband":
            self.epochs = strategy.max_epochs or training.epochs
            # What spans the training, a schedule of the learning rate, spans the longest.
            training = training.model_copy(update={"epochs": self.epochs})
        self.space = TuningSpace(
            Space(
                self.study.search, self.study.model, training, self.study.problem, self.study.data
            ),
            as_grid=strategy.tuner == "grid",
        )
        self.objectives = chosen_objectives(strategy.objectives, self.study.problem)
        self.starts = [self.space.values_of(start) for start in request["starts"]]
        self._data_digest = digest_of_data(paths)
        self.splits: Mapping[str, Split] = Splits.load(paths.splits).by_name

    def pieces(self, values: Mapping[str, Any]) -> list[Piece]:
        """Return what must be trained to judge a tuner's values."""
        pieces = []
        for execution in range(self.strategy.executions_per_trial):
            configuration = self.space.configuration(values, execution)
            epochs = int(values.get(_EPOCHS, self._own_epochs or configuration.epochs))
            pieces += [
                Piece(configuration, split, epochs, execution) for split in self._request["splits"]
            ]
        return pieces

    def work(self, piece: Piece) -> pool.Work:
        """Return the work of one training, its store opened."""
        return trial_work(
            self._request,
            piece.trial,
            piece.configuration.settings,
            piece.epochs,
            self.paths,
            self._data_digest,
            self.splits[piece.split].digest,
            self._request["threads"],
        )

    def fingerprint(self) -> dict[str, str]:
        """Return what the scores of a search depend on, one digest for each part."""
        strategy = self.strategy.model_dump(exclude=_NOT_IN_FINGERPRINT)
        search = self.study.search.model_dump(mode="json", exclude={"strategy"})
        parts = {
            "strategy": {**strategy, "epochs": self.epochs},
            "space": search,
            "model": self.study.model.model_dump(mode="json"),
            "training": self.study.training.model_dump(mode="json"),
            "problem": self.study.problem.model_dump(mode="json"),
            "data": [self._data_digest, self.study.data.normalise, self.study.data.scale_targets],
            "splits": {name: self.splits[name].digest for name in self._request["splits"]},
            "code": self._request["code"],
            "versions": self._request["versions"],
        }
        return {name: digest(part)[:12] for name, part in parts.items()}


@dataclass
class _Open:
    """A trial of the tuner that is under way."""

    proposal: Proposal
    slot: int
    waiting: list[Piece]
    running: int = 0
    results: dict[tuple[int, str], TrialResult] = field(default_factory=dict)
    failure: TrialFailure | None = None

    @property
    def is_complete(self) -> bool:
        return not self.running and not self.waiting

    def fail(self, failure: TrialFailure) -> None:
        """Take note that there will be no score; what has not begun is left out."""
        self.failure = failure
        self.waiting.clear()


class Search:
    """Asks a desk for trials, gives their trainings to a pool, and tells the desk the outcome.

    It is the pool's supply and its listener.

    Parameters
    ----------
    study : TuningStudy
    desk : callable
        Returns the desk; called once, when the pool has begun to start.
    name : str
        Under which to ask.
    locks : Heartbeat
    progress : ProgressFile
    record : JobRecord
    """

    def __init__(
        self,
        study: TuningStudy,
        desk: Callable[[], Desk],
        name: str,
        locks: Heartbeat,
        progress: ProgressFile,
        record: job_records.JobRecord,
    ) -> None:
        self._study, self._name = study, name
        self._open_desk = desk
        self._desk: Desk | None = None
        self._locks, self._progress, self._record = locks, progress, record
        self._open: list[_Open] = []
        self._owners: dict[Trial, tuple[_Open, Piece]] = {}
        self._stopped = False

    @property
    def desk(self) -> Desk:
        """The desk, opened when it is first needed."""
        if self._desk is None:
            self._desk = self._open_desk()
        return self._desk

    def prepare(self) -> None:
        """Open the desk; for the time in which the pool starts."""
        assert self.desk is not None

    # -- supply ----------------------------------------------------------------------------------

    def is_over(self) -> bool:
        """Tell whether the desk has nothing more to try and everything was told."""
        return self._stopped and not self._open

    def take(self) -> pool.Work | None:
        """Return the next training; None when there is none at the moment."""
        while True:
            for trial in list(self._open):
                work = self._next_piece(trial)
                if work is not None:
                    return work
            # Trials whose pieces were all known are told of by now: perhaps there is more to ask.
            if self._stopped or any(trial.waiting for trial in self._open):
                return None
            if not self._ask():
                return None

    def _ask(self) -> bool:
        taken = {trial.slot for trial in self._open}
        slot = next(number for number in range(len(taken) + 1) if number not in taken)
        answer = self.desk.ask(f"{self._name}-{slot}")
        if isinstance(answer, Proposal):
            self._open.append(_Open(answer, slot, self._study.pieces(answer.values)))
            return True
        # What is under way may fail, and then be asked for again.
        self._stopped = answer == STOPPED and not self._open
        return False

    def _next_piece(self, trial: _Open) -> pool.Work | None:
        """Return the next training of a trial that is not known and that nobody else does now."""
        for piece in list(trial.waiting):
            folder = self._study.paths.trial(piece.configuration.id, piece.split)
            if piece.trial in self._owners or not self._locks.acquire(folder):
                continue
            trial.waiting.remove(piece)
            work = self._study.work(piece)
            known = work.store.result(piece.epochs)
            if known is None:
                trial.running += 1
                self._owners[piece.trial] = (trial, piece)
                self._progress.progress.total += 1
                return work
            self._locks.release(folder)
            self._note(trial, piece, known)
            if not trial.waiting:
                break
        if trial.is_complete:
            self._close(trial)
        return None

    # -- listener --------------------------------------------------------------------------------

    def __call__(self, event: pool.Event) -> None:
        """Take note of what a training says."""
        task, state = event.work.task, self._progress.progress
        name = Trial(task.config_id, task.split)
        if event.kind == "started":
            state.running[str(name)] = {
                "epoch": 0,
                "epochs": task.epochs,
                "metric": self._study.study.problem.kind.metric,
                "val_metric": None,
            }
            self._record.adopt(event.elsewhere)
        elif event.kind == "epoch" and event.row is not None:
            state.running[str(name)].update(
                epoch=int(event.row["epoch"]), val_metric=event.row["val_metric"]
            )
        else:
            self._ended(name, event)
        self._progress.write(now=event.kind in ("finished", "failed"))

    def _ended(self, name: Trial, event: pool.Event) -> None:
        trial, piece = self._owners.pop(name)
        state = self._progress.progress
        state.running.pop(str(name), None)
        state.trained += 1
        trial.running -= 1
        if event.failure is not None:
            result = event.work.store.fail(piece.epochs, event.failure, event.usage)
            state.failed += 1
            log.error("%s failed (%s): %s", name, event.failure.kind, event.failure.reason)
            trial.fail(event.failure)
        else:
            found = event.work.store.result(piece.epochs)
            assert found is not None, f"{name} ended well but left no result"
            result = found
            state.done += 1
            self._note(trial, piece, result)
        self._record.count(result.usage, failed=event.failure is not None)
        self._locks.release(event.work.task.folder)
        if trial.is_complete:
            self._close(trial)

    def _note(self, trial: _Open, piece: Piece, result: TrialResult) -> None:
        trial.results[piece.execution, piece.split] = result
        if result.status == "failed":
            trial.fail(TrialFailure(result.kind, result.reason))

    def _close(self, trial: _Open) -> None:
        """Tell the desk how a trial went."""
        self._open.remove(trial)
        epochs = self._study.pieces(trial.proposal.values)[0].epochs
        failure = trial.failure
        if failure is None:
            means = mean_objectives(self._study.objectives, list(trial.results.values()))
            report = Report(COMPLETED, means, epochs)
        else:
            # A loss that is not finite is where the configuration leads, whenever it is tried.
            status = FAILED if failure.kind == DIVERGED else INVALID
            report = Report(status, {}, epochs, advice.in_full(failure))
        self.desk.tell(trial.proposal.trial_id, report)


def run_search(
    study: TuningStudy,
    desk: Callable[[], Desk],
    name: str,
    train: Callable[[Search, Callable[[], None]], None],
    asked: job_records.Asked,
) -> None:
    """Ask and train until the desk has nothing more to try.

    Parameters
    ----------
    study : TuningStudy
    desk : callable
        Returns the desk.
    name : str
        Of this process among those that ask.
    train : callable
        Gives the trainings of a search to a pool; its second argument is what can be done while the
        pool starts.
    asked : Asked
        What the job was given.
    """
    progress = ProgressFile(study.paths.progress / f"{name}.json", JobProgress(0))
    try:
        with (
            Heartbeat() as locks,
            job_records.recording(study.paths.jobs, name, asked) as record,
        ):
            search = Search(study, desk, name, locks, progress, record)
            progress.write(now=True)
            train(search, search.prepare)
    finally:
        progress.progress.running.clear()
        progress.progress.ended = True
        progress.write(now=True)

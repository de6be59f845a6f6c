"""A search trains the trials of Keras Tuner or Optuna as all others are trained, split by split.

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
from gridfold.data.splits import Split
from gridfold.errors import TrialFailure
from gridfold.jobs import pool
from gridfold.jobs.budget import BudgetGate, limited
from gridfold.jobs.watcher import TrialWatcher
from gridfold.jobs.work import JobInputs
from gridfold.paths import StudyPaths
from gridfold.plan.budget import BudgetView
from gridfold.plan.left_out import write_left_out
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_names import EXPLORE
from gridfold.problems import depends_on_threshold
from gridfold.requests import TuneRequest, WantedConfiguration
from gridfold.search.tuner.protocol import (
    COMPLETED,
    FAILED,
    INVALID,
    STOPPED,
    Oracle,
    Proposal,
    TrialOutcome,
)
from gridfold.search.tuner.scores import mean_objectives
from gridfold.search.tuner.space import TuningSpace
from gridfold.space.space import Configuration, Space
from gridfold.store.job_records import JobRecorder, JobResources
from gridfold.store.locks import Heartbeat
from gridfold.store.progress import JobProgress, ProgressFile
from gridfold.store.trials import DIVERGED, LEFT_OUT, TrialResult
from gridfold.study.monitors import monitors
from gridfold.study.objectives import chosen_objectives, looked_at_objectives, objectives_of
from gridfold.study.request import study_of
from gridfold.study.sections.optuna_sampler import OptunaStrategy, TunerStrategy

log = logging.getLogger(__name__)

_EPOCHS = "tuner/epochs"
# What a search may be continued with in other numbers: how long, and by whom.
_NOT_IN_FINGERPRINT = {
    "max_trials",
    "n",
    "hyperband_iterations",
    "max_retries_per_trial",
    "max_consecutive_failed_trials",
    "overwrite",
    "workers",
}


@dataclass(frozen=True)
class TrialTraining:
    """One training of a trial of the tuner.

    Attributes
    ----------
    configuration : Configuration
        What is trained.
    split : str
        Name of the split that it is trained on.
    epochs : int
        Epochs to reach.
    execution : int
        Number of the training with the same values, from 0; each has its own seed.
    """

    configuration: Configuration
    split: str
    epochs: int
    execution: int

    @property
    def trial(self) -> TrialKey:
        """Its name in the run store."""
        return TrialKey(self.configuration.id, self.split)


class TuningStudy:
    """What every process of a search knows: the space, the data and how a trial is trained.

    Parameters
    ----------
    request : TuneRequest
    paths : StudyPaths
    trial_timeout : float, optional
        Seconds after which a training that has not ended is killed.
    versions : mapping of str to str, optional
        Of the container in which trials are trained, where this process is outside of it.
    """

    def __init__(
        self,
        request: TuneRequest,
        paths: StudyPaths,
        trial_timeout: float | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        self.trial_timeout = trial_timeout
        conditions = request.conditions
        self._inputs = JobInputs.load(conditions, paths, conditions.threads, versions=versions)
        self.split_names = request.splits
        self.paths = paths
        self.study = study_of(request.study)
        strategy = self.study.search.strategy
        assert isinstance(strategy, TunerStrategy)
        self.strategy = strategy
        training = self.study.training
        self.epochs = training.epochs
        explore = self.study.search.explore
        self._own_epochs = explore.epochs if explore else None
        if not isinstance(strategy, OptunaStrategy) and strategy.tuner == "hyperband":
            self.epochs = strategy.max_epochs or training.epochs
            # What spans the training, a schedule of the learning rate, spans the longest.
            training = training.model_copy(update={"epochs": self.epochs})
        self.space = TuningSpace(
            Space(
                self.study.search, self.study.model, training, self.study.problem, self.study.data
            ),
            as_grid=strategy.tuner == "grid",
        )
        self.wanted = objectives_of(self.study.problem, self.study.search)
        self.objectives = (
            looked_at_objectives(self.study.problem, self.study.search)
            if isinstance(strategy, OptunaStrategy)
            else chosen_objectives(strategy.objectives, self.study.problem)
        )
        self.starts = [self.space.values_of(start) for start in request.starts]
        self.stopping = request.stopping

    @property
    def splits(self) -> Mapping[str, Split]:
        """All splits of the study, by name."""
        return self._inputs.splits

    def trainings(self, values: Mapping[str, Any]) -> list[TrialTraining]:
        """Return what must be trained to judge a tuner's values."""
        trainings = []
        for execution in range(self.strategy.executions_per_trial):
            configuration = self.space.configuration(values, execution)
            epochs = int(values.get(_EPOCHS, self._own_epochs or configuration.epochs))
            trainings += [
                TrialTraining(configuration, split, epochs, execution) for split in self.split_names
            ]
        return trainings

    def work(self, training: TrialTraining) -> pool.Work:
        """Return the work of one training, its store opened."""
        return self._inputs.work(
            training.trial, WantedConfiguration(training.configuration.settings, training.epochs)
        )

    def fingerprint(self) -> dict[str, str]:
        """Return what the scores of a search depend on, one digest for each part."""
        strategy = self.strategy.model_dump(exclude=_NOT_IN_FINGERPRINT)
        # How long a search goes on and by which rule one is selected changes nothing here; other
        # tuners have their own objective, and none of them races.
        others = {"strategy", "budget", "stop", "select", "race"}
        if not isinstance(self.strategy, OptunaStrategy):
            others |= {"objectives", "constraints"}
        search = self.study.search.model_dump(mode="json", exclude=others)
        parts = {
            "strategy": {**strategy, "epochs": self.epochs},
            "space": search,
            "model": self.study.model.model_dump(mode="json"),
            "training": self.study.training.model_dump(mode="json"),
            "problem": self._problem(),
            "data": [
                self._inputs.data_digest,
                self.study.data.normalise,
                self.study.data.scale_targets,
            ],
            "splits": {name: self.splits[name].digest for name in self.split_names},
            "code": [self._inputs.conditions.code, *self._own_code()],
            "versions": self._inputs.conditions.versions,
        }
        return {name: digest(part)[:12] for name, part in parts.items()}

    def _problem(self) -> dict[str, Any]:
        # What decides among measures is the objective; the positive class is in the data.
        excluded = {"measures", "positive", "threshold"}
        found = self.study.problem.model_dump(mode="json", exclude=excluded)
        stopping = (name for _, name in monitors(self.study.training, self.study.search))
        deciding = (*self.objectives, *stopping)
        threshold = self._inputs.conditions.threshold
        kind = self.study.problem.type
        if threshold is not None and any(depends_on_threshold(kind, name) for name in deciding):
            found["threshold"] = threshold
        return found

    def _own_code(self) -> list[str]:
        """Return the digests of the objectives that are measures of the user's own."""
        own = self._inputs.conditions.own_measures or {}
        return [own[name].code for name in self.objectives if name in own]


@dataclass
class _RunningTrial:
    """A trial of the tuner that is under way."""

    proposal: Proposal
    slot: int
    waiting: list[TrialTraining]
    running: int = 0
    results: dict[tuple[int, str], TrialResult] = field(default_factory=dict)
    failure: TrialFailure | None = None
    is_held: bool = False

    @property
    def is_complete(self) -> bool:
        return not self.running and not self.waiting

    def fail(self, failure: TrialFailure) -> None:
        """Take note that there will be no score; what has not begun is left out."""
        self.failure = failure
        self.waiting.clear()

    def hold(self) -> None:
        """Take note that the budget ends before the trial; the oracle does not hear of it."""
        self.is_held = True
        self.waiting.clear()


class TunerSearch:
    """Asks an oracle for trials, gives their trainings to a pool, and tells the oracle the outcome.

    It is the pool's supply, and hears from a :class:`TrialWatcher` how the trainings went.

    Parameters
    ----------
    study : TuningStudy
    open_oracle : callable
        Returns the oracle; called once, when the pool has begun to start.
    name : str
        Under which to ask.
    locks : Heartbeat
    progress : ProgressFile
    gate : BudgetGate, optional
        Of the budget of the search, if it has one.

    Attributes
    ----------
    is_cut : bool
        Whether the budget has ended it.
    """

    def __init__(
        self,
        study: TuningStudy,
        open_oracle: Callable[[], Oracle],
        name: str,
        locks: Heartbeat,
        progress: ProgressFile,
        gate: BudgetGate | None = None,
    ) -> None:
        self._study, self._name, self._gate = study, name, gate
        self.is_cut = False
        self._open_oracle = open_oracle
        self._oracle: Oracle | None = None
        self._locks, self._progress = locks, progress
        self._open: list[_RunningTrial] = []
        self._owners: dict[TrialKey, tuple[_RunningTrial, TrialTraining]] = {}
        self._stopped = False

    @property
    def oracle(self) -> Oracle:
        """The oracle, opened when it is first needed."""
        if self._oracle is None:
            self._oracle = self._open_oracle()
        return self._oracle

    def prepare(self) -> None:
        """Open the oracle; for the time in which the pool starts."""
        assert self.oracle is not None

    # -- supply ----------------------------------------------------------------------------------

    def is_over(self) -> bool:
        """Tell whether the oracle has nothing more to try and everything was told."""
        return self._stopped and not self._open

    def take(self) -> pool.Work | None:
        """Return the next training; None when there is none at the moment."""
        while True:
            for trial in list(self._open):
                work = self._next_training(trial)
                if work is not None:
                    return work
            # A trial whose trainings were all known is told of by now: there may be more to ask.
            if self._stopped or any(trial.waiting for trial in self._open):
                return None
            if not self._ask():
                return None

    def _ask(self) -> bool:
        if self._gate is not None and (self.is_cut or not self._gate.has_room(EXPLORE)):
            # What is under way may take less than it was expected to.
            if not self._open and not self._gate.may_change():
                self.is_cut = self._stopped = True
            return False
        taken = {trial.slot for trial in self._open}
        slot = next(number for number in range(len(taken) + 1) if number not in taken)
        answer = self.oracle.ask(f"{self._name}-{slot}")
        if isinstance(answer, Proposal):
            self._open.append(_RunningTrial(answer, slot, self._study.trainings(answer.values)))
            return True
        # What is under way may fail, and then be asked for again.
        self._stopped = answer == STOPPED and not self._open
        return False

    def _next_training(self, trial: _RunningTrial) -> pool.Work | None:
        """Return the next training of a trial that is not known and that nobody else does now."""
        for training in list(trial.waiting):
            folder = self._study.paths.trial(training.configuration.id, training.split)
            if training.trial in self._owners or not self._locks.acquire(folder):
                continue
            trial.waiting.remove(training)
            work = self._study.work(training)
            known = work.store.result(training.epochs)
            if known is None:
                if self._gate is not None:
                    self._gate.begin(work, EXPLORE)
                    if not self._gate.can_start(work, EXPLORE):
                        self._locks.release(folder)
                        trial.hold()
                        break
                    work = limited(work, self._gate, EXPLORE)
                trial.running += 1
                self._owners[training.trial] = (trial, training)
                self._progress.progress.total += 1
                return work
            self._locks.release(folder)
            self._note(trial, training, known)
            if not trial.waiting:
                break
        if trial.is_complete:
            self._close(trial)
        return None

    # -- what the trainings come to --------------------------------------------------------------

    def end(self, work: pool.Work, result: TrialResult, failure: TrialFailure | None) -> None:
        """Take note of how a training went; tell the oracle when its trial is complete."""
        trial, training = self._owners.pop(TrialKey(work.task.config_id, work.task.split))
        trial.running -= 1
        if failure is not None:
            trial.fail(failure)
        elif result.status == LEFT_OUT:
            trial.hold()
        else:
            self._note(trial, training, result)
        if trial.is_complete:
            self._close(trial)

    def _note(self, trial: _RunningTrial, training: TrialTraining, result: TrialResult) -> None:
        trial.results[training.execution, training.split] = result
        if result.status == "failed":
            trial.fail(TrialFailure(result.kind, result.reason))

    def _close(self, trial: _RunningTrial) -> None:
        """Tell the oracle how a trial went."""
        self._open.remove(trial)
        if trial.is_held:
            # As of a search that was killed, the oracle has it as under way, and asks for it again.
            self.is_cut = True
            self._stopped = not self._open
            return
        epochs = self._study.trainings(trial.proposal.values)[0].epochs
        failure = trial.failure
        if failure is None:
            means = mean_objectives(self._study.objectives, list(trial.results.values()))
            outcome = TrialOutcome(COMPLETED, means, epochs)
        else:
            # A loss that is not finite is where the configuration leads, whenever it is tried.
            status = FAILED if failure.kind == DIVERGED else INVALID
            outcome = TrialOutcome(status, {}, epochs, advice.in_full(failure))
        self.oracle.tell(trial.proposal.trial_id, outcome)


Trainer = Callable[[TunerSearch, pool.Listener, Callable[[], None]], None]


def run_search(
    study: TuningStudy,
    open_oracle: Callable[[], Oracle],
    name: str,
    train: Trainer,
    resources: JobResources,
) -> None:
    """Ask and train until the oracle has nothing more to try.

    Parameters
    ----------
    study : TuningStudy
    open_oracle : callable
        Returns the oracle.
    name : str
        Of this process among those that ask.
    train : callable
        Gives the trainings of a search to a pool (:func:`gridfold.jobs.pool.run`). Its other
        arguments are who wants to hear of them, and what can be done while the pool starts.
    resources : JobResources
        Of the job, for its record.
    """
    with (
        Heartbeat() as locks,
        ProgressFile(study.paths.progress / f"{name}.json", JobProgress(0)) as progress,
        JobRecorder(study.paths.jobs, name, resources) as record,
    ):
        view = BudgetView.of(study.paths)
        if view is None:
            search = TunerSearch(study, open_oracle, name, locks, progress)
            progress.write(now=True)
            train(search, TrialWatcher(progress, record, locks, search.end), search.prepare)
            return
        limit = view.order.limit
        with BudgetGate(view, name, resources) as gate:
            search = TunerSearch(study, open_oracle, name, locks, progress, gate)
            watcher = TrialWatcher(progress, record, locks, search.end, limit)

            def hear(event: pool.Event) -> None:
                gate.hear(event, EXPLORE)
                watcher(event)

            progress.write(now=True)
            train(search, hear, search.prepare)
        if search.is_cut:
            # Which trials were not asked for, nobody knows.
            write_left_out(study.paths, f"{EXPLORE}-001", limit, ())

"""Open the oracle of a search in this process with its memory, ask it and tell it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gridfold.jobs.deadline import deadline
from gridfold.search.tuner.protocol import (
    COMPLETED,
    IDLE,
    RUNNING,
    STOPPED,
    Proposal,
    TrialOutcome,
    TuningFailed,
)
from gridfold.search.tuner.search import TuningStudy
from gridfold.search.tuner.space import PYTHON
from gridfold.search.tuner.stopping import TunerStop, begun_trials
from gridfold.study.sections.tuner import KerasTunerStrategy
from gridfold.usercode import functions

if TYPE_CHECKING:
    from gridfold.data.dataset import Dataset
    from gridfold.search.tuner.asking import ModelFunction
    from gridfold.search.tuner.oracles import Memory

log = logging.getLogger(__name__)


class LocalOracle:
    """Asks an oracle of Keras Tuner, and keeps its state in the memory after every step.

    Parameters
    ----------
    keras_oracle : keras_tuner.Oracle
        Made by :func:`gridfold.search.tuner.oracles.make_oracle`.
    memory : Memory
    stop : TunerStop, optional
        Ends the search before the oracle does.
    """

    def __init__(self, keras_oracle: Any, memory: Memory, stop: TunerStop | None = None) -> None:
        self.keras_oracle = keras_oracle
        self._memory, self._stop = memory, stop
        self._stopped = False

    def ask(self, asker: str) -> Proposal | str:
        """Return what `asker` shall try next; it is in the memory before it is returned."""
        if self._has_enough():
            self._stopped = True
            return STOPPED
        trial = self.keras_oracle.create_trial(asker)
        if trial.status != RUNNING:
            self._stopped = trial.status == STOPPED
            return STOPPED if self._stopped else IDLE
        self._memory.save(self.keras_oracle)
        log.info("trial %s: %s", trial.trial_id, _shown(trial.hyperparameters.values))
        return Proposal(trial.trial_id, dict(trial.hyperparameters.values))

    def _has_enough(self) -> bool:
        """Tell whether nothing new is worth trying; what was begun is tried again all the same."""
        if self._stop is None or self.keras_oracle._retry_queue:
            return False
        decision = self._stop.decision(begun_trials(self.keras_oracle))
        return decision is not None and decision.stops

    def tell(self, trial_id: str, outcome: TrialOutcome) -> None:
        """Take note of how a trial went.

        Raises
        ------
        TuningFailed
            After too many failures in a row. The memory is then as it was before this one, so that
            the search can go on where it was when the reason is gone.
        """
        if all(trial.trial_id != trial_id for trial in self.keras_oracle.ongoing_trials.values()):
            log.info("trial %s was told of before, or given to another worker", trial_id)
            return
        if outcome.metrics:
            self._note(trial_id, outcome)
        trial = self.keras_oracle.trials[trial_id]
        trial.status, trial.message = outcome.status, outcome.message or None
        try:
            self.keras_oracle.end_trial(trial)
        except RuntimeError as error:
            raise TuningFailed(
                f"{self.keras_oracle.max_consecutive_failed_trials} trials in a row have failed "
                f"(max_consecutive_failed_trials); the last: {outcome.message}"
            ) from error
        self._memory.save(self.keras_oracle)
        log.info("trial %s: %s, score %s", trial_id, trial.status, trial.score)

    def _note(self, trial_id: str, outcome: TrialOutcome) -> None:
        metrics, objective = dict(outcome.metrics), self.keras_oracle.objective
        if hasattr(objective, "name_to_direction"):
            metrics[objective.name] = objective.get_value(metrics)
        known = self.keras_oracle.trials[trial_id].metrics
        for name in metrics:
            if not known.exists(name):
                direction = getattr(objective, "name_to_direction", {}).get(
                    name, objective.direction
                )
                known.register(name, direction=direction)
        self.keras_oracle.update_trial(trial_id, metrics, step=outcome.epochs)

    def give_back(self, asker: str) -> None:
        """Take back the trial of a worker that is gone; the next one that asks gets it."""
        trial = self.keras_oracle.ongoing_trials.pop(asker, None)
        self.keras_oracle.tuner_ids.discard(asker)
        if trial is not None:
            self.keras_oracle._retry_queue.append(trial.trial_id)
            self._stopped = False
            self._memory.save(self.keras_oracle)
            log.warning("trial %s is given out again: %s is gone", trial.trial_id, asker)

    @property
    def askers(self) -> list[str]:
        """Who is trying something now."""
        return list(self.keras_oracle.ongoing_trials)

    def is_finished(self) -> bool:
        """Tell whether the oracle has said that it is over, and nothing is being tried."""
        return self._stopped and not self.keras_oracle.ongoing_trials

    def best(self) -> list[Any]:
        """Return the trials with a score, the best first."""
        scored = [t for t in self.keras_oracle.trials.values() if t.status == COMPLETED]
        sign = -1 if self.keras_oracle.objective.direction == "max" else 1
        return sorted(scored, key=lambda trial: sign * trial.score)


def _shown(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def open_oracle(study: TuningStudy) -> LocalOracle:
    """Bring the oracle of a search to where it was, or to its beginning.

    Raises
    ------
    TuningFailed
        When the model function asks for what it may not.
    """
    import tensorflow as tf

    from gridfold.search.tuner.oracles import Memory, make_oracle

    assert isinstance(study.strategy, KerasTunerStrategy)
    # Here nothing is trained; what is takes the GPUs.
    tf.config.set_visible_devices([], "GPU")
    function = model_function(study)
    asked = [] if function is None else function.asked_for(study.space.listed_values())
    space = study.space.config(
        _new_entries(study, asked), [f"{PYTHON}.{parameter.name}" for parameter in asked]
    )
    oracle = make_oracle(
        study.strategy,
        study.objectives,
        study.epochs,
        space,
        study.space.allows,
        study.starts,
        dict if function is None else lambda values: study.space.used(values, function.used),
    )
    memory = Memory(study.paths.tuner_state, study.fingerprint())
    memory.load(oracle, overwrite=study.strategy.overwrite)
    stop = None if study.stopping is None else TunerStop(study, study.stopping)
    return LocalOracle(oracle, memory, stop)


def _new_entries(study: TuningStudy, asked: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the hyperparameters to search that only the model function knows of."""
    new = study.space.adopted(asked)
    names = ", ".join(entry["config"]["name"] for entry in new)
    if new and not study.strategy.allow_new_entries:
        raise TuningFailed(
            f"the model function asks for {names}, which is not in the space "
            "(allow_new_entries: false)"
        )
    if not study.strategy.tune_new_entries:
        return []
    log.info("new entries: %s", names or "none")
    return new


def model_function(study: TuningStudy) -> ModelFunction | None:
    """Return the model function of a study, if what it asks for matters to the search."""
    model, strategy = study.study.model.python, study.strategy
    is_searched = strategy.tune_new_entries or study.space.listed_values()
    if model is None or (strategy.allow_new_entries and not is_searched):
        return None
    # While the pool starts; not when the job does.
    from gridfold.data.dataset import Dataset
    from gridfold.search.tuner.asking import ModelFunction

    function = functions.load(model.build)
    given: tuple[Any, ...] = ()
    if len(inspect.signature(function).parameters) >= 3:
        dataset = Dataset.verified(study.paths.data)
        given = (_input_shape(study, dataset), dataset.outputs)

    def ask(hp: Any) -> Any:
        # Not in a trial's own process: what does not end here ends the job.
        with deadline(study.trial_timeout, f"{model.build}, asked for its hyperparameters"):
            return function(hp, *given)

    return ModelFunction(model.build, ask, model.hp)


def _input_shape(study: TuningStudy, dataset: Dataset) -> tuple[int, ...]:
    """Return the shape of a sample as models take it, as encoded in the first split."""
    from gridfold.training import preprocessing

    shape = dataset.features.shape[1:]
    if dataset.columns is None:
        return shape
    rows = next(iter(study.splits.values())).training
    return preprocessing.fit(study.study.data.preprocessing(), dataset, rows).shape(shape)

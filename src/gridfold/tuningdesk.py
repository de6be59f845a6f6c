"""The desk where workers ask an oracle for trials and tell it how they went."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gridfold.errors import GridfoldError

if TYPE_CHECKING:
    from gridfold.tuningoracle import Memory

log = logging.getLogger(__name__)

# Keras Tuner's words for the states of a trial, and of a search.
COMPLETED, FAILED, INVALID = "COMPLETED", "FAILED", "INVALID"
RUNNING, IDLE, STOPPED = "RUNNING", "IDLE", "STOPPED"
# A worker of a distributed search says so often that it is alive, and counts as gone after this.
BEAT_SECONDS = 5.0
LOST_SECONDS = 30.0


class TuningFailed(GridfoldError):
    """A search that can't go on."""


@dataclass(frozen=True)
class Proposal:
    """What an oracle wants to be tried.

    Attributes
    ----------
    trial_id : str
        Keras Tuner's number of the trial.
    values : dict
        Hyperparameters, with ``tuner/epochs`` and the like among them.
    """

    trial_id: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Report:
    """How a trial went.

    Attributes
    ----------
    status : str
        ``COMPLETED``; ``INVALID``, which may be tried again; or ``FAILED``.
    metrics : dict of str to float
        Means over splits and executions; empty without.
    epochs : int
    message : str
        Why it failed.
    """

    status: str
    metrics: Mapping[str, float]
    epochs: int
    message: str = ""


class Desk(Protocol):
    """Who answers questions about what to try next."""

    def ask(self, asker: str) -> Proposal | str:
        """Return what `asker` shall try, or ``IDLE`` (ask again), or ``STOPPED`` (it is over)."""

    def tell(self, trial_id: str, report: Report) -> None:
        """Say how a trial went."""


class OracleDesk:
    """The oracle itself, with its memory.

    Parameters
    ----------
    oracle : keras_tuner.Oracle
        Of :func:`gridfold.tuningoracle.make_oracle`.
    memory : Memory
    """

    def __init__(self, oracle: Any, memory: Memory) -> None:
        self.oracle = oracle
        self._memory = memory
        self._stopped = False

    def ask(self, asker: str) -> Proposal | str:
        """Return what `asker` shall try next; it is in the memory before it is returned."""
        trial = self.oracle.create_trial(asker)
        if trial.status != RUNNING:
            self._stopped = trial.status == STOPPED
            return STOPPED if self._stopped else IDLE
        self._memory.save(self.oracle)
        log.info("trial %s: %s", trial.trial_id, _shown(trial.hyperparameters.values))
        return Proposal(trial.trial_id, dict(trial.hyperparameters.values))

    def tell(self, trial_id: str, report: Report) -> None:
        """Take note of how a trial went.

        Raises
        ------
        TuningFailed
            After too many failures in a row. The memory is then as it was before this one, so that
            the search can go on where it was when the reason is gone.
        """
        if all(trial.trial_id != trial_id for trial in self.oracle.ongoing_trials.values()):
            log.info("trial %s was told of before, or given to another worker", trial_id)
            return
        if report.metrics:
            self._note(trial_id, report)
        trial = self.oracle.trials[trial_id]
        trial.status, trial.message = report.status, report.message or None
        try:
            self.oracle.end_trial(trial)
        except RuntimeError as error:
            raise TuningFailed(
                f"{self.oracle.max_consecutive_failed_trials} trials in a row have failed "
                f"(max_consecutive_failed_trials); the last: {report.message}"
            ) from error
        self._memory.save(self.oracle)
        log.info("trial %s: %s, score %s", trial_id, trial.status, trial.score)

    def _note(self, trial_id: str, report: Report) -> None:
        metrics, objective = dict(report.metrics), self.oracle.objective
        if hasattr(objective, "name_to_direction"):
            metrics[objective.name] = objective.get_value(metrics)
        known = self.oracle.trials[trial_id].metrics
        for name in metrics:
            if not known.exists(name):
                direction = getattr(objective, "name_to_direction", {}).get(
                    name, objective.direction
                )
                known.register(name, direction=direction)
        self.oracle.update_trial(trial_id, metrics, step=report.epochs)

    def give_back(self, asker: str) -> None:
        """Take back the trial of a worker that is gone; the next one that asks gets it."""
        trial = self.oracle.ongoing_trials.pop(asker, None)
        self.oracle.tuner_ids.discard(asker)
        if trial is not None:
            self.oracle._retry_queue.append(trial.trial_id)
            self._stopped = False
            self._memory.save(self.oracle)
            log.warning("trial %s is given out again: %s is gone", trial.trial_id, asker)

    def is_finished(self) -> bool:
        """Tell whether the oracle has said that it is over, and nothing is being tried."""
        return self._stopped and not self.oracle.ongoing_trials

    def best(self) -> list[Any]:
        """Return the trials with a score, the best first."""
        scored = [t for t in self.oracle.trials.values() if t.status == COMPLETED]
        sign = -1 if self.oracle.objective.direction == "max" else 1
        return sorted(scored, key=lambda trial: sign * trial.score)


def _shown(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())

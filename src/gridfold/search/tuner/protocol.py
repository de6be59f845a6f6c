"""A tuner and those who train its trials talk in these words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gridfold.errors import GridfoldError

# Keras Tuner's words for the states of a trial, and of a search.
COMPLETED, FAILED, INVALID = "COMPLETED", "FAILED", "INVALID"


RUNNING, IDLE, STOPPED = "RUNNING", "IDLE", "STOPPED"


# A worker of a distributed search says so often that it is alive, and counts as gone after this.
BEAT_SECONDS = 5.0


LOST_SECONDS = 30.0


# What each call of a worker says besides: a secret, its name, and why a trial failed.
SECRET_KEY, WORKER_KEY = "gridfold-secret", "gridfold-worker"
MESSAGE_KEY = "gridfold-message-bin"


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
class TrialOutcome:
    """How a trial went.

    Attributes
    ----------
    status : str
        ``COMPLETED``; ``INVALID``, which may be tried again; or ``FAILED``.
    metrics : dict of str to float
        Means over splits and executions; empty without.
    epochs : int
        Epochs that it was trained for.
    message : str
        Why it failed.
    """

    status: str
    metrics: Mapping[str, float]
    epochs: int
    message: str = ""


@dataclass(frozen=True)
class TunerTrial:
    """One trial of a search, as its memory has it.

    Attributes
    ----------
    trial_id, status, message : str
        Number and state of the trial in Keras Tuner or Optuna, and why it failed.
    values : dict of str to value
        Hyperparameters.
    score : float or None
        Value of the objective, of several the first one.
    metrics : dict of str to float
        Means of all objectives.
    """

    trial_id: str
    status: str
    message: str
    values: dict[str, Any]
    score: float | None
    metrics: dict[str, float]


class Oracle(Protocol):
    """Who answers questions about what to try next."""

    def ask(self, asker: str) -> Proposal | str:
        """Return what `asker` shall try, or ``IDLE`` (ask again), or ``STOPPED`` (it is over)."""

    def tell(self, trial_id: str, outcome: TrialOutcome) -> None:
        """Say how a trial went."""


class OpenedOracle(Oracle, Protocol):
    """An oracle in this process, of which a chief can serve several workers."""

    @property
    def askers(self) -> list[str]:
        """Who is trying something now."""

    def give_back(self, asker: str) -> None:
        """Take back the trial of a worker that is gone; the next one that asks gets it."""

    def is_finished(self) -> bool:
        """Tell whether it has said that it is over, and nothing is being tried."""

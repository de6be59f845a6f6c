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


class Oracle(Protocol):
    """Who answers questions about what to try next."""

    def ask(self, asker: str) -> Proposal | str:
        """Return what `asker` shall try, or ``IDLE`` (ask again), or ``STOPPED`` (it is over)."""

    def tell(self, trial_id: str, outcome: TrialOutcome) -> None:
        """Say how a trial went."""

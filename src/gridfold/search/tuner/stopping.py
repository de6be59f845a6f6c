"""A search with Keras Tuner looks at its scores, and asks for no more when that is not worth it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from gridfold.plan.stopping import StopDecision, last_decision, looks
from gridfold.requests import StoppingRule
from gridfold.search.tuner.protocol import COMPLETED, RUNNING
from gridfold.search.tuner.search import TuningStudy
from gridfold.statistics.stopping import decide

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BegunTrial:
    """A trial that an oracle has given out.

    Attributes
    ----------
    trial_id, status : str
        As Keras Tuner has them; ``RUNNING`` also while it waits for another attempt.
    values : mapping
        Hyperparameters.
    """

    trial_id: str
    status: str
    values: Mapping[str, Any]


def begun_trials(keras_oracle: Any) -> list[BegunTrial]:
    """Return the trials of an oracle of Keras Tuner in the order in which they began."""
    waiting = set(keras_oracle._retry_queue)
    trials = (keras_oracle.trials[trial_id] for trial_id in keras_oracle.start_order)
    return [
        BegunTrial(
            trial.trial_id,
            RUNNING if trial.trial_id in waiting else trial.status,
            trial.hyperparameters.values,
        )
        for trial in trials
    ]


class TunerStop:
    """Decides whether a tuner is asked for more.

    Each look is at the trials that began first, when the last of them has ended. So what it sees
    does not depend on how many trials run at once, and a search that was killed decides the same
    again.

    Parameters
    ----------
    study : TuningStudy
    rule : StoppingRule
    """

    def __init__(self, study: TuningStudy, rule: StoppingRule) -> None:
        self._study, self._rule = study, rule
        self._decided: dict[int, StopDecision] = {}

    def decision(self, trials: Sequence[BegunTrial]) -> StopDecision | None:
        """Return what the search has decided so far; None before the first look.

        Parameters
        ----------
        trials : sequence of BegunTrial
            In the order in which they began.
        """
        for count in looks(self._rule.after, self._rule.total):
            if count in self._decided:
                continue
            seen = trials[:count]
            if len(seen) < count or any(trial.status == RUNNING for trial in seen):
                break
            self._decided[count] = self._look(seen)
            log.info("%s", self._decided[count].sentence)
            if self._decided[count].stops:
                break
        return last_decision(self._decided.values())

    def _look(self, trials: Sequence[BegunTrial]) -> StopDecision:
        splits = [self._study.splits[name] for name in self._study.split_names]
        return decide(
            self._rule,
            self._study.study.problem.ranking_measure,
            np.array([self._scores(trial) for trial in trials]),
            fmean(len(split.validation) / len(split.training) for split in splits),
            fmean(len(split.validation) for split in splits),
            adapts=self._study.strategy.tuner == "bayesian",
        )

    def _scores(self, trial: BegunTrial) -> list[float]:
        """Return the score of a trial on each split, the mean over its executions."""
        names = self._study.split_names
        if trial.status != COMPLETED:
            return [np.nan] * len(names)
        measure = self._study.study.problem.ranking_measure
        scores: dict[str, list[float]] = {name: [] for name in names}
        for training in self._study.trainings(trial.values):
            result = self._study.work(training).store.result(training.epochs)
            known = {} if result is None else result.scores
            scores[training.split].append(known.get(measure, np.nan))
        return [fmean(scores[name]) for name in names]

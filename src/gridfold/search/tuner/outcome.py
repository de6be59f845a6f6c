"""Read what a search has found: the trials of its memory, and their results."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from gridfold.errors import TrialFailure
from gridfold.jobs.budget import epochs_known, not_trained
from gridfold.jobs.pool import Work
from gridfold.plan.budget import BudgetView
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stage_names import EXPLORE
from gridfold.plan.stages import chosen
from gridfold.plan.stopping import StopDecision
from gridfold.requests import ChosenConfiguration
from gridfold.search.tuner.protocol import COMPLETED, RUNNING, TunerTrial, TuningFailed
from gridfold.search.tuner.search import TrialTraining, TuningStudy
from gridfold.search.tuner.stopping import BegunTrial, TunerStop
from gridfold.store.trials import TrialResult, TrialStore
from gridfold.study.sections.optuna_sampler import OptunaStrategy

log = logging.getLogger(__name__)


def read_trials(file: Path) -> list[TunerTrial]:
    """Return the trials of a search with Keras Tuner in the order in which they began."""
    content = json.loads(file.read_text(encoding="utf-8"))
    found = []
    for trial_id in content["state"]["start_order"]:
        kept = content["trials"][trial_id]
        metrics = {
            name: history["observations"][-1]["value"][-1]
            for name, history in kept["metrics"]["metrics"].items()
            if history["observations"]
        }
        found.append(
            TunerTrial(
                trial_id,
                kept["status"],
                kept["message"] or "",
                kept["values"],
                kept["score"],
                metrics,
            )
        )
    return found


def trials_of(study: TuningStudy) -> list[TunerTrial]:
    """Return the trials of a search, of Keras Tuner or Optuna, in the order in which they began."""
    if isinstance(study.strategy, OptunaStrategy):
        # Not before: it imports Optuna.
        from gridfold.search.tuner.sampled import read_sampled

        return read_sampled(study)
    return read_trials(study.paths.tuner_state)


def finalists(study: TuningStudy) -> dict[str, tuple[TunerTrial, list[TrialTraining]]]:
    """Return for each configuration its longest trial with a score, and what it was trained for.

    Configurations without a score have their last trial. Of several executions it is the first that
    speaks for the configuration.
    """
    found: dict[str, tuple[TunerTrial, list[TrialTraining]]] = {}
    for trial in trials_of(study):
        trainings = [
            training for training in study.trainings(trial.values) if training.execution == 0
        ]
        key = trainings[0].configuration.id
        if key in found and found[key][0].status == COMPLETED:
            longer = trainings[0].epochs >= found[key][1][0].epochs
            if trial.status != COMPLETED or not longer:
                continue
        found[key] = (trial, trainings)
    return found


def explored(study: TuningStudy) -> StageFile:
    """Return the file of the stage `explore`: what was tried, with its scores.

    Raises
    ------
    TuningFailed
        When nothing has a score.
    """
    found: list[ChosenConfiguration] = []
    splits: list[str] = []
    for trial, trainings in finalists(study).values():
        configuration, epochs = trainings[0].configuration, trainings[0].epochs
        found.append(chosen(configuration, epochs, trial.score, trial.trial_id))
        splits = [training.split for training in trainings]
    if all(configuration.score is None for configuration in found):
        why = ""
        if study.paths.left_out(f"{EXPLORE}-001").exists():
            why = ": its budget was spent before; raise search.budget, and it goes on"
        raise TuningFailed(f"no trial of the search has a score{why}")
    return StageFile(EXPLORE, tuple(splits), tuple(found), decision=_decision(study))


def _decision(study: TuningStudy) -> StopDecision | None:
    """Return why a search has stopped, or not; None if it never looked."""
    if study.stopping is None:
        return None
    begun = [
        BegunTrial(trial.trial_id, trial.status, trial.values)
        for trial in read_trials(study.paths.tuner_state)
    ]
    return TunerStop(study, study.stopping).decision(begun)


def _result(work: Work) -> TrialResult | None:
    """Return the answer to a training, scored again where only scores are missing.

    A search that is over asks for no training whose scores are those of other code or of another
    threshold.
    """
    store, epochs = work.store, work.task.epochs
    known = store.unscored(epochs)
    if known is not None:
        # Not before: it imports TensorFlow.
        from gridfold.training.trial import train_trial

        try:
            store.finish(*train_trial(work.task, lambda row: None, known=known))
        except TrialFailure as failure:
            store.fail(epochs, failure)
    return store.result(epochs)


def results(study: TuningStudy) -> list[tuple[TrialKey, TrialResult, TrialStore]]:
    """Return what the run store knows of the configurations of :func:`explored`."""
    rows = []
    view = BudgetView.of(study.paths)
    limit = None if view is None else view.order.limit
    for trial, trainings in finalists(study).values():
        for training in trainings:
            work = study.work(training)
            store, result = work.store, _result(work)
            if result is None and limit is not None and trial.status == RUNNING:
                reached = epochs_known(store.folder, training.epochs)
                result = not_trained(training.epochs, limit, reached)
            if result is None:
                known = store.failure()
                result = TrialResult(
                    "failed",
                    training.epochs,
                    kind=known[0].kind if known else "error",
                    reason=known[0].reason if known else f"left out: {trial.message}",
                    usage=known[1] if known else {},
                )
            rows.append((training.trial, result, store))
    return rows

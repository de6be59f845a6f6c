"""The oracle of a search: brought to where it was, and what it has found in the end."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridfold import references
from gridfold.runstore import TrialResult, TrialStore
from gridfold.shards import Trial
from gridfold.stagenames import EXPLORE
from gridfold.stages import entry, stage_file
from gridfold.tuning import Piece, TuningStudy
from gridfold.tuningdesk import COMPLETED, OracleDesk, TuningFailed
from gridfold.tuningspace import PYTHON, Values

if TYPE_CHECKING:
    from gridfold.asking import ModelFunction
    from gridfold.data import Dataset

log = logging.getLogger(__name__)


def open_desk(study: TuningStudy) -> OracleDesk:
    """Bring the oracle of a search to where it was, or to its beginning.

    Raises
    ------
    TuningFailed
        When the model function asks for what it may not.
    """
    import tensorflow as tf

    from gridfold.tuningoracle import Memory, make_oracle

    # Here nothing is trained; what is takes the GPUs.
    tf.config.set_visible_devices([], "GPU")
    function = _model_function(study)
    asked = [] if function is None else function.asked_for(study.space.listed_values())
    space = study.space.config(
        _new_entries(study, asked), [f"{PYTHON}.{knob.name}" for knob in asked]
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
    return OracleDesk(oracle, memory)


def _new_entries(study: TuningStudy, asked: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the hyperparameters to search that only the model function knows of."""
    new = study.space.adopted(asked)
    names = ", ".join(entry["config"]["name"] for entry in new)
    if new and not study.strategy.allow_new_entries:
        raise TuningFailed(
            f"the model function asks for {names}, which the space has not "
            "(allow_new_entries: false)"
        )
    if not study.strategy.tune_new_entries:
        return []
    log.info("new entries: %s", names or "none")
    return new


def _model_function(study: TuningStudy) -> ModelFunction | None:
    """Return the model function of a study, if what it asks for matters to the search."""
    model, strategy = study.study.model.python, study.strategy
    is_searched = strategy.tune_new_entries or study.space.listed_values()
    if model is None or (strategy.allow_new_entries and not is_searched):
        return None
    # While the pool starts; not when the job does.
    from gridfold.asking import ModelFunction
    from gridfold.data import Dataset

    function = references.load(model.build)
    given: tuple[Any, ...] = ()
    if len(inspect.signature(function).parameters) >= 3:
        dataset = Dataset.load(study.paths.data)
        given = (_input_shape(study, dataset), dataset.outputs)
    return ModelFunction(model.build, lambda hp: function(hp, *given), model.hp)


def _input_shape(study: TuningStudy, dataset: Dataset) -> tuple[int, ...]:
    """Return the shape of a sample as models take it, as encoded in the first split."""
    from gridfold import preprocessing

    shape = dataset.features.shape[1:]
    if dataset.columns is None:
        return shape
    rows = next(iter(study.splits.values())).training
    return preprocessing.fit(study.study.data.preprocessing(), dataset, rows).shape(shape)


@dataclass(frozen=True)
class TunerTrial:
    """One trial of a search, as its memory has it.

    Attributes
    ----------
    trial_id, status, message : str
    values : dict
        Hyperparameters.
    score : float or None
        Of the objective.
    metrics : dict of str to float
        Means of all objectives.
    """

    trial_id: str
    status: str
    message: str
    values: Values
    score: float | None
    metrics: dict[str, float]


def read_trials(file: Path) -> list[TunerTrial]:
    """Return the trials of a search in the order in which they began."""
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


def finalists(study: TuningStudy) -> dict[str, tuple[TunerTrial, list[Piece]]]:
    """Return for each configuration its longest trial with a score, and what it was trained for.

    Configurations without a score have their last trial. Of several executions it is the first that
    speaks for the configuration.
    """
    found: dict[str, tuple[TunerTrial, list[Piece]]] = {}
    for trial in read_trials(study.paths.tuner_state):
        pieces = [piece for piece in study.pieces(trial.values) if piece.execution == 0]
        key = pieces[0].configuration.id
        if key in found and found[key][0].status == COMPLETED:
            longer = pieces[0].epochs >= found[key][1][0].epochs
            if trial.status != COMPLETED or not longer:
                continue
        found[key] = (trial, pieces)
    return found


def explored(study: TuningStudy) -> dict[str, Any]:
    """Return the file of the stage `explore`: what was tried, with its scores.

    Raises
    ------
    TuningFailed
        When nothing has a score.
    """
    entries, splits = [], []
    for trial, pieces in finalists(study).values():
        score = {} if trial.score is None else {"score": trial.score}
        more = {**score, "tuner_trial": trial.trial_id}
        entries.append(entry(pieces[0].configuration, pieces[0].epochs, **more))
        splits = [piece.split for piece in pieces]
    if not any("score" in found for found in entries):
        raise TuningFailed("no trial of the search has a score")
    return stage_file(EXPLORE, splits, entries)


def results(study: TuningStudy) -> list[tuple[Trial, TrialResult, TrialStore]]:
    """Return what the run store knows of the configurations of :func:`explored`."""
    rows = []
    for trial, pieces in finalists(study).values():
        for piece in pieces:
            store = study.work(piece).store
            result = store.result(piece.epochs)
            if result is None:
                known = store.failure()
                result = TrialResult(
                    "failed",
                    piece.epochs,
                    kind=known[0].kind if known else "error",
                    reason=known[0].reason if known else f"left out: {trial.message}",
                    usage=known[1] if known else {},
                )
            rows.append((piece.trial, result, store))
    return rows

"""The oracle of a search: brought to where it was, and what it has found in the end."""

from __future__ import annotations

import inspect
import json
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridfold import references
from gridfold.errors import GridfoldError
from gridfold.runstore import TrialResult, TrialStore
from gridfold.shards import Trial
from gridfold.stagenames import EXPLORE
from gridfold.stages import entry, stage_file
from gridfold.tuning import Piece, TuningStudy
from gridfold.tuningdesk import COMPLETED, OracleDesk, TuningFailed
from gridfold.tuningspace import Values

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
    oracle = make_oracle(
        study.strategy,
        study.objectives,
        study.epochs,
        study.space.config(_new_entries(study)),
        study.space.allows,
        study.starts,
    )
    memory = Memory(study.paths.tuner_state, study.fingerprint())
    memory.load(oracle, overwrite=study.strategy.overwrite)
    return OracleDesk(oracle, memory)


def _new_entries(study: TuningStudy) -> list[dict[str, Any]]:
    """Return the hyperparameters that only the model function knows of."""
    strategy, model = study.strategy, study.study.model.python
    if model is None or (strategy.allow_new_entries and not strategy.tune_new_entries):
        return []
    new = study.space.adopted(_asked_for(model.build, model.hp, study))
    names = ", ".join(entry["config"]["name"] for entry in new)
    if new and not strategy.allow_new_entries:
        raise TuningFailed(
            f"{model.build} asks for {names}, which the space has not (allow_new_entries: false)"
        )
    log.info("new entries: %s", names or "none")
    return new


def _asked_for(build: str, fixed: Mapping[str, Any], study: TuningStudy) -> dict[str, Any]:
    """Return what a model function asks `hp` for, whatever the values of the rest."""
    import keras_tuner

    function = references.load(build)
    manifest = json.loads((study.paths.data / "manifest.json").read_text(encoding="utf-8"))
    shape, outputs = tuple(manifest["sample_shape"]), manifest["outputs"]

    def model(hp: Any) -> Any:
        if len(inspect.signature(function).parameters) >= 3:
            return function(hp, shape, outputs)
        return function(hp)

    known = keras_tuner.HyperParameters()
    for name, value in fixed.items():
        known.Fixed(name, value)
    oracle = keras_tuner.oracles.RandomSearchOracle(objective="val_loss", hyperparameters=known)
    with tempfile.TemporaryDirectory() as folder:
        try:
            tuner = keras_tuner.engine.base_tuner.BaseTuner(oracle, model, directory=folder)
        except GridfoldError:
            raise
        except Exception as error:
            raise TuningFailed(f"{build} fails: {type(error).__name__}: {error}") from error
    _look_behind_conditions(tuner, oracle)
    return dict(oracle.get_space().get_config())


def _look_behind_conditions(tuner: Any, oracle: Any) -> None:
    """Build with each choice and the ends of each number until nothing new is asked for.

    A tuner activates conditional scopes by itself. What is asked for under a plain ``if``, or in a
    loop over a number, it would find only when some trial comes by.
    """
    known: set[tuple[str, Any]] = set()
    while new := [
        (knob, value)
        for knob in oracle.get_space().space
        for value in _telling_values(knob)
        if (knob.name, value) not in known
    ]:
        for knob, value in new:
            known.add((knob.name, value))
            hp = oracle.get_space()
            for condition in knob.conditions:
                hp.values[condition.name] = condition.values[0]
            hp.values[knob.name] = value
            hp.ensure_active_values()
            try:
                tuner.hypermodel.build(hp)
            except Exception as error:
                # As a trial it would fail, and the search would go on.
                log.info("%s=%s: %s: %s", knob.name, value, type(error).__name__, error)
            oracle.update_space(hp)


def _telling_values(knob: Any) -> tuple[Any, ...]:
    if hasattr(knob, "min_value"):
        return (knob.min_value, knob.max_value)
    return tuple(knob.values)


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

"""Keras Tuner's oracles get a memory that survives a kill at any moment.

An oracle decides what is tried next. Keras Tuner writes the state of one in two files that are not
replaced in one step, before it has forgotten the trial that has just ended, and leaves out what its
Gaussian process and its grid search know; so a search that was killed may repeat trials, skip some,
or not be readable at all. Here the whole state is one file that is there whole or not at all.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner import oracles

from gridfold.atomic import write_text
from gridfold.search.tuner.protocol import RUNNING, STOPPED
from gridfold.search.tuner.space import Values
from gridfold.store.seals import sealed, unsealed
from gridfold.study.sections.tuner import KerasTunerStrategy

log = logging.getLogger(__name__)

# Draws that are refused, one after another, before the space counts as exhausted.
_MOST_REFUSALS = 1000


class _Remembering:
    """What is added to each of Keras Tuner's oracles.

    Starting points come first, excluded combinations never, values that a model doesn't use count
    for nothing, and the state is kept by :class:`Memory` instead of in files of their own.
    """

    def adapt(
        self,
        allows: Callable[[Values], bool],
        starts: Sequence[Values],
        used: Callable[[Values], Values],
    ) -> None:
        """Say which values may be tried, which first, and which of them count."""
        self._allows = allows
        self._used = used
        self._starts = list(starts)
        self.verbose = 0

    def save(self) -> None:
        """Do nothing; see :class:`Memory`."""

    def _save_trial(self, trial: Any) -> None:
        """Do nothing; see :class:`Memory`."""

    def _random_values(self: Any) -> Values | None:
        for start in map(self._used, self._starts):
            if not self._duplicate(start):
                return dict(start)
        for _ in range(_MOST_REFUSALS):
            drawn: Values | None = super()._random_values()  # type: ignore[misc]
            if drawn is None:
                return None
            values: Values = self._used(drawn)
            if self._allows(values) and not self._duplicate(values):
                return values
        return None

    def _record_values(self: Any, trial: Any) -> None:
        """Take note of what is tried; Keras Tuner would draw a number for what is left out."""
        self._tried_so_far.add(self._compute_values_hash(trial.hyperparameters.values))


class _Hyperband(_Remembering, oracles.HyperbandOracle):
    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return what is tried next, with the number of its own bracket.

        Keras Tuner gives a promotion the number of the bracket that was begun last.
        """
        response: dict[str, Any] = super().populate_space(trial_id)
        for bracket in self._brackets:
            if any(entry["id"] == trial_id for turn in bracket["rounds"] for entry in turn):
                response["values"]["tuner/bracket"] = bracket["bracket_num"]
        return response

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go back to a state; the number of iterations is what the study says now."""
        super().set_state({**state, "hyperband_iterations": self._iterations()})

    def _iterations(self: Any) -> Any:
        return self.hyperband_iterations


class _Random(_Remembering, oracles.RandomSearchOracle):
    pass


class _Bayesian(_Remembering, oracles.BayesianOptimizationOracle):
    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return what is tried next; a point that can't be, or has been, gives way to a draw.

        The run store would answer the same question with the same number.
        """
        response: dict[str, Any] = super().populate_space(trial_id)
        if response["values"] is None:
            return response
        values = self._used(response["values"])
        if self._duplicate(values) or not self._allows(values):
            return dict(self._random_populate_space())
        return {**response, "values": values}

    def get_state(self) -> dict[str, Any]:
        """Return the state, with the generator that Keras Tuner leaves out."""
        name, keys, position, *gauss = self._random_state.get_state()
        generator = [name, keys.tolist(), position, *gauss]
        return {**super().get_state(), "generator": generator}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go back to a state."""
        super().set_state(state)
        name, keys, *rest = state["generator"]
        self._random_state.set_state((name, np.array(keys, np.uint32), *rest))


class _Grid(_Remembering, oracles.GridSearchOracle):
    """Keras Tuner's order: the last values change first, and each begins with its default.

    The space is known from the start, so that each combination follows from the one before; Keras
    Tuner waits for trials to end, which may have asked for more.
    """

    def populate_space(self: Any, trial_id: str) -> dict[str, Any]:
        """Return the next combination that may be tried and has not been."""
        if self.start_order:
            values = self._following(self.trials[self.start_order[-1]].hyperparameters.values)
        else:
            values = self._completed({})
        while values is not None and (self._duplicate(values) or not self._allows(values)):
            values = self._following(values)
        return {"status": STOPPED if values is None else RUNNING, "values": values}

    def _following(self: Any, values: Values) -> Values | None:
        space = self.get_space().space
        for place in reversed(range(len(space))):
            parameter = space[place]
            # Of hyperparameters of one name under different conditions, one at most is active.
            if parameter.name not in values or not _is_active(parameter, values):
                continue
            others = [value for value in parameter.values if value != parameter.default]
            following = [parameter.default, *others]
            position = following.index(values[parameter.name]) + 1
            if position < len(following):
                before = {other.name for other in space[:place]}
                kept = {name: value for name, value in values.items() if name in before}
                return self._completed({**kept, parameter.name: following[position]})  # type: ignore[no-any-return]
        return None

    def _completed(self: Any, values: Values) -> Values:
        """Return `values` with the defaults of what is active besides, if it is used."""
        hp = self.get_space()
        hp.values = {}
        for parameter in hp.space:
            if hp.is_active(parameter):
                hp.values[parameter.name] = values.get(parameter.name, parameter.default)
        return self._used(hp.values)  # type: ignore[no-any-return]


def _is_active(parameter: Any, values: Values) -> bool:
    return all(condition.is_active(values) for condition in parameter.conditions)


_ORACLES: Mapping[str, Any] = {
    "hyperband": _Hyperband,
    "random": _Random,
    "bayesian": _Bayesian,
    "grid": _Grid,
}


def make_oracle(
    strategy: KerasTunerStrategy,
    objectives: Mapping[str, str],
    epochs: int,
    space: Mapping[str, Any],
    allows: Callable[[Values], bool],
    starts: Sequence[Values] = (),
    used: Callable[[Values], Values] = dict,
) -> Any:
    """Return an oracle at the beginning of a search.

    Parameters
    ----------
    strategy : KerasTunerStrategy
    objectives : mapping of str to str
        What to look at: ``min`` or ``max`` of each name.
    epochs : int
        Most epochs of a trial.
    space : mapping
        As `keras_tuner.HyperParameters` has it in ``get_config()``.
    allows : callable
        Tells whether values may be tried.
    starts : sequence of dict
        Values to try first.
    used : callable, optional
        Returns those among values that count; all when left out.
    """
    named = [keras_tuner.Objective(name, direction) for name, direction in objectives.items()]
    arguments: dict[str, Any] = {
        "objective": named[0] if len(named) == 1 else named,
        "hyperparameters": keras_tuner.HyperParameters.from_config(space),
        "seed": strategy.seed,
        "max_retries_per_trial": strategy.max_retries_per_trial,
        "max_consecutive_failed_trials": strategy.max_consecutive_failed_trials,
    }
    if strategy.tuner == "hyperband":
        arguments |= {
            "max_epochs": strategy.max_epochs or epochs,
            "factor": strategy.argument("factor"),
            "hyperband_iterations": strategy.argument("hyperband_iterations"),
        }
    else:
        arguments["max_trials"] = strategy.trials
    if strategy.tuner == "bayesian":
        initial = strategy.num_initial_points or max(3, 3 * len(space["space"]))
        arguments |= {
            "num_initial_points": max(initial, len(starts)),
            "alpha": strategy.argument("alpha"),
            "beta": strategy.argument("beta"),
        }
    oracle = _ORACLES[strategy.tuner](**arguments)
    oracle.adapt(allows, starts, used)
    return oracle


class Memory:
    """The state of an oracle in a file.

    Parameters
    ----------
    file : Path
    fingerprint : mapping of str to str
        What the scores in it depend on, by names for people. A state with another one is set aside.
    """

    def __init__(self, file: Path, fingerprint: Mapping[str, str]) -> None:
        self._file = file
        self._fingerprint = dict(fingerprint)

    def save(self, oracle: Any) -> None:
        """Write the state."""
        trials = {
            trial_id: {
                "values": trial.hyperparameters.values,
                "metrics": trial.metrics.get_config(),
                "score": trial.score,
                "best_step": trial.best_step,
                "status": trial.status,
                "message": trial.message,
            }
            for trial_id, trial in oracle.trials.items()
        }
        content = {"fingerprint": self._fingerprint, "state": oracle.get_state(), "trials": trials}
        write_text(self._file, json.dumps(sealed(content, _plain)) + "\n")

    def load(self, oracle: Any, *, overwrite: bool = False) -> None:
        """Bring a new oracle to the state in the file, if there is one that belongs to it.

        Trials that were being trained are given out again first.
        """
        try:
            text = self._file.read_text(encoding="utf-8")
            content = unsealed(json.loads(text), needs_seal=False)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self._set_aside(f"can't be read ({error})")
            return
        if overwrite:
            self._set_aside("is to be overwritten (overwrite: true)")
            return
        found = content["fingerprint"]
        names = sorted(set(found) | set(self._fingerprint))
        other = [name for name in names if found.get(name) != self._fingerprint.get(name)]
        if other:
            self._set_aside(f"belongs to another search, which differs in {', '.join(other)}")
            return
        for trial_id, kept in content["trials"].items():
            oracle.trials[trial_id] = self._trial(oracle, trial_id, kept)
        oracle.set_state(content["state"])
        for trial in oracle.ongoing_trials.values():
            oracle._retry_queue.append(trial.trial_id)
        oracle.ongoing_trials = {}
        log.info("the search goes on after %d trials", len(oracle.end_order))

    @staticmethod
    def _trial(oracle: Any, trial_id: str, kept: Mapping[str, Any]) -> Any:
        hyperparameters = oracle.hyperparameters.copy()
        hyperparameters.values = kept["values"]
        config = {**kept, "trial_id": trial_id, "hyperparameters": hyperparameters.get_config()}
        return keras_tuner.engine.trial.Trial.from_state(config)

    def _set_aside(self, reason: str) -> None:
        number = 1
        while (target := self._file.with_name(f"{self._file.stem}-aside-{number}.json")).exists():
            number += 1
        self._file.rename(target)
        log.warning("the state of the search %s; set aside as %s", reason, target)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} in the state of an oracle")

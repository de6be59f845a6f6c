"""A model function is called to hear what it asks `hp` for.

A plain ``if``, or a loop over a number, tells nobody beforehand what it will ask for. So the
function is called, and listened to. What it has not asked for has no part in a configuration.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras_tuner
from typing_extensions import override

from gridfold.errors import GridfoldError
from gridfold.search.tuner.protocol import TuningFailed

log = logging.getLogger(__name__)

Values = dict[str, Any]
# Of a number with more values, both ends are tried: a loop has its longest there.
_MOST_TRIED = 5


class _Listening(keras_tuner.HyperParameters):
    """Hyperparameters that remember which of them were used, in that order."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__()
        self.values = dict(values)
        self.used: Values = {}

    def _retrieve(self, hp: Any) -> Any:
        value = super()._retrieve(hp)
        if self.is_active(hp):
            self.used[hp.name] = value
        return value

    @override
    def get(self, name: str) -> Any:
        value = super().get(name)
        self.used[self._get_name(name)] = value
        return value


class ModelFunction:
    """A model function of the user, called to hear what it asks for.

    Parameters
    ----------
    reference : str
        Its name, for people.
    build : callable
        Gets `hp`, and returns a model.
    fixed : mapping
        Values that are no part of a search.
    """

    def __init__(
        self, reference: str, build: Callable[[Any], Any], fixed: Mapping[str, Any]
    ) -> None:
        self.reference, self._build, self._fixed = reference, build, dict(fixed)
        self._known: list[Any] = []
        # Of a call: the first name that it used; for each value of it the next one, and so on.
        self._heard: dict[str, Any] = {}

    def asked_for(self, values: Mapping[str, Sequence[Any]]) -> list[Any]:
        """Return all hyperparameters that the function is found to ask for, parents first.

        Parameters
        ----------
        values : mapping
            For some of them all values that they may have here; empty for an interval.

        Raises
        ------
        TuningFailed
            When the function always fails.
        """
        listed = {name: choice for name, choice in values.items() if choice}
        waiting: list[Values] = [{}, {name: choice[0] for name, choice in listed.items()}]
        tried: list[Values] = []
        failures = []
        while waiting:
            given = waiting.pop(0)
            if given in tried:
                continue
            tried.append(given)
            hp, error = self._call(given)
            if error is not None:
                # As a trial it would fail, and the search would go on.
                failures.append(error)
                log.info("%s: %s: %s", given, type(error).__name__, error)
            waiting += [
                {**hp.used, **change}
                for parameter in self._new(hp.space)
                if parameter.name not in self._fixed
                for change in _changes(parameter, listed.get(parameter.name))
            ]
        if len(failures) == len(tried):
            kind = type(failures[0]).__name__
            raise TuningFailed(f"{self.reference} fails: {kind}: {failures[0]}") from failures[0]
        return [parameter for parameter in self._known if parameter.name not in self._fixed]

    def _new(self, space: Sequence[Any]) -> list[Any]:
        """Take note of what was not asked for before, after what was asked for before it."""
        new, place = [], 0
        for parameter in space:
            same = [
                i
                for i, known in enumerate(self._known)
                if (known.name, known.conditions) == (parameter.name, parameter.conditions)
            ]
            if same:
                place = max(place, same[0] + 1)
            else:
                self._known.insert(place, parameter)
                place += 1
                new.append(parameter)
        return new

    def used(self, values: Mapping[str, Any]) -> set[str]:
        """Return the names among `values` that count in the model that the function builds.

        A name that the function never asks for counts, too: it is a mistake, which the trial will
        tell. So does everything where the function fails.
        """
        names = {parameter.name for parameter in self._known}
        heard = self._recalled(values)
        if heard is None:
            hp, error = self._call(values)
            if error is not None:
                return set(values)
            heard = list(hp.used)
            self._remember(values, heard)
        return {name for name in values if name in heard or name not in names}

    def _recalled(self, values: Mapping[str, Any]) -> list[str] | None:
        """Return what a call with the same values of all that it used has used."""
        here, used = self._heard, []
        while here and "name" in here:
            used.append(here["name"])
            here = here["then"].get(_key(values, here["name"]))
        return used if here else None

    def _remember(self, values: Mapping[str, Any], used: Sequence[str]) -> None:
        here = self._heard
        for name in used:
            here.setdefault("name", name)
            here = here.setdefault("then", {}).setdefault(_key(values, name), {})
        here.setdefault("ended", True)

    def _call(self, values: Mapping[str, Any]) -> tuple[_Listening, Exception | None]:
        hp = _Listening({**self._fixed, **values})
        try:
            self._build(hp)
        except GridfoldError:
            raise
        except Exception as error:
            return hp, error
        return hp, None


def _key(values: Mapping[str, Any], name: str) -> str:
    # Without a value, the function's own default.
    return repr(values[name]) if name in values else ""


def _changes(parameter: Any, allowed: Sequence[Any] | None) -> list[Values]:
    """Return changes under which a function may ask for what it has not asked for before."""
    parents = {condition.name: condition.values[0] for condition in parameter.conditions}
    values = list(parameter.values) if allowed is None else list(allowed)
    if len(values) > _MOST_TRIED and not isinstance(values[0], str):
        values = [min(values), max(values)]
    return [{**parents, parameter.name: value} for value in values]

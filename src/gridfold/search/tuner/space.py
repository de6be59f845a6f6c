"""Turn the search space into Keras Tuner's hyperparameters, and values into configurations.

Keras Tuner chooses from numbers, text and switches of one type. Axes with other values (lists,
null, types that mix), and axes that move together, are one choice among texts: the values' JSON.
A condition (``when``) becomes a conditional scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gridfold.canonical import canonical, canonical_json, short_id
from gridfold.space.axes import count_values, discrete_values
from gridfold.space.space import Assignment, BadCombination, Configuration, Space
from gridfold.study.sections.search import Axis

Values = dict[str, Any]
_FAMILY, PYTHON = "model", "python"
# What an oracle says about how to train is no axis.
_OWN_PREFIX = "tuner/"


@dataclass(frozen=True)
class TunedParameter:
    """One hyperparameter of the tuner.

    Attributes
    ----------
    name : str
        Name of the axis; of axes that move together, all their names.
    axes : tuple of str
        Names of the axes that it sets.
    codes : list
        What the tuner chooses from; empty for an interval.
    values : list of tuple
        For each code, a value of each axis.
    interval : Axis or None
        The axis, if it is an interval.
    """

    name: str
    axes: tuple[str, ...]
    codes: list[Any]
    values: list[tuple[Any, ...]]
    interval: Axis | None = None

    def decode(self, code: Any) -> Assignment:
        """Return the values of the axes."""
        if self.interval is not None:
            return {self.name: _snapped(self.interval, code)}
        return dict(zip(self.axes, self.values[self.codes.index(code)], strict=True))

    def encode(self, assignment: Mapping[str, Any]) -> Any:
        """Return the code for the values of the axes.

        Raises
        ------
        ValueError
            When the tuner can't choose them.
        """
        wanted = [assignment[name] for name in self.axes]
        if self.interval is None:
            return self.codes[[canonical(list(v)) for v in self.values].index(canonical(wanted))]
        bounds = self.interval.form_value(self.interval.form)
        [value] = wanted
        number = float(value) if self.interval.form == "float" else int(value)
        if not bounds.min <= number <= bounds.max or _snapped(self.interval, number) != value:
            raise ValueError(f"{value} is not in the interval")
        return number


class TuningSpace:
    """A search space as a tuner sees it.

    Parameters
    ----------
    space : Space
    as_grid : bool
        Whether intervals of whole numbers are lists of values.
    """

    def __init__(self, space: Space, *, as_grid: bool = False) -> None:
        self._space, self._as_grid = space, as_grid
        parameters = [self._parameter(group, as_grid=as_grid) for group in space.groups]
        families = list(space.model.families)
        if len(families) > 1:
            parameters.insert(
                0, TunedParameter(_FAMILY, (_FAMILY,), families, [(name,) for name in families])
            )
        self.parameters = {parameter.name: parameter for parameter in parameters}
        self._owners = {axis: parameter for parameter in parameters for axis in parameter.axes}

    def _parameter(self, group: Sequence[str], *, as_grid: bool) -> TunedParameter:
        axis = self._space.search.space[group[0]]
        is_listed = axis.form not in ("int", "float") or count_values(axis) == 1
        if len(group) == 1 and not is_listed and not (as_grid and axis.form == "int"):
            return TunedParameter(group[0], tuple(group), [], [], axis)
        columns = [discrete_values(self._space.search.space[name]) for name in group]
        values = list(zip(*columns, strict=True))
        plain = values if len(group) > 1 else [value for (value,) in values]
        return TunedParameter(" + ".join(group), tuple(group), _codes(plain), values)

    # -- to the tuner ----------------------------------------------------------------------------

    def config(
        self, others: Sequence[Mapping[str, Any]] = (), order: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Return the space as ``keras_tuner.HyperParameters.from_config`` reads it.

        Parameters
        ----------
        others : sequence of mapping
            Hyperparameters that the model function asks for, see :meth:`adopted`.
        order : sequence of str
            In which it asks. A grid changes the last ones first, and must know what they hang on.
        """
        entries: list[Mapping[str, Any]] = [*map(self._entry, self.parameters.values()), *others]
        return {"space": _ordered(entries, order) if self._as_grid else entries, "values": {}}

    def entries(self) -> list[Mapping[str, Any]]:
        """Return the same hyperparameters, each after those that its conditions are about."""
        return _ordered([*map(self._entry, self.parameters.values())], ())

    def has_order(self, name: str) -> bool:
        """Tell whether the values of a hyperparameter have an order: numbers, not of a `choice`."""
        parameter = self.parameters[name]
        if parameter.interval is not None:
            return True
        plain = all(isinstance(code, int | float) for code in parameter.codes)
        axis = self._space.search.space.get(parameter.axes[0])
        return plain and axis is not None and axis.form != "choice"

    def _entry(self, parameter: TunedParameter) -> dict[str, Any]:
        config: dict[str, Any] = {
            "name": parameter.name,
            "conditions": list(self._conditions(parameter)),
        }
        if parameter.interval is not None:
            kind, numbers = _interval(parameter.interval)
            return {"class_name": kind, "config": config | numbers}
        if len(parameter.codes) == 1:
            return {"class_name": "Fixed", "config": config | {"value": parameter.codes[0]}}
        ordered = parameter.interval is None and not isinstance(parameter.codes[0], str)
        choice = {"values": parameter.codes, "ordered": ordered, "default": None}
        return {"class_name": "Choice", "config": config | choice}

    def _conditions(self, parameter: TunedParameter) -> Iterator[dict[str, Any]]:
        if parameter.name == _FAMILY:
            return
        families = [
            f for f in self._space.model.families if self._space.suits(parameter.axes[0], f)
        ]
        if len(families) < len(self._space.model.families):
            yield _parent(_FAMILY, families)
        for key, accepted in self._space.conditions(parameter.axes[0]).items():
            owner = self._owners.get(key)
            if owner is not None:
                yield _parent(owner.name, _matching(owner, key, accepted))

    def adopted(self, asked: Sequence[Any]) -> list[dict[str, Any]]:
        """Return what a model function asks for and this space has not, ready for :meth:`config`.

        Parameters
        ----------
        asked : sequence of keras_tuner.engine.hyperparameters.HyperParameter
            All that the function is found to ask for.
        """
        new = []
        families = list(self._space.model.families)
        of_family = [_parent(_FAMILY, [PYTHON])] if len(families) > 1 else []
        for parameter in asked:
            kind, name = type(parameter).__name__, f"{PYTHON}.{parameter.name}"
            if name in self._owners or kind == "Fixed":
                continue
            conditions = [
                _parent(
                    self._owned(f"{PYTHON}.{condition.name}"),
                    self._known_codes(f"{PYTHON}.{condition.name}", condition.values),
                )
                for condition in parameter.conditions
            ]
            config = {
                **parameter.get_config(),
                "name": name,
                "conditions": [*of_family, *conditions],
            }
            new.append({"class_name": kind, "config": config})
        return new

    def _owned(self, name: str) -> str:
        return self._owners[name].name if name in self._owners else name

    def listed_values(self) -> dict[str, list[Any]]:
        """Return the values of each axis of the model function, by its name there.

        Empty for an interval.
        """
        return {
            name.partition(".")[2]: self._space.values.get(name, [])
            for name in self._owners
            if name.startswith(f"{PYTHON}.")
        }

    def used(self, values: Values, asks: Callable[[Values], set[str]]) -> Values:
        """Return those of a tuner's values that count.

        Parameters
        ----------
        values : dict
        asks : callable
            Returns the names that the model function uses, of names and values that it is given.
        """
        assignment = self.assignment(values)
        if assignment[_FAMILY] != PYTHON:
            return dict(values)
        own = {
            name.partition(".")[2]: value
            for name, value in assignment.items()
            if name.startswith(f"{PYTHON}.")
        }
        idle = {f"{PYTHON}.{name}" for name in set(own) - asks(own)}
        return {name: code for name, code in values.items() if not self._axes(name) <= idle}

    def _axes(self, name: str) -> set[str]:
        return set(self.parameters[name].axes) if name in self.parameters else {name}

    def _known_codes(self, name: str, values: Sequence[Any]) -> list[Any]:
        parameter = self._owners.get(name)
        if parameter is None or parameter.interval is not None:
            return list(values)
        return _matching(parameter, name, frozenset(map(canonical_json, values)))

    def values_of(self, assignment: Mapping[str, Any]) -> Values:
        """Return the tuner's values for one combination of axis values.

        Raises
        ------
        ValueError
            When the tuner can't choose them.
        """
        values = {}
        for parameter in self.parameters.values():
            if all(name in assignment for name in parameter.axes):
                values[parameter.name] = parameter.encode(assignment)
        return values

    # -- from the tuner --------------------------------------------------------------------------

    def assignment(self, values: Mapping[str, Any]) -> Assignment:
        """Return the axis values that the tuner's values stand for."""
        found: Assignment = {_FAMILY: self._space.model.families[0]}
        for name, code in values.items():
            if name in self.parameters:
                found.update(self.parameters[name].decode(code))
            elif not name.startswith(_OWN_PREFIX):
                found[name] = code
        return found

    def configuration(self, values: Mapping[str, Any], execution: int = 0) -> Configuration:
        """Resolve the tuner's values.

        Parameters
        ----------
        values : mapping
        execution : int
            Number of the training with the same values, from 0; each has its own seed.

        Raises
        ------
        BadCombination
            With what is wrong with them.
        """
        configuration = self._space.configuration(self.assignment(values))
        if execution == 0:
            return configuration
        training = configuration.settings["training"]
        seeded = {**training, "seed": training["seed"] + execution}
        settings = {**configuration.settings, "training": seeded}
        return replace(configuration, id=short_id(settings), settings=settings)

    def allows(self, values: Mapping[str, Any]) -> bool:
        """Tell whether the tuner's values make a configuration that is not excluded."""
        if self._space.is_excluded(self.assignment(values)):
            return False
        try:
            self.configuration(values)
        except BadCombination:
            return False
        return True


def _ordered(entries: Sequence[Mapping[str, Any]], order: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return entries with conditions after what they depend on and, if it can be, in `order`."""
    names = {entry["config"]["name"] for entry in entries}
    placed: list[Mapping[str, Any]] = []
    waiting = list(entries)
    while waiting:
        open_names = {entry["config"]["name"] for entry in waiting}

        def parents_placed(entry: Mapping[str, Any], waiting: set[str] = open_names) -> bool:
            parents = {c["config"]["name"] for c in entry["config"]["conditions"]}
            return not parents & names & waiting

        def in_turn(entry: Mapping[str, Any], waiting: set[str] = open_names) -> bool:
            name = entry["config"]["name"]
            before = order[: order.index(name)] if name in order else []
            return parents_placed(entry) and not set(before) - {name} & waiting

        ready = list(filter(in_turn, waiting)) or list(filter(parents_placed, waiting))
        placed.append(ready[0])
        waiting.remove(ready[0])
    return placed


def _codes(values: Sequence[Any]) -> list[Any]:
    kinds = {type(value) for value in values}
    if kinds in ({int}, {float}, {str}, {int, float}) and len(set(values)) == len(values):
        return [float(v) for v in values] if kinds == {int, float} else list(values)
    return [canonical_json(value) for value in values]


def _matching(parameter: TunedParameter, axis: str, accepted: frozenset[str]) -> list[Any]:
    """Return the codes for which an axis of a parameter has one of the `accepted` JSON texts."""
    if parameter.interval is not None:
        return [v for v in discrete_values(parameter.interval) if canonical_json(v) in accepted]
    position = parameter.axes.index(axis)
    pairs = zip(parameter.codes, parameter.values, strict=True)
    return [code for code, value in pairs if canonical_json(value[position]) in accepted]


def _parent(name: str, values: list[Any]) -> dict[str, Any]:
    return {"class_name": "Parent", "config": {"name": name, "values": values}}


def _interval(axis: Axis) -> tuple[str, dict[str, Any]]:
    bounds = axis.form_value(axis.form)
    numbers = {
        "min_value": bounds.min,
        "max_value": bounds.max,
        "step": None,
        "sampling": "log" if bounds.log else "linear",
        "default": None,
    }
    if axis.form == "float":
        return "Float", numbers
    numbers["max_value"] = bounds.max - (bounds.max - bounds.min) % bounds.step
    if not bounds.log:
        # On a logarithmic scale Keras Tuner's step is a factor; ours is a difference everywhere.
        numbers["step"] = bounds.step
    return "Int", numbers


def _snapped(axis: Axis, number: Any) -> Any:
    """Return the value of an interval that is nearest to a number."""
    if axis.form == "float":
        return float(number)
    bounds = axis.form_value("int")
    return bounds.min + round((number - bounds.min) / bounds.step) * bounds.step

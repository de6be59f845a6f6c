"""`Space` resolves and validates each configuration and names it by its content."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from pydantic import ValidationError

from gridfold.canonical import canonical, canonical_json, short_id_of_canonical
from gridfold.errors import Problem, format_path
from gridfold.space.axes import count_values, discrete_values, sample
from gridfold.space.sampling import Sampled, points
from gridfold.study import Study
from gridfold.study.sections.base import Section, affects_result, is_late_addition
from gridfold.study.sections.data import DataSource
from gridfold.study.sections.explain import problems_of, shown
from gridfold.study.sections.model import FAMILIES, FUNCTION_FAMILIES, Cnn, Mlp, Model, widths
from gridfold.study.sections.problem import ProblemSection
from gridfold.study.sections.search import Axis, Search
from gridfold.study.sections.training import XLA_AXES, Training

Assignment = dict[str, Any]
# The canonical values that each key may have.
_Matcher = dict[str, frozenset[str]]


@dataclass(frozen=True)
class Configuration:
    """One point of the search space, fully resolved.

    Attributes
    ----------
    id : str
        First 12 hex digits of the SHA-256 of the canonical JSON of `settings`.
    axes : dict
        The value of each axis that is active here, ``model`` (the family) first.
    settings : dict
        Everything that can change the result of a trial, canonical.
    epochs : int
        Epochs that are asked for; not part of the id unless ``training.epochs`` is an axis.
    """

    id: str
    axes: Assignment
    settings: dict[str, Any]
    epochs: int

    @property
    def label(self) -> str:
        """The axis values in one line, for people."""
        values = [f"{key.rpartition('.')[2]}={shown_value(v)}" for key, v in self.axes.items()]
        return " ".join([str(self.axes["model"]), *values[1:]])


@dataclass(frozen=True)
class Expansion:
    """The configurations of a search space, and the combinations that were left out.

    Attributes
    ----------
    configurations : list of Configuration
        Configurations, no two of them alike.
    duplicates : list of dict
        Axis values that led to a configuration already there, left out.
    """

    configurations: list[Configuration]
    duplicates: list[Assignment] = field(default_factory=list)


def shown_value(value: Any) -> str:
    """Return an axis value in short form for labels."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "-".join(shown_value(item) for item in value)
    return shown(value).strip('"')


class Space:
    """The search space of a study.

    Parameters
    ----------
    search, model, training, problem, data
        The sections of a study.
    """

    def __init__(
        self,
        search: Search,
        model: Model,
        training: Training,
        problem: ProblemSection,
        data: DataSource,
    ) -> None:
        self.search, self.model, self.training = search, model, training
        # As written, defaults left out, so that an axis meets only what the user has set.
        self.sections = {
            family: getattr(model, family).model_dump(by_alias=True, exclude_unset=True)
            for family in model.families
        }
        self.sections["training"] = training.model_dump(by_alias=True, exclude_unset=True)
        self._common = {
            "problem": {
                "type": problem.type,
                "output_activation": problem.output_activation or problem.kind.activation,
                "loss": problem.loss or problem.kind.loss,
            },
            "preprocessing": data.preprocessing(),
        }
        self.values = {
            name: discrete_values(axis)
            for name, axis in search.space.items()
            if axis.form != "float" and (count_values(axis) or 0) <= search.max_configurations
        }
        self._when = {name: self._matcher(axis.when or {}) for name, axis in search.space.items()}
        self._exclude = [self._matcher(condition) for condition in search.exclude]

    @classmethod
    def of(cls, study: Study) -> Space:
        """Return the space of a study."""
        return cls(study.search, study.model, study.training, study.problem, study.data)

    def kind(self, section: str) -> type[Section]:
        """Return the model of a section that axes can set."""
        return Training if section == "training" else type(getattr(self.model, section))

    def upper_bound(self) -> int | None:
        """Return the size of the full product, or None with an interval.

        Conditions and exclusions are ignored. For a space without problems only.
        """
        total = 0
        groups = [group[0] for group in self.groups]
        for family in self.model.families:
            count = 1
            for name in groups:
                values = count_values(self.search.space[name])
                if values is None:
                    return None
                if not _is_of_another_family(name, family):
                    count *= values
            total += count
        return total

    @cached_property
    def groups(self) -> list[list[str]]:
        """Axes that move together, in an order in which conditions can be decided."""
        zipped = {name: group for group in self.search.zip for name in group}
        groups: list[list[str]] = []
        for name in self.search.space:
            group = zipped.get(name, [name])
            if group not in groups:
                groups.append(group)
        placed, ordered = {"model"}, []
        while groups:
            ready = [g for g in groups if set(self.search.space[g[0]].when or {}) <= placed]
            for group in ready:
                placed.update(group)
                groups.remove(group)
            ordered.extend(ready)
        return ordered

    def product(self) -> Iterator[Assignment]:
        """Yield every combination that the conditions allow."""
        groups = self.groups

        def extend(assignment: Assignment, position: int) -> Iterator[Assignment]:
            if position == len(groups):
                yield assignment
                return
            group = groups[position]
            if not self._is_active(group[0], assignment):
                yield from extend(assignment, position + 1)
                return
            for values in zip(*(self.values[name] for name in group), strict=True):
                chosen = dict(zip(group, values, strict=True))
                yield from extend(assignment | chosen, position + 1)

        for family in self.model.families:
            yield from extend({"model": family}, 0)

    def draws(self, strategy: Sampled) -> Iterator[Assignment]:
        """Yield different combinations, drawn as `strategy` says; many more than `n` if any."""
        groups, families = self.groups, self.model.families
        axes = ["model", *(group[0] for group in groups)]
        seen = set()
        for point in itertools.islice(points(strategy, axes), 1000 + 100 * strategy.n):
            assignment: Assignment = {"model": families[int(point("model") * len(families))]}
            for group in groups:
                if self._is_active(group[0], assignment):
                    u = point(group[0])
                    for name in group:
                        assignment[name] = self._drawn(name, u)
            key = canonical_json(assignment)
            if key not in seen:
                seen.add(key)
                yield assignment

    def _drawn(self, name: str, u: float) -> Any:
        axis = self.search.space[name]
        if axis.form in ("int", "float") and not self._is_zipped(name):
            return sample(axis, u)
        values = self.values[name]
        return values[int(u * len(values))]

    def _is_zipped(self, name: str) -> bool:
        return any(name in group for group in self.search.zip)

    def suits(self, name: str, family: str) -> bool:
        """Tell whether an axis belongs to a family, as all of them have those of `training`."""
        return not _is_of_another_family(name, family)

    def conditions(self, name: str) -> Mapping[str, frozenset[str]]:
        """Return for each axis in ``when`` the canonical values that it may have."""
        return self._when[name]

    def _is_active(self, name: str, assignment: Assignment) -> bool:
        if _is_of_another_family(name, assignment["model"]):
            return False
        return _holds(self._when[name], assignment)

    def completed(self, assignment: Assignment) -> Assignment:
        """Return `assignment` with exactly the axes that its own values make active.

        An axis that becomes active gets its middle value.
        """
        result: Assignment = {"model": assignment["model"]}
        for group in self.groups:
            if self._is_active(group[0], result):
                for name in group:
                    known = name in assignment
                    result[name] = assignment[name] if known else self._drawn(name, 0.5)
        return result

    def is_excluded(self, assignment: Assignment) -> bool:
        """Tell whether one of the exclusions holds."""
        return any(_holds(condition, assignment) for condition in self._exclude)

    def _matcher(self, condition: dict[str, Any]) -> _Matcher:
        return {
            key: frozenset(
                canonical_json(value)
                for value in alternatives(wanted, self.values.get(key, self.model.families))
            )
            for key, wanted in condition.items()
        }

    def configuration(self, assignment: Assignment) -> Configuration:
        """Resolve one combination of axis values.

        Raises
        ------
        BadCombination
            With what is wrong with it.
        """
        family = assignment["model"]
        raw = {"training": self.sections["training"], family: self.sections[family]}
        for name, value in assignment.items():
            section, _, rest = name.partition(".")
            if section in FUNCTION_FAMILIES:
                hp = {**raw[section].get("hp", {}), rest: value}
                raw[section] = {**raw[section], "hp": hp}
            elif rest:
                raw[section] = with_value(raw[section], tuple(rest.split(".")), value)
        training, network = self._validated(family, raw)
        settings: dict[str, Any] = {
            **self._common,
            "model": {"family": family, **_effective(network), **_layer_widths(network)},
            "training": _effective(training),
        }
        if family == "application":
            # Its own preprocessing of pixels is part of the model.
            settings["preprocessing"] = {**self._common["preprocessing"], "normalise": "none"}
        if training.distribution.world_size == 1:
            # All backends are the same training then, and so one configuration.
            settings["training"].pop("distribution", None)
        if "training.epochs" in assignment:
            settings["training"]["epochs"] = training.epochs
        if training.schedule.kind == "cosine":
            # The decay spans the epochs that were asked for, so here they change the result.
            settings["training"]["schedule"]["epochs"] = training.epochs
        settings = canonical(settings)
        return Configuration(short_id_of_canonical(settings), assignment, settings, training.epochs)

    def _validated(self, family: str, raw: dict[str, Any]) -> tuple[Training, Section]:
        problems: list[Problem] = []
        training, network = (
            _validated(kind, name, raw[name], problems)
            for kind, name in ((Training, "training"), (self.kind(family), family))
        )
        if not (isinstance(training, Training) and network):
            raise BadCombination(problems)
        # Without an axis of them it is the section's own mistake, and told of there.
        if training.unmet_request and XLA_AXES & set(self.search.space):
            found, allowed = training.unmet_request
            raise BadCombination([Problem(("search", "space"), f"training: {found}", allowed)])
        return training, network


class BadCombination(Exception):
    """Values that are valid one by one but not together."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__()
        self.problems = problems


def _validated(
    kind: type[Section], name: str, raw: dict[str, Any], problems: list[Problem]
) -> Section | None:
    """Return the section, or None and what is wrong with it in `problems`."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        for problem in problems_of(error, kind, raw):
            where = f"{format_path((name, *problem.path))}: " if problem.path else ""
            problems.append(
                Problem(("search", "space"), f"{where}{problem.found}", problem.allowed)
            )
        return None


def _is_of_another_family(axis: str, family: str) -> bool:
    section = axis.partition(".")[0]
    return section in FAMILIES and section != family


def _holds(condition: _Matcher, assignment: Assignment) -> bool:
    return all(
        key in assignment and canonical_json(assignment[key]) in accepted
        for key, accepted in condition.items()
    )


def _layer_widths(network: Section) -> dict[str, list[int]]:
    """Return widths written out for each layer, so that two spellings of a network are one."""
    if isinstance(network, Mlp):
        return {"units": widths(network.units, network.layers)}
    if isinstance(network, Cnn):
        return {
            "filters": widths(network.filters, network.blocks),
            "dense_units": widths(network.dense_units, int(network.dense_units != 0)),
        }
    return {}


def _effective(section: Section) -> dict[str, Any]:
    """Return the fields of a section that can change a result."""
    effective = _effective_fields(type(section))
    return {name: value for name, value in _without_late(section).items() if name in effective}


def _without_late(section: Section) -> dict[str, Any]:
    """Return the fields of a section, late additions only where they differ from their default."""
    late = _late_defaults(type(section))
    found = {}
    for name, value in section.model_dump(by_alias=True).items():
        own = getattr(section, name, None)
        if name in late and own == late[name]:
            continue
        found[name] = _without_late(own) if isinstance(own, Section) else value
    return found


# What is the same for all sections of a kind is asked once, not for each of many configurations.
@lru_cache
def _effective_fields(kind: type[Section]) -> frozenset[str]:
    return frozenset(name for name in kind.model_fields if affects_result(kind, name))


@lru_cache
def _late_defaults(kind: type[Section]) -> dict[str, Any]:
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in kind.model_fields.items()
        if is_late_addition(kind, name)
    }


def with_value(section: dict[str, Any], keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return a copy of `section` with `value` at the nested `keys`."""
    head, rest = keys[0], keys[1:]
    if not rest:
        return {**section, head: value}
    inner = section.get(head)
    return {**section, head: with_value(inner if isinstance(inner, dict) else {}, rest, value)}


def alternatives(wanted: Any, possible: list[Any]) -> list[Any]:
    """Read a condition's value: a list means any of its items, unless the axis holds lists."""
    if isinstance(wanted, list) and canonical(wanted) not in canonical(possible):
        return wanted
    return [wanted]


def describe_axis(name: str, axis: Axis) -> str:
    """Return one line that says what an axis holds, for `gridfold plan`."""
    count = count_values(axis)
    size = "an interval" if count is None else f"{count} value{'s' * (count != 1)}"
    when = f", when {axis.when}" if axis.when else ""
    return f"{format_path((name,))}: {size}, {axis.role}{when}"

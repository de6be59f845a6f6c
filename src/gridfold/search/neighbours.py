"""The neighbours of a configuration: what a refining round tries around the best so far."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gridfold.canonical import canonical_json
from gridfold.space.axes import count_values
from gridfold.space.space import Assignment, BadCombination, Configuration, Space
from gridfold.study.sections.search import Axis

# Of an interval, in the first round and before `refine.step`: as if it had five values.
_INTERVAL_PART = 0.25
# Two values of which one is that many times the other are taken for steps of a logarithmic axis.
_LOG_RATIO = 3.0


def neighbourhood(
    space: Space, centres: Sequence[Assignment], step: float, *, swap: bool, most: int
) -> list[Configuration]:
    """Return the centres and configurations around them, all different.

    Parameters
    ----------
    space : Space
    centres : sequence of dict
        Axis values of the best configurations, best first.
    step : float
        Distance of neighbours as a part of the distance between the values of an axis.
    swap : bool
        Whether values without an order are exchanged, too.
    most : int
        Configurations at most.

    Notes
    -----
    First the centres, then what differs from them in one axis, then what differs in two; each time
    in turn for all centres, so that a small `most` leaves none of them without neighbours.
    """
    moves = [list(_moves(space, centre, step, swap=swap)) for centre in centres]
    singles = _in_turn([[move] for move in beside] for beside in moves)
    pairs = _in_turn(
        [
            list(pair)
            for pair in itertools.combinations(around, 2)
            if not set(pair[0]) & set(pair[1])
        ]
        for around in moves
    )
    found: dict[str, Configuration] = {}
    wanted = itertools.chain(((number, []) for number in range(len(centres))), singles, pairs)
    for number, changes in wanted:
        if len(found) == most:
            break
        centre = centres[number]
        changed = centre | {name: v for move in changes for name, v in move.items()}
        assignment = _kept(space, centre) | space.completed(changed)
        for name in _unused(space, centre):
            assignment.pop(name, None)
        if space.is_excluded(assignment):
            continue
        try:
            configuration = space.configuration(assignment)
        except BadCombination:
            continue
        found.setdefault(configuration.id, configuration)
    return list(found.values())


def _kept(space: Space, centre: Assignment) -> Assignment:
    """Return the values that a model function has asked for by itself, which are no axes."""
    return {name: v for name, v in centre.items() if name not in space.search.space}


def _unused(space: Space, centre: Assignment) -> set[str]:
    """Return the axes that could be active at a centre, and that its model had no use for."""
    return set(space.completed(centre)) - set(centre)


def _in_turn(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, Any]]:
    """Yield the first of each centre, then the second of each, and so on, with the centre."""
    for row in itertools.zip_longest(*rows):
        yield from ((number, item) for number, item in enumerate(row) if item is not None)


def _moves(
    space: Space, centre: Assignment, step: float, *, swap: bool
) -> Iterator[dict[str, Any]]:
    """Yield what can be changed at a centre, one axis (or zipped group) at a time."""
    for group in space.groups:
        if group[0] not in centre:
            continue
        if len(group) > 1:
            yield from _rows_beside(space, group, centre)
            continue
        name = group[0]
        axis, value = space.search.space[name], centre[name]
        if is_numeric(axis):
            yield from (
                {name: other} for other in around(axis, space.values.get(name), value, step)
            )
        elif swap:
            own = canonical_json(value)
            yield from ({name: v} for v in space.values[name] if canonical_json(v) != own)


def _rows_beside(
    space: Space, group: Sequence[str], centre: Assignment
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a zipped group before and after the one of the centre."""
    rows = list(zip(*(space.values[name] for name in group), strict=True))
    own = canonical_json([centre[name] for name in group])
    place = next((i for i, row in enumerate(rows) if canonical_json(list(row)) == own), None)
    if place is not None:
        for other in (place - 1, place + 1):
            if 0 <= other < len(rows):
                yield dict(zip(group, rows[other], strict=True))


def is_numeric(axis: Axis) -> bool:
    """Tell whether the values of `axis` have an order in which there is something between them."""
    if axis.form == "choice":
        return False
    if axis.form == "grid":
        values = axis.form_value("grid")
        return len(values) > 1 and all(
            isinstance(v, int | float) and not isinstance(v, bool) for v in values
        )
    return count_values(axis) != 1


def around(axis: Axis, values: Sequence[Any] | None, value: Any, step: float) -> list[Any]:
    """Return the values of a numeric axis below and above `value`, within the axis' range.

    Parameters
    ----------
    axis : Axis
    values : sequence or None
        Those of the axis; None for a real interval.
    value : number
    step : float
        As a part of the distance to the next value, or of a quarter of an interval; on a
        logarithmic axis of the quotient.
    """
    if axis.form in ("int", "float"):
        return _around_in_interval(axis, value, step)
    assert values is not None
    ordered = sorted(set(values))
    log = axis.form == "logspace" or _looks_logarithmic(ordered)
    whole = all(isinstance(v, int) for v in values)
    found = []
    for side in (-1, 1):
        gap = _gap(ordered, value, side, log=log)
        other = _moved(value, side * step * gap, log=log)
        other = min(max(other, ordered[0]), ordered[-1])
        found.append(_number(other, whole=whole))
    return [v for v in found if v != value]


def _around_in_interval(axis: Axis, value: Any, step: float) -> list[Any]:
    interval = axis.form_value(axis.form)
    low, high = interval.min, interval.max
    width = (math.log(high) - math.log(low)) if interval.log else float(high) - float(low)
    found = []
    for side in (-1, 1):
        other = _moved(value, side * step * _INTERVAL_PART * width, log=interval.log)
        other = min(max(other, low), high)
        if axis.form == "int":
            # On the values of the axis, and at least the next one.
            steps = round((other - low) / interval.step)
            own = round((value - low) / interval.step)
            steps = max(steps, own + 1) if side > 0 else min(steps, own - 1)
            other = low + steps * interval.step
            if low <= other <= high:
                found.append(other)
        else:
            found.append(_number(other, whole=False))
    return [v for v in found if v != value]


def _gap(ordered: Sequence[Any], value: Any, side: int, *, log: bool) -> float:
    """Return the distance between the values that enclose what lies beside `value`.

    Differences of values, or of their logarithms. At the end of the axis, where nothing lies beyond
    it, the distance on the other side.
    """
    scale = [math.log(v) if log else float(v) for v in ordered]
    here = math.log(value) if log else float(value)
    # A value from an earlier round lies between two of the axis.
    upper = next((i for i, v in enumerate(scale) if v > here), len(scale) - 1)
    lower = next((i for i in reversed(range(len(scale))) if scale[i] < here), 0)
    if here in scale:
        place = scale.index(here)
        upper = min(place + 1, len(scale) - 1)
        lower = max(place - 1, 0)
        other = upper if side > 0 else lower
        if other == place:
            other = lower if side > 0 else upper
        return abs(scale[other] - here)
    return abs(scale[upper] - scale[lower])


def _looks_logarithmic(ordered: Sequence[Any]) -> bool:
    """Tell whether quotients of neighbouring values vary less than their differences."""
    if ordered[0] <= 0:
        return False
    if len(ordered) == 2:
        return bool(ordered[1] / ordered[0] >= _LOG_RATIO)
    differences = [b - a for a, b in itertools.pairwise(ordered)]
    quotients = [math.log(b / a) for a, b in itertools.pairwise(ordered)]
    return bool(max(quotients) / min(quotients) < max(differences) / min(differences))


def _moved(value: float, distance: float, *, log: bool) -> float:
    return value * math.exp(distance) if log else value + distance


def _number(value: float, *, whole: bool) -> Any:
    # Twelve digits: 0.15000000000000002 is 0.15, in its id as in a table.
    return round(value) if whole else float(f"{value:.12g}")

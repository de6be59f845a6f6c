"""Names what early stopping looks at, in the settings of a study and on its axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gridfold.errors import KeyPath
from gridfold.study.sections.search import Search
from gridfold.study.sections.training import EarlyStopping, Training

_SECTION = "training.early_stopping"
INNER_FRACTION = f"{_SECTION}.inner_fraction"


def monitors(training: Training, search: Search) -> Iterator[tuple[KeyPath, str]]:
    """Yield each monitor of early stopping, and where the study names it."""
    if training.early_stopping is not None:
        yield ("training", "early_stopping", "monitor"), training.early_stopping.monitor
    for name, axis in search.space.items():
        if name not in (_SECTION, f"{_SECTION}.monitor"):
            continue
        for position, value in enumerate(axis.grid or axis.choice or []):
            path: KeyPath = ("search", "space", name, axis.form, position)
            if isinstance(value, Mapping):
                path, value = (*path, "monitor"), value.get("monitor")
            # Anything else has no monitor, or is refused as the value of an axis.
            if isinstance(value, str):
                yield path, value


def inner_fractions(training: Training, search: Search) -> list[float]:
    """Return the shares of training parts that early stopping may look at, ascending."""
    own = training.early_stopping or EarlyStopping()
    found = {own.inner_fraction} if own.on == "inner" else set()
    for name, axis in search.space.items():
        for value in axis.grid or axis.choice or []:
            if name == f"{_SECTION}.on" and value == "inner":
                found.add(own.inner_fraction)
            elif name == _SECTION and isinstance(value, Mapping) and value.get("on") == "inner":
                share = value.get("inner_fraction", EarlyStopping().inner_fraction)
                # Anything else is refused as the value of an axis.
                found |= {float(share)} if isinstance(share, int | float) else set()
    return sorted(found)

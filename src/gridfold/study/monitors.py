"""Names what early stopping looks at, in the settings of a study and on its axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gridfold.errors import KeyPath
from gridfold.study.sections.search import Search
from gridfold.study.sections.training import Training

_SECTION = "training.early_stopping"


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

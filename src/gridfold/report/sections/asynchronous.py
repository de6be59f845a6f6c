"""What the report says of a Hyperband whose rungs did not wait for each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from gridfold.space.hyperband import Rung, schedule
from gridfold.wording import counted, listed


def asynchrony(steps: pd.DataFrame, study: Mapping[str, Any]) -> Iterator[str]:
    """Say that a search was asynchronous, and by how much its rungs differ from the schedule.

    Parameters
    ----------
    steps : DataFrame
        The search table.
    study : mapping
        The whole study.

    Yields
    ------
    str
        Nothing for any other search.
    """
    strategy = study["search"]["strategy"]
    if strategy["type"] != "hyperband" or not strategy.get("asynchronous"):
        return
    factor = strategy["factor"]
    found = steps[steps["bracket"].notna()].groupby(["bracket", "rung"]).size()
    further: list[str] = []
    missing: list[str] = []
    for rung in schedule(study["training"]["epochs"], factor, strategy["brackets"]):
        trained = int(found.get((rung.bracket, rung.rung), 0))
        if rung.rung and trained != rung.configurations:
            more = trained > rung.configurations
            (further if more else missing).append(_difference(rung, trained))
    text = (
        f"The rungs of Hyperband did not wait for each other (`asynchronous`): whenever there was "
        f"room, the best of each {factor} that a rung had finished so far went on. With more than "
        "one worker, which ones these were depends on the order in which trials ended; the score "
        "of each trial does not."
    )
    if further:
        text += (
            " More went on than in the schedule, since some of the early ones turned out not to be "
            f"among the best of their rung: {listed(further)}."
        )
    if missing:
        text += f" Fewer went on than in the schedule: {listed(missing)}."
    yield text


def _difference(rung: Rung, trained: int) -> str:
    where = f"bracket {rung.bracket}, rung {rung.rung}"
    return f"{counted(trained, 'configuration')} in {where} instead of {rung.configurations}"

"""Configurations of some stages in the order of their scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from gridfold.plan.stage_file import StageFile
from gridfold.problems import Measure
from gridfold.requests import ChosenConfiguration


def ranked(
    files: Iterable[StageFile], trials: pd.DataFrame, measure: str
) -> list[ChosenConfiguration]:
    """Return the configurations of some stages, best first, each with its score.

    Parameters
    ----------
    files : iterable of StageFile
    trials : DataFrame
        The trials of their shards: ``config_id``, ``split``, ``status``, and the measures.
    measure : str

    Notes
    -----
    The score is the mean over the splits. Configurations that miss one, because a trial failed, are
    left out: their mean would be over other splits. Among equal ones the earlier one is better.
    """
    candidates = []
    for file in files:
        rows = trials[trials["split"].isin(file.splits)]
        if measure in rows:
            rows = rows[(rows["status"] == "finished") & rows[measure].notna()]
        else:
            rows = rows.iloc[:0]
        scores = rows.drop_duplicates(["config_id", "split"], keep="last").groupby("config_id")
        for configuration in file.configurations:
            if configuration.id not in scores.groups:
                continue
            own = scores.get_group(configuration.id)[measure]
            if len(own) == len(file.splits):
                candidates.append((float(own.mean()), configuration))
    sign = Measure.of(measure).sign
    candidates.sort(key=lambda candidate: -sign * candidate[0])
    first: dict[str, ChosenConfiguration] = {}
    for score, configuration in candidates:
        first.setdefault(configuration.id, replace(configuration, score=score))
    return list(first.values())

"""What is decided while a search runs: which configurations go on, from the scores so far."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gridfold.plan.stages import entry, stage_file
from gridfold.problems import Measure
from gridfold.search.neighbours import neighbourhood
from gridfold.space.space import Space
from gridfold.study.request import requested_study


def ranked(
    files: Iterable[Mapping[str, Any]], trials: pd.DataFrame, measure: str
) -> list[dict[str, Any]]:
    """Return the configurations of some stages, best first, each with its ``score``.

    Parameters
    ----------
    files : iterable of mapping
        Of the stages.
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
        rows = trials[trials["split"].isin(file["splits"])]
        if measure in rows:
            rows = rows[(rows["status"] == "finished") & rows[measure].notna()]
        else:
            rows = rows.iloc[:0]
        scores = rows.drop_duplicates(["config_id", "split"], keep="last").groupby("config_id")
        for configuration in file["configurations"]:
            if configuration["id"] not in scores.groups:
                continue
            own = scores.get_group(configuration["id"])[measure]
            if len(own) == len(file["splits"]):
                candidates.append({**configuration, "score": float(own.mean())})
    sign = Measure.of(measure).sign
    candidates.sort(key=lambda candidate: -sign * candidate["score"])
    first: dict[str, dict[str, Any]] = {}
    for candidate in candidates:
        first.setdefault(candidate["id"], candidate)
    return list(first.values())


def read_trials(tables: Iterable[Path]) -> pd.DataFrame:
    """Return the trials of some shards' tables; empty slots have none."""
    return pd.concat([pd.read_parquet(table) for table in tables], ignore_index=True)


def read_files(files: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the files of some stages."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def choose(
    request: Mapping[str, Any], files: Sequence[Mapping[str, Any]], trials: pd.DataFrame
) -> dict[str, Any]:
    """Return the file of a stage that goes on with the best configurations so far.

    Parameters
    ----------
    request : mapping
        :meth:`gridfold.plan.search_plan.SearchPlan.choice_request`.
    files : sequence of mapping
        Of the stages before.
    trials : DataFrame
        Of their shards.
    """
    best = ranked(files, trials, request["measure"])[: request["most"]]
    chosen = [{**c, "epochs": _epochs(request, c["settings"])} for c in best]
    return stage_file(request["stage"], request["splits"], chosen)


def refine(
    request: Mapping[str, Any], files: Sequence[Mapping[str, Any]], trials: pd.DataFrame
) -> dict[str, Any]:
    """Return the file of a refining round: the best configurations so far and their neighbours.

    Parameters
    ----------
    request : mapping
        :meth:`gridfold.plan.search_plan.SearchPlan.refine_request`.
    files : sequence of mapping
        Of the stages before.
    trials : DataFrame
        Of their shards.
    """
    space = Space.of(requested_study(request))
    best = ranked(files, trials, request["measure"])[: request["top"]]
    found = neighbourhood(
        space,
        [c["axes"] for c in best],
        request["step"],
        swap=request["swap"],
        most=request["most"],
    )
    scores = {c["id"]: {"score": c["score"]} for c in best}
    entries = [entry(c, _epochs(request, c.settings), **scores.get(c.id, {})) for c in found]
    return stage_file(request["stage"], request["splits"], entries)


def _epochs(request: Mapping[str, Any], settings: Mapping[str, Any]) -> int:
    """Return the epochs of a configuration in a stage: the stage's, or all of its own."""
    if request["epochs"] is not None:
        return int(request["epochs"])
    return int(settings["training"].get("epochs", request["all_epochs"]))

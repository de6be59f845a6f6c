"""What an outer fold selects, and the table of what all of them have selected and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from gridfold.plan.stage_file import StageFile
from gridfold.requests import ChoiceRequest, NestedFold, NestedRequest, SummaryRequest
from gridfold.statistics.summary import select, summarise
from gridfold.tables.trials import (
    Column,
    all_measures,
    axis_columns,
    read_table,
    stage_trials,
    typed_axis,
    without_unnamed,
)

NESTED_COLUMNS = (
    Column("outer_fold", "string", "", "o<repeat>f<fold>, both from 0"),
    Column("config_id", "string", "", "What its search selected; empty where nothing has a score"),
    Column("label", "string", "", "Its axis values in one line"),
    Column("as_study", "bool", "", "Whether the study selected the same configuration"),
    Column("search_mean", "float", "", "Mean of the ranking measure that it was selected for"),
    Column("epochs", "int", "epochs", "Of its training on the whole training part of the fold"),
    Column("n_train", "int", "samples", "Size of this part, all that the search saw"),
    Column("n_validation", "int", "samples", "Size of the part that it was scored on, once"),
    Column("status", "string", "", "finished or failed"),
    Column("reason", "string", "", "Why it has no score; else empty"),
    Column("trials", "int", "", "Trained in the fold, the winner's own included"),
    Column("core_hours", "float", "h", "CPU cores times wall time of all of them"),
    Column("gpu_hours", "float", "h", "GPUs times wall time of all of them"),
)
_KEYS = ["config_id", "split"]
# Of intervals that nobody sees: the mean alone decides.
_CONFIDENCE = 0.95


def winner_of_fold(
    request: ChoiceRequest, files: Sequence[StageFile], trial_files: Sequence[Path]
) -> StageFile:
    """Return the file of the stage that trains the winner of an outer fold.

    It is selected as the study's own is, and trained for as many epochs as the final model would
    be.

    Parameters
    ----------
    request : ChoiceRequest
    files : sequence of StageFile
        Of the stages of the fold that answer, in their order.
    trial_files : sequence of Path
        Trials of their jobs.

    Returns
    -------
    StageFile
        Without a configuration where none has a score.
    """
    parts = [stage_trials(file, trial_files) for file in files if file.configurations]
    nobody = StageFile(request.stage, request.splits, ())
    trials = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if request.measure not in trials or not trials[request.measure].notna().any():
        return nobody
    trials = trials.drop_duplicates(_KEYS, keep="last")
    # A mean over some of the splits is compared with nobody's, if anybody has all of them.
    known = trials.groupby("config_id")["split"].transform("nunique")
    summary = SummaryRequest(request.measure, _CONFIDENCE)
    selection = select(summarise(trials[known == known.max()], summary), summary)
    found = {c.id: c for file in files for c in file.configurations}[selection.config_id]
    winner = replace(found, epochs=selection.final_epochs, score=selection.mean)
    return StageFile(request.stage, request.splits, (winner,))


def nested_table(
    request: NestedRequest,
    winners: Sequence[StageFile],
    tables: Mapping[str, Path],
    selected: str,
) -> pd.DataFrame:
    """Return one row for each outer fold: what it selected, and how good that is.

    Parameters
    ----------
    request : NestedRequest
    winners : sequence of StageFile
        Of the folds of the request.
    tables : mapping of str to Path
        Trials of each job of the folds.
    selected : str
        The configuration that the study has selected.

    Returns
    -------
    DataFrame
        :data:`NESTED_COLUMNS`, the axes, and the measures on the validation part of each fold.
    """
    pairs = zip(request.folds, winners, strict=True)
    rows = [_row(fold, file, tables, selected) for fold, file in pairs]
    table = without_unnamed(pd.DataFrame(rows), request.further_measures or ())
    axes, measures = axis_columns(table), all_measures(table)
    table = table.assign(**{name: typed_axis(table[name]) for name in axes})
    for name in ("epochs", "n_train", "n_validation"):
        table[name] = table[name].astype("Int64")
    return table[[*(column.name for column in NESTED_COLUMNS), *axes, *measures]]


def _row(
    fold: NestedFold, file: StageFile, tables: Mapping[str, Path], selected: str
) -> dict[str, Any]:
    searched = pd.concat([read_table(tables[shard]) for shard in fold.search], ignore_index=True)
    own = read_table(tables[fold.score])
    # A trial that goes on in a later stage counts once, with all that it took.
    all_trials = pd.concat([searched.drop_duplicates(_KEYS, keep="last"), own], ignore_index=True)
    row: dict[str, Any] = {
        "outer_fold": fold.name,
        "config_id": "",
        "label": "",
        "as_study": False,
        "search_mean": None,
        "epochs": None,
        "n_train": None,
        "n_validation": None,
        "status": "failed",
        "reason": "no configuration of its search has a score",
        "trials": len(all_trials),
        "core_hours": all_trials["core_hours"].sum(min_count=1),
        "gpu_hours": all_trials["gpu_hours"].sum(min_count=1),
    }
    if not file.configurations:
        return row
    (trial,) = stage_trials(file, [tables[fold.score]]).to_dict("records")
    winner = file.configurations[0]
    return {
        **row,
        **{str(name): value for name, value in trial.items() if "." in str(name)},
        **{name: trial[name] for name in all_measures(own)},
        "config_id": winner.id,
        "label": winner.label,
        "as_study": winner.id == selected,
        "search_mean": winner.score,
        "epochs": winner.epochs,
        "n_train": trial["n_train"] or None,
        "n_validation": trial["n_validation"] or None,
        "status": trial["status"],
        "reason": trial["reason"],
    }

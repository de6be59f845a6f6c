"""The tables of a search: all trials of its path, and what each step has cost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gridfold import typed_json
from gridfold.cluster.accounting import ask_sacct
from gridfold.paths import StudyPaths
from gridfold.plan.stage_file import CatalogueEntry, StageFile
from gridfold.plan.stage_names import EXPLORE, STAGES_IN_WORDS, is_race_round
from gridfold.requests import CollectRequest, RaceRules
from gridfold.search.budget import (
    begun_trials,
    complete,
    left_out_table,
    no_answer,
    outcome,
    trained,
)
from gridfold.search.racing import race_table
from gridfold.search.ranking import ranked
from gridfold.store import job_records
from gridfold.store.trials import LEFT_OUT
from gridfold.tables.jobs import job_table
from gridfold.tables.trials import Column, axis_columns, collect, typed_axis, without_unnamed, write

SEARCH_COLUMNS = (
    Column("stage", "string", "", STAGES_IN_WORDS),
    Column("bracket", "int", "", "Of Hyperband; else empty"),
    Column("rung", "int", "", "Of Hyperband; else empty"),
    Column("config_id", "string", "", "Configuration"),
    Column("label", "string", "", "Its axis values in one line"),
    Column("epochs", "int", "epochs", "Asked for in this stage"),
    Column("n_splits", "int", "", "Splits with a score; with those of earlier rounds of a race"),
    Column("n_failed", "int", "", "Trials that failed"),
    Column("score", "float", "", "Mean of the ranking measure; empty where a trial failed"),
    Column("new_epochs", "int", "epochs", "Trained in this stage, all splits; not those known"),
    Column("effort", "int", "epochs x samples", "The same times the samples of each training part"),
    Column("fit_seconds", "float", "s", "Wall time of these epochs"),
    Column("went_on", "bool", "", "Whether a later stage has this configuration, too"),
)


def collect_search(
    request: CollectRequest,
    files: Sequence[StageFile],
    trial_files: Sequence[Path],
    epoch_files: Sequence[Path],
) -> tuple[dict[str, pd.DataFrame], dict[str, CatalogueEntry]]:
    """Bring the tables of all stages together.

    Parameters
    ----------
    request : CollectRequest
    files : sequence of StageFile
        In the order of the stages.
    trial_files, epoch_files : sequence of Path
        Of all shards and slots; their names begin with that of the shard.

    Returns
    -------
    tables : dict of str to DataFrame
        ``trials`` and ``epochs``: those of the stages that answer, comparable with each other.
        ``search_trials``: those of all stages, with ``stage`` as first column. ``search``: a row
        for each configuration of each stage, :data:`SEARCH_COLUMNS`. ``race``: what a race has left
        behind. ``left_out``: what a budget has left incomplete,
        :data:`gridfold.search.budget.LEFT_OUT_COLUMNS`.
    catalogue : dict of str to CatalogueEntry
        Every configuration by its id.
    """
    table_of = {file.name.partition(".")[0]: file for file in trial_files}
    curves_of = {file.name.partition(".")[0]: file for file in epoch_files}
    parts, curves, rows = [], [], []
    catalogue: dict[str, CatalogueEntry] = {}
    known: dict[tuple[str, str], tuple[int, float]] = {}
    for stage, file in zip(request.stages, files, strict=True):
        own = [table_of[shard] for shard in stage.shards]
        if not file.configurations:
            continue
        trials, epochs = collect(file, own, [curves_of[s] for s in stage.shards])
        trials = without_unnamed(trials, request.further_measures or ())
        trials.insert(0, "stage", stage.name)
        parts.append(trials)
        if stage.answers:
            curves.append(epochs)
        if len(begun := begun_trials(trials)):
            scored = pd.concat(parts, ignore_index=True) if file.before else begun
            rows.append(_steps(stage.name, file, begun, scored, request.measure, known))
        for c in file.configurations:
            # A later stage may train less; what is answered with has the last word.
            if stage.answers or c.id not in catalogue:
                catalogue[c.id] = CatalogueEntry(c.label, c.settings, c.epochs)
    answers = [stage.name for stage in request.stages if stage.answers]
    keys = ["config_id", "split"]
    compared = [part for part in parts if part["stage"].iloc[0] in answers]
    if request.budget is not None and not compared:
        raise no_answer()
    joined = _joined(compared)
    if request.budget is not None:
        # What a later stage could not train again, an earlier one may have trained.
        is_out = joined["status"] == LEFT_OUT
        names = pd.MultiIndex.from_frame(joined[keys])
        joined = joined[~(is_out & names.isin(names[~is_out]))]
        joined = complete(joined.drop_duplicates(keys, keep="last"))
        tried = trained(parts)
        catalogue = {name: entry for name, entry in catalogue.items() if name in tried}
    answer = joined.drop_duplicates(keys, keep="last").drop(columns="stage")
    epochs = pd.concat(curves, ignore_index=True).drop_duplicates([*keys, "epoch"], keep="last")
    epochs = epochs[epochs["config_id"].isin(answer["config_id"])].reset_index(drop=True)
    found = {
        "trials": answer,
        "epochs": epochs,
        "search_trials": _joined(parts),
        "search": _with_future(pd.concat(rows, ignore_index=True)),
        "left_out": left_out_table(parts),
    }
    if request.race is not None:
        found["race"] = _left_behind(request.race, request, files, found)
        # These have no mean over all splits that could be compared.
        for name in ("trials", "epochs"):
            is_lost = found[name]["config_id"].isin(found["race"]["config_id"])
            if not is_lost.all():
                found[name] = found[name][~is_lost].reset_index(drop=True)
    return found, catalogue


def _left_behind(
    race: RaceRules,
    request: CollectRequest,
    files: Sequence[StageFile],
    found: Mapping[str, pd.DataFrame],
) -> pd.DataFrame:
    """Return the race table, without what is not lost or not by the race."""
    rounds, complete = [], set()
    for stage, file in zip(request.stages, files, strict=True):
        if stage.name == EXPLORE or is_race_round(stage.name):
            rounds.append(file)
        elif stage.answers:
            # Neighbours of the best may have been left behind, and are trained in full here.
            complete |= {c.id for c in file.configurations}
    table = race_table(race, rounds, found["search_trials"], request.measure)
    # What the budget has left out has not failed.
    is_cut = table["config_id"].isin(found["left_out"]["config_id"])
    is_cut &= table["reason"] == "failed"
    return table[~is_cut & ~table["config_id"].isin(complete)].reset_index(drop=True)


def write_tables(
    request: CollectRequest,
    files: Sequence[StageFile],
    trial_files: Sequence[Path],
    epoch_files: Sequence[Path],
    records: Path,
    outputs: Mapping[str, Path],
) -> None:
    """Write the tables of a search, its catalogue, and what is known of its jobs.

    Parameters
    ----------
    request, files, trial_files, epoch_files
        As for :func:`collect_search`.
    records : Path
        Folder of what each training job was given and used.
    outputs : mapping of str to Path
        Files by name: tables as Parquet, and as CSV with ``_csv`` behind the name; ``catalogue``;
        ``budget`` where the search has one.
    """
    contents, catalogue = collect_search(request, files, trial_files, epoch_files)
    jobs = request.jobs or [file.name.partition(".")[0] for file in trial_files]
    found = job_records.read(records, jobs)
    contents["jobs"] = job_table(found, ask_sacct(record.slurm_job for record in found))
    typed_json.write(outputs["catalogue"], catalogue)
    paths = StudyPaths(records.parent)
    for name, file in outputs.items():
        if name == "budget":
            parts = [part for _, part in contents["search_trials"].groupby("stage", sort=False)]
            typed_json.write(file, outcome(paths, parts))
        elif name != "catalogue":
            write(file, contents[name.removesuffix("_csv")])


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the trials of stages below each other; axes that only some of them have stay typed."""
    joined = pd.concat(parts, ignore_index=True)
    axes = axis_columns(joined)
    return joined.assign(**{name: typed_axis(joined[name]) for name in axes})


def _steps(
    stage: str,
    file: StageFile,
    trials: pd.DataFrame,
    scored: pd.DataFrame,
    measure: str,
    known: dict[tuple[str, str], tuple[int, float]],
) -> pd.DataFrame:
    """Return the rows of one stage.

    `scored` has the trials that its scores are of, `known` epochs and seconds of each trial so far.
    """
    scores = {c.id: c.score for c in ranked([file], scored, measure)}
    good = scored[(scored["status"] == "finished") & scored["split"].isin(file.scored_splits)]
    n_scored = good.groupby("config_id")["split"].nunique().to_dict()
    found = re.fullmatch(r"b(\d+)r(\d+)", stage)
    # Not by the groups of a table: there are tens of thousands of configurations in a large study.
    columns = (
        *("config_id", "split", "label", "status", "epochs"),
        *("epochs_trained", "fit_seconds", "n_train"),
    )
    rows: dict[str, dict[str, Any]] = {}
    for name, split, label, status, asked, epochs, seconds, samples in zip(
        *(trials[column].tolist() for column in columns), strict=True
    ):
        row = rows.get(name)
        if row is None:
            row = rows[name] = {
                "stage": stage,
                "bracket": int(found[1]) if found else None,
                "rung": int(found[2]) if found else None,
                "config_id": name,
                "label": label,
                "epochs": int(asked),
                "n_splits": n_scored.get(name, 0),
                "n_failed": 0,
                "score": scores.get(name),
                "new_epochs": 0,
                "effort": 0,
                "fit_seconds": 0.0,
            }
        row["n_failed"] += status == "failed"
        epochs_before, seconds_before = known.get((name, split), (0, 0.0))
        if epochs > epochs_before:
            known[name, split] = (int(epochs), float(seconds))
            row["new_epochs"] += int(epochs) - epochs_before
            row["effort"] += (int(epochs) - epochs_before) * int(samples)
            row["fit_seconds"] += max(0.0, float(seconds) - seconds_before)
    types = {"bracket": "Int64", "rung": "Int64", "score": "float64"}
    return pd.DataFrame(list(rows.values())).astype(types)


def _with_future(search: pd.DataFrame) -> pd.DataFrame:
    """Add whether a later stage has the same configuration."""
    later: set[str] = set()
    went_on: list[bool] = []
    for _, stage in reversed(list(search.groupby("stage", sort=False))):
        went_on = [*(stage["config_id"].isin(later)), *went_on]
        later |= set(stage["config_id"])
    return search.assign(went_on=went_on)

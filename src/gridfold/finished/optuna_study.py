"""A finished study as Optuna and its dashboard read it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from gridfold.atomic import replacing
from gridfold.errors import NotWritten
from gridfold.finished.optuna_parameter import Parameter, optuna_direction
from gridfold.paths import StudyPaths
from gridfold.tables.axes import curve_over_splits
from gridfold.tables.trials import StudyTables, axis_columns


def write(paths: StudyPaths, name: str, axes: Mapping[str, Any], measure: str, file: Path) -> int:
    """Write the configurations of a study as trials of an Optuna study; return their number.

    What Optuna calls a trial is a configuration here: its value is the mean of the ranking measure
    over the splits, its intermediate values are the means of the validation loss after each epoch.
    Configurations that lost trials are failed ones. Axes without a value in a configuration
    are left out of it, as conditional parameters are in Optuna.

    Parameters
    ----------
    paths : StudyPaths
    name : str
        Of the study.
    axes : mapping
        The search space, by names of axes.
    measure : str
        The ranking measure.
    file : Path
        A SQLite file; replaced, whole or not at all.

    Raises
    ------
    GridfoldError
        When the study has no tables yet.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tables = StudyTables.of_study(paths)
    configurations = tables.configurations
    names = ["model", *axis_columns(configurations)]
    known = {
        axis: Parameter.of(configurations[axis], axes.get(axis, {}), keep_whole=True)
        for axis in names
    }
    curves = {str(i): rows for i, rows in tables.epochs.groupby("config_id", sort=False)}
    trials = [
        _trial(row, known, measure, curves.get(str(row["config_id"])))
        for _, row in configurations.iterrows()
    ]
    # SQLite can't write to a device or a pipe.
    if file.exists() and not file.is_file():
        raise NotWritten(file, OSError("it is no file"))
    with _told(file), replacing(file) as temporary:
        storage = optuna.storages.RDBStorage(f"sqlite:///{temporary}")
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction=optuna_direction(measure),
        )
        study.add_trials(trials)
        storage.remove_session()
        storage.engine.dispose()
    return len(trials)


@contextlib.contextmanager
def _told(file: Path) -> Iterator[None]:
    """Tell that SQLite could not write a file, as on a disk that is full."""
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error)
        raise NotWritten(file, OSError(reason)) from None


def _trial(
    row: pd.Series, known: Mapping[str, Parameter], measure: str, epochs: pd.DataFrame | None
) -> Any:
    active = {name: p for name, p in known.items() if pd.notna(row[name])}
    score = row[f"{measure}_mean"]
    complete = row["n_failed"] == 0 and pd.notna(score)
    intermediate = {}
    if epochs is not None:
        curve = curve_over_splits(epochs, "val_loss")
        means = curve["mean"].dropna()
        intermediate = dict(zip(map(int, means.index), map(float, means), strict=True))
    return create_trial(
        state=TrialState.COMPLETE if complete else TrialState.FAIL,
        value=float(score) if complete else None,
        params={name: parameter.value(row[name]) for name, parameter in active.items()},
        distributions={name: parameter.distribution for name, parameter in active.items()},
        user_attrs={
            "config_id": str(row["config_id"]),
            "label": str(row["label"]),
            "splits": int(row["n_splits"]),
            "failed": int(row["n_failed"]),
            "parameters": int(row["parameters"]),
        },
        intermediate_values=intermediate,
    )

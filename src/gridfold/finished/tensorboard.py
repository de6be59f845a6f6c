"""A finished study as TensorBoard reads it: written after the fact, from the tables.

No training waits for it. TensorFlow is not needed: TensorBoard has a writer of its own.
"""

from __future__ import annotations

import getpass
import logging
import secrets
import shutil
import socket
import sys
import types
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gridfold.errors import GridfoldError
from gridfold.paths import StudyPaths
from gridfold.plan.shards import TrialKey
from gridfold.tables.axes import sorted_values
from gridfold.tables.trials import EPOCH_COLUMNS, StudyTables, all_measures
from gridfold.wording import measure_name

HOST = "127.0.0.1"


# What is drawn over the epochs, by columns of the table of epochs.
_CURVES = {
    "loss": "loss/training",
    "val_loss": "loss/validation",
    "metric": "metric/training",
    "val_metric": "metric/validation",
    "learning_rate": "learning_rate",
    "seconds": "seconds_per_epoch",
}
_EVERY_CURVE = {column.name for column in EPOCH_COLUMNS}


def without_tensorflow() -> None:
    """Keep TensorBoard from importing TensorFlow, to be called before its first import.

    It looks for this module to learn that it should make do with its own file reader and writer
    (``tensorboard/compat/__init__.py``). TensorFlow would take ten seconds and half a gigabyte,
    often on a login node, for nothing that is used here.
    """
    name = "tensorboard.compat.notf"
    sys.modules.setdefault(name, types.ModuleType(name))


def write(paths: StudyPaths, axes: Mapping[str, Any], most: int) -> Path:
    """Write the best configurations of a study for TensorBoard, over what was written before.

    Parameters
    ----------
    paths : StudyPaths
    axes : mapping
        The search space, by names of axes.
    most : int
        So many configurations: TensorBoard wants a folder with a file for each of their trials.

    Returns
    -------
    Path
        What TensorBoard calls its log directory.

    Raises
    ------
    GridfoldError
        When the study has no tables yet.
    """
    tables = StudyTables.of_study(paths)
    configurations = tables.configurations.head(most)
    folder = paths.tensorboard
    shutil.rmtree(folder, ignore_errors=True)
    written = paths.table("trials").stat().st_mtime
    measures = all_measures(tables.trials)
    _write_events(folder, [(written, 0, _experiment(configurations, axes, measures))])
    histories = dict(list(tables.epochs.groupby(["config_id", "split"], sort=False)))
    for _, configuration in configurations.iterrows():
        config_id = str(configuration["config_id"])
        hyperparameters = _hyperparameters(configuration, axes)
        rows = tables.trials[tables.trials["config_id"] == config_id]
        for _, row in rows.iterrows():
            trial = TrialKey(config_id, str(row["split"]))
            history = histories.get((trial.config_id, trial.split), tables.epochs.head(0))
            # The rank first, so that TensorBoard's list is in the order of the report.
            run = folder / f"{configuration['rank']:03d}-{config_id}" / trial.split
            events = [
                *_session(trial, hyperparameters, written),
                *_curves(history, written),
                *_scores(row, measures, written + float(history["seconds"].sum())),
            ]
            _write_events(run, events + _ending(row, written))
    return folder


Event = tuple[float, int, Any]
"""Time in seconds since 1970, step, and a summary of TensorBoard."""


def _experiment(
    configurations: pd.DataFrame, axes: Mapping[str, Any], measures: Iterable[str]
) -> Any:
    from tensorboard.plugins.hparams import summary_v2 as hparams

    parameters = [hparams.HParam("model")]
    for name, axis in axes.items():
        if name in configurations:
            values = [_plain(value) for value in sorted_values(configurations[name], axis)]
            parameters.append(hparams.HParam(name, hparams.Discrete(values) if values else None))
    metrics = [
        hparams.Metric(f"score/{name}", display_name=measure_name(name)) for name in measures
    ]
    return hparams.hparams_config_pb(parameters, metrics)


def _hyperparameters(configuration: pd.Series, axes: Mapping[str, Any]) -> dict[str, Any]:
    known = ["model", *(name for name in axes if name in configuration.index)]
    return {
        name: _plain(configuration[name])
        for name in dict.fromkeys(known)
        if not pd.isna(configuration[name])
    }


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _session(trial: TrialKey, hyperparameters: dict[str, Any], written: float) -> list[Event]:
    from tensorboard.plugins.hparams import summary_v2 as hparams

    # Trials of one configuration are one group: TensorBoard averages their scores.
    start = hparams.hparams_pb(hyperparameters, trial.config_id, start_time_secs=written)
    return [(written, 0, start)]


def _curves(history: pd.DataFrame, written: float) -> list[Event]:
    events = []
    at = written
    for row in history.to_dict("records"):
        at += row["seconds"]
        others = (str(name) for name in row if name not in _EVERY_CURVE)
        tags = _CURVES | {name: f"followed/{name}" for name in others}
        values = {tag: row[column] for column, tag in tags.items() if not pd.isna(row[column])}
        events.append((at, int(row["epoch"]), _scalars(values)))
    return events


def _scores(row: pd.Series, measures: Iterable[str], at: float) -> list[Event]:
    values = {f"score/{name}": row[name] for name in measures if not pd.isna(row[name])}
    return [(at, int(row["best_epoch"]), _scalars(values))] if values else []


def _scalars(values: Mapping[str, float]) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(
        value=[Summary.Value(tag=tag, simple_value=float(value)) for tag, value in values.items()]
    )


def _ending(row: pd.Series, written: float) -> list[Event]:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    finished = row["status"] == "finished"
    status = api_pb2.STATUS_SUCCESS if finished else api_pb2.STATUS_FAILURE
    at = written + float(row["seconds"])
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=at)
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(
            plugin_data_pb2.HParamsPluginData(session_end_info=end)
        ),
        tensor=metadata.NULL_TENSOR,
    )
    return [(at, 0, Summary(value=[value]))]


def _write_events(folder: Path, events: Iterable[Event]) -> None:
    from tensorboard.compat.proto.event_pb2 import Event as Record
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    for at, step, summary in events:
        writer.add_event(Record(wall_time=at, step=step, summary=summary))
    writer.close()


def serve(folder: Path, port: int) -> str:
    """Start TensorBoard in a thread of this process and return its address.

    The token is in neither the command line, which everybody may list, nor in a file: TensorBoard's
    own command would write it into ``/tmp/.tensorboard-info``, and start a second server for its
    data (``load_fast``) whose port has no token.

    Parameters
    ----------
    folder : Path
        What :func:`gridfold.finished.tensorboard.write` wrote.
    port : int
        0 for any that is free.

    Raises
    ------
    GridfoldError
        When the port is taken.
    """
    from tensorboard import program

    # It names the address of every request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = program.TensorBoard()
    server.configure(
        argv=("tensorboard",),
        logdir=str(folder),
        host=HOST,
        port=port,
        path_prefix=f"/{secrets.token_urlsafe(24)}",
        load_fast="false",
    )
    try:
        return str(server.launch())
    except program.TensorBoardServerException as error:
        raise GridfoldError(f"TensorBoard can't start: {error.msg}; leave --port out") from None


def directions(address: str) -> str:
    """Return how to open TensorBoard here and from another machine."""
    parts = urllib.parse.urlparse(address)
    here = f"{getpass.getuser()}@{socket.gethostname()}"
    return "\n".join(
        (
            f"TensorBoard: {address}",
            "From another machine, with this running there in a second terminal:",
            f"  ssh -N -L {parts.port}:{HOST}:{parts.port} {here}",
            "open the same address. Whoever knows it can read the study's curves and scores until",
            "this command ends (Ctrl-C).",
        )
    )

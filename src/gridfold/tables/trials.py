"""The tables of a study: what each holds, how shards write them and how they come together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gridfold.atomic import replacing
from gridfold.canonical import canonical_json
from gridfold.errors import GridfoldError

if TYPE_CHECKING:
    from gridfold.arrays import Array
    from gridfold.data.splits import Split
    from gridfold.paths import StudyPaths
    from gridfold.plan.shards import TrialKey
    from gridfold.plan.stage_file import StageFile
    from gridfold.store.trials import TrialResult, TrialStore

from gridfold.objectives import COSTS
from gridfold.problems import MEASURES, PROBLEM_KINDS, is_own_measure
from gridfold.store.records import intact
from gridfold.tables.spreadsheets import csv_text
from gridfold.typed_json import DamagedRecord


@dataclass(frozen=True)
class Column:
    """One column of a table: name, type, unit and meaning."""

    name: str
    type: str
    unit: str
    meaning: str


# In the shards' tables, with one column for each measure (`accuracy`) after them.
TRIAL_COLUMNS = (
    Column("config_id", "string", "", "Configuration: first 12 hex digits of its digest"),
    Column("split", "string", "", "r<repeat>f<fold>, both from 0"),
    Column("status", "string", "", "finished, failed, or left_out by the budget of the search"),
    Column(
        "failure",
        "string",
        "",
        "Kind of failure: diverged, error, killed, timeout; budget where left out; else empty",
    ),
    Column("reason", "string", "", "Why it has no score; else empty"),
    Column("epochs", "int", "epochs", "Asked for"),
    Column("epochs_trained", "int", "epochs", "Trained, fewer after early stopping"),
    Column("best_epoch", "int", "epochs", "Epoch (from 1) whose weights were scored"),
    Column("resumptions", "int", "", "Times the trial went on from a checkpoint"),
    Column("n_train", "int", "samples", "Size of the training part"),
    Column("n_validation", "int", "samples", "Size of the validation part"),
    Column("parameters", "int", "", "Trainable weights"),
    Column("world_size", "int", "replicas", "Copies of the model that shared each batch"),
    Column("batch_size", "int", "samples", "Of one step, over all replicas"),
    Column("device", "string", "", "What each replica computed on: the name of a GPU, or CPU"),
    Column("precision", "string", "", "Keras' dtype policy, as mixed_float16"),
    Column("fit_seconds", "float", "s", "Wall time in epochs, validation included"),
    Column("seconds", "float", "s", "Wall time of the finishing attempt, start-up included"),
    Column("cores", "float", "", "CPU cores that the trial had of its job, used or not"),
    Column("gpus", "float", "", "GPUs that the trial had, shared ones in part"),
    Column("core_hours", "float", "h", "Cores times wall time, interrupted attempts included"),
    Column("gpu_hours", "float", "h", "GPUs times wall time, interrupted attempts included"),
    Column("cpu_seconds", "float", "s", "Processor time of the last attempt, all threads"),
    Column("cpu_efficiency", "float", "", "Processor time over what its cores could have given"),
    Column("memory_mb", "float", "MB", "Most memory, what trials share included (peak RSS)"),
    Column("added_memory_mb", "float", "MB", "How much of it came after the trial's start"),
    Column("gpu_busy", "float", "", "Mean fraction of time in which its GPU computed (NVML)"),
    Column("gpu_memory_mb", "float", "MB", "Most memory in use on its GPU (NVML)"),
    Column("gpu_tensors_mb", "float", "MB", "Most memory of tensors on its GPU (TensorFlow)"),
)
USAGE_COLUMNS = (
    "cores",
    "gpus",
    "core_hours",
    "gpu_hours",
    "cpu_seconds",
    "cpu_efficiency",
    "memory_mb",
    "added_memory_mb",
    "gpu_busy",
    "gpu_memory_mb",
    "gpu_tensors_mb",
)
# Only of a study whose objectives or constraints ask for them.
COST_COLUMNS = tuple(
    Column(cost.column, "float", cost.unit, f"{cost.meaning}; where a study asks for it")
    for cost in COSTS.values()
    if cost.is_measured
)
# What `collect` adds, with one column for each axis (`mlp.units`) after them.
STUDY_COLUMNS = (
    Column("label", "string", "", "The configuration's axis values in one line"),
    Column("model", "string", "", "Model family"),
)
EPOCH_COLUMNS = (
    Column("config_id", "string", "", "Configuration"),
    Column("split", "string", "", "Split"),
    Column("epoch", "int", "epochs", "From 1"),
    Column("loss", "float", "", "Mean training loss while the epoch ran, penalties included"),
    Column(
        "val_loss",
        "float",
        "",
        "Validation loss at its end; of the inner part where early stopping looks at one",
    ),
    Column(
        "metric",
        "float",
        "",
        "Training accuracy (classes) or MAE (numbers); empty in epochs at another threshold",
    ),
    Column("val_metric", "float", "", "The same on the samples of val_loss"),
    Column("learning_rate", "float", "", "At its end"),
    Column("seconds", "float", "s", "Wall time, validation included"),
    Column("training_seconds", "float", "s", "Wall time without validation"),
)
# After them, the metrics that a user has compiled into a model, and the measure of early stopping.

PREDICTION_COLUMNS = (
    Column("config_id", "string", "", "Configuration"),
    Column("split", "string", "", "Split"),
    Column("sample", "int", "", "Row in the prepared arrays"),
    Column("prediction", "list of float", "", "Probabilities, or numbers in the target's units"),
)


def read_table(file: Path, rows: list[tuple[str, str, Any]] | None = None) -> pd.DataFrame:
    """Read a table that a job has written.

    Parameters
    ----------
    file : Path
    rows : list of (str, str, value), optional
        Column, comparison and value of the rows that are wanted; all when left out.

    Raises
    ------
    FileNotFoundError
        When there is none.
    DamagedRecord
        When it breaks off, is no table, or a page of it is not what was written.
    """
    # Opened here: Arrow would take a folder for a table in several files.
    with intact(file), file.open("rb") as stream:
        return pd.read_parquet(stream, filters=rows, page_checksum_verification=True)


@dataclass(frozen=True)
class StudyTables:
    """The tables of a finished study.

    Attributes
    ----------
    trials, epochs : DataFrame
        As of :func:`collect`.
    configurations : DataFrame
        As of :func:`gridfold.statistics.summary.summarise`.
    """

    trials: pd.DataFrame
    epochs: pd.DataFrame
    configurations: pd.DataFrame

    @classmethod
    def read(cls, file_of: Callable[[str], Path]) -> StudyTables:
        """Read the tables from the Parquet files that a function has for their names."""
        return cls(*(read_table(file_of(name)) for name in ("trials", "epochs", "configurations")))

    @classmethod
    def of_study(cls, paths: StudyPaths) -> StudyTables:
        """Read the tables of a study.

        Raises
        ------
        GridfoldError
            When it has none yet.
        """
        files = (paths.table(name) for name in ("trials", "epochs", "configurations"))
        missing = [file for file in files if not file.exists()]
        if missing:
            raise GridfoldError(
                f"{missing[0]} is not there yet; run the study first, with snakemake"
            )
        return cls.read(paths.table)


def write_shard(
    rows: Iterable[tuple[TrialKey, TrialResult, TrialStore]],
    splits: Mapping[str, Split],
    trials_file: Path,
    epochs_file: Path,
    predictions_file: Path,
) -> None:
    """Write the tables of one shard, so that later steps read few files."""
    trials, epochs, predicted = [], [], []
    for trial, result, store in rows:
        identity = {"config_id": trial.config_id, "split": trial.split}
        trials.append(
            {
                **identity,
                "status": result.status,
                "failure": result.kind,
                "reason": result.reason,
                "epochs": result.epochs,
                "epochs_trained": result.epochs_trained,
                "best_epoch": result.best_epoch,
                "resumptions": max(0, len(result.segments) - 1),
                "n_train": result.n_train,
                "n_validation": result.n_validation,
                "parameters": result.parameters,
                "world_size": result.world_size,
                "batch_size": result.batch_size,
                "device": result.device,
                "precision": result.precision,
                "fit_seconds": result.fit_seconds,
                "seconds": result.seconds,
                **_usage(result),
                **{COSTS[name].column: value for name, value in result.costs.items()},
                **result.scores,
            }
        )
        epochs += [{**identity, **row} for row in result.history]
        if result.predictions:
            found = store.predictions_of(result)
            if found is None:
                raise DamagedRecord(store.folder, "its predictions were lost a moment ago")
            predicted.append((trial, found))
    # A shard without trials still has the columns, so that it can be joined with others.
    table = pd.DataFrame(trials) if trials else _typed(pd.DataFrame(), TRIAL_COLUMNS)
    write(trials_file, table)
    curves = pd.DataFrame(epochs)
    further = curves.columns.difference([c.name for c in EPOCH_COLUMNS], sort=False)
    typed = _typed(curves, EPOCH_COLUMNS)
    write(epochs_file, typed.join(curves[further].astype("float64")))
    write(predictions_file, _typed(_sample_rows(predicted, splits), PREDICTION_COLUMNS))


def _sample_rows(
    predicted: Sequence[tuple[TrialKey, Array]], splits: Mapping[str, Split]
) -> pd.DataFrame:
    """Return a row for each sample of the validation parts, of all trials together."""
    if not predicted:
        return pd.DataFrame()
    counts = [len(found) for _, found in predicted]
    return pd.DataFrame(
        {
            "config_id": np.repeat([trial.config_id for trial, _ in predicted], counts),
            "split": np.repeat([trial.split for trial, _ in predicted], counts),
            "sample": np.concatenate([splits[trial.split].validation for trial, _ in predicted]),
            "prediction": [row for _, found in predicted for row in found],
        }
    )


def _usage(result: TrialResult) -> dict[str, float]:
    """Return what a trial used and what that comes to; empty cells where nobody looked."""
    if not result.usage:
        return dict.fromkeys(USAGE_COLUMNS, np.nan)
    used = {name: np.nan if value is None else value for name, value in result.usage.items()}
    seconds, cores = used["seconds"], used["cores"]
    # Of the attempts before the last, the epochs are known.
    first = result.segments[-1]["first"] if len(result.segments) > 1 else 1
    before = sum(row["seconds"] for row in result.history if row["epoch"] < first)
    hours = (seconds + before) / 3600
    used |= {
        "core_hours": cores * hours,
        "gpu_hours": used["gpus"] * hours,
        "cpu_efficiency": used["cpu_seconds"] / (cores * seconds or np.nan),
    }
    return {name: used.get(name, np.nan) for name in USAGE_COLUMNS}


def _typed(table: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """Give a table its columns and their types, which an empty one can't show by its values."""
    types = {"string": "str", "int": "int64", "float": "float64"}
    whole = table.reindex(columns=[column.name for column in columns])
    return whole.astype({c.name: types[c.type] for c in columns if c.type in types})


def collect(
    file: StageFile, trial_files: Sequence[Path], epoch_files: Sequence[Path]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bring the tables of a stage's jobs together, for the trials that belong to it.

    Parameters
    ----------
    file : StageFile
    trial_files, epoch_files : sequence of Path

    Returns
    -------
    trials, epochs : DataFrame
        In the order of the stage's configurations and splits; `trials` with ``model``, ``label``
        and one column for each axis.

    Raises
    ------
    ValueError
        When a trial is missing.
    """
    trials = stage_trials(file, trial_files)
    epochs = pd.concat([read_table(f) for f in epoch_files], ignore_index=True)
    epochs = epochs.drop_duplicates(["config_id", "split", "epoch"], keep="last")
    epochs = trials[["config_id", "split"]].merge(epochs, on=["config_id", "split"], how="inner")
    return trials, epochs


def stage_trials(file: StageFile, trial_files: Sequence[Path]) -> pd.DataFrame:
    """Return the trials of a stage, as :func:`collect` does, from tables that hold others, too.

    Raises
    ------
    ValueError
        When a trial is missing.
    """
    order = pd.DataFrame(
        [
            {
                "config_id": c.id,
                "label": c.label,
                **{name: _cell(value) for name, value in c.axes.items()},
            }
            for c in file.configurations
        ]
    )
    for name in order.columns[2:]:
        order[name] = typed_axis(order[name])
    wanted = order.merge(pd.DataFrame({"split": file.splits}), how="cross")
    found = pd.concat([read_table(f) for f in trial_files], ignore_index=True)
    found = found.drop_duplicates(["config_id", "split"], keep="last")
    # Tables of earlier versions know of no usage.
    for name in set(USAGE_COLUMNS) - set(found.columns):
        found[name] = np.nan
    trials = wanted.merge(found, on=["config_id", "split"], how="left", validate="one_to_one")
    lost = trials[trials["status"].isna()]
    if len(lost):
        raise ValueError(f"{len(lost)} trials are in no shard table, the first: {lost.iloc[0]}")
    leading = ["config_id", "split", "label", "model"]
    rest = [column for column in trials.columns if column not in leading]
    return trials[leading + rest]


def predictions_of(config_id: str, files: Sequence[Path]) -> pd.DataFrame:
    """Return the out-of-fold predictions of one configuration from the shards' tables."""
    parts = [read_table(f, [("config_id", "==", config_id)]) for f in files]
    joined = pd.concat(parts, ignore_index=True)
    return joined.drop_duplicates(["config_id", "split", "sample"], keep="last")


def write(file: Path, table: pd.DataFrame) -> None:
    """Write a table, whole or not at all, in the format of the file's suffix."""
    with replacing(file) as temporary:
        if file.suffix == ".csv":
            temporary.write_text(csv_text(table), encoding="utf-8", newline="")
        else:
            table.to_parquet(temporary, index=False, write_page_checksum=True)


def stacked(predictions: pd.Series) -> np.ndarray[Any, Any]:
    """Return a column of lists as one array of shape (rows, outputs)."""
    return np.stack(predictions.to_list()).astype(np.float32)


def typed_axis(values: pd.Series) -> pd.Series:
    """Give an axis one type, although configurations without it have no value.

    Whole numbers stay whole and switches stay switches; values of several types become text.
    """
    kinds = set(values.dropna().map(type))
    if all(issubclass(kind, bool) for kind in kinds):
        return values.astype("boolean")
    if values.dtype == object and len(kinds) > 1:
        return values.map(str, na_action="ignore")
    if values.dtype == float and (values.dropna() % 1 == 0).all() and values.hasnans:
        return values.astype("Int64")
    return values


def _cell(value: Any) -> Any:
    """Return what stands for `value` in a flat table: text for lists, mappings and null.

    An empty cell means that the configuration has no such axis, which null does not.
    """
    if isinstance(value, list):
        return "-".join(map(str, value))
    return canonical_json(value) if value is None or isinstance(value, Mapping) else value


def all_measures(trials: pd.DataFrame) -> list[str]:
    """Return the measures that a table of trials holds, in our order; the user's own last."""
    own = [name for name in trials.columns if is_own_measure(name)]
    return [*(name for name in MEASURES if name in trials.columns), *own]


def without_unnamed(trials: pd.DataFrame, named: Sequence[str]) -> pd.DataFrame:
    """Return a table of trials without the measures that are shown only where a study names them.

    Parameters
    ----------
    trials : DataFrame
        Of shards, whose trials have all scores.
    named : sequence of str
        Measures that stay.
    """
    further = {name for kind in PROBLEM_KINDS.values() for name in kind.further}
    optional = [c for c in trials.columns if c in further or is_own_measure(c)]
    return trials.drop(columns=[name for name in optional if name not in named])


def axis_columns(trials: pd.DataFrame) -> list[str]:
    """Return the columns that hold axis values: ``section.name``."""
    fixed = {column.name for column in TRIAL_COLUMNS}
    return [name for name in trials.columns if "." in name and name not in fixed]

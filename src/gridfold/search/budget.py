"""What the budget of a search came to: what was spent, and what was left out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from gridfold import typed_json
from gridfold.errors import GridfoldError
from gridfold.paths import StudyPaths
from gridfold.plan.budget import BudgetView, Limit
from gridfold.plan.left_out import read_left_out
from gridfold.plan.stage_names import STAGES_IN_WORDS
from gridfold.store.trials import LEFT_OUT
from gridfold.tables.trials import Column

LEFT_OUT_COLUMNS = (
    Column("stage", "string", "", STAGES_IN_WORDS),
    Column("config_id", "string", "", "Configuration"),
    Column("label", "string", "", "Its axis values in one line"),
    Column("epochs", "int", "epochs", "Asked for in this stage"),
    Column("n_splits", "int", "", "Splits of the stage"),
    Column("n_trained", "int", "", "Of these, splits with a score"),
    Column("n_begun", "int", "", "Splits whose training was ended; their checkpoints are kept"),
    Column("reason", "string", "", "Why it is not complete"),
)


@dataclass(frozen=True)
class StageOutcome:
    """What the budget has left of a stage.

    Attributes
    ----------
    stage : str
    complete, incomplete, not_begun : int
        Configurations with all splits trained (or failed), with some, and with none.
    """

    stage: str
    complete: int
    incomplete: int
    not_begun: int


@dataclass(frozen=True)
class BudgetOutcome:
    """What the budget of a search came to.

    Attributes
    ----------
    limit : Limit
        What the search could take.
    is_cut : bool
        Whether the budget has ended it.
    core_hours, gpu_hours : float
        What its training jobs have held, in all attempts.
    left_out : int
        Trials that were not trained, or not to their end. Those that a tuner did not ask for are
        not counted.
    stages : tuple of StageOutcome
    """

    limit: Limit
    is_cut: bool
    core_hours: float
    gpu_hours: float
    left_out: int
    stages: tuple[StageOutcome, ...]

    @classmethod
    def read(cls, paths: StudyPaths) -> BudgetOutcome:
        """Read what `collect` has written.

        Raises
        ------
        FileNotFoundError
        DamagedRecord
        """
        return typed_json.read(cls, paths.budget_outcome)


def outcome(paths: StudyPaths, parts: Sequence[pd.DataFrame]) -> BudgetOutcome | None:
    """Return what the budget came to; None for a search without one.

    Parameters
    ----------
    paths : StudyPaths
    parts : sequence of DataFrame
        The trials of each stage, with ``stage`` as a column.
    """
    view = BudgetView.of(paths, time.time)
    if view is None:
        return None
    spending, stages, left_out = view.look(), [], 0
    for part in parts:
        by_configuration = part.assign(out=part["status"] == LEFT_OUT).groupby("config_id")["out"]
        shares = by_configuration.mean()
        left_out += int((part["status"] == LEFT_OUT).sum())
        stages.append(
            StageOutcome(
                str(part["stage"].iloc[0]),
                int((shares == 0).sum()),
                int(((shares > 0) & (shares < 1)).sum()),
                int((shares == 1).sum()),
            )
        )
    return BudgetOutcome(
        view.order.limit,
        left_out > 0 or bool(read_left_out(paths)),
        spending.core_hours,
        spending.gpu_hours,
        left_out,
        tuple(stages),
    )


def left_out_table(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return a row for each configuration of each stage that the budget left incomplete.

    Parameters
    ----------
    parts : sequence of DataFrame
        As of :func:`outcome`.

    Returns
    -------
    DataFrame
        :data:`LEFT_OUT_COLUMNS`.
    """
    rows = []
    for part in parts:
        names = part.loc[part["status"] == LEFT_OUT, "config_id"]
        incomplete = part[part["config_id"].isin(names)]
        for config_id, group in incomplete.groupby("config_id", sort=False):
            out = group[group["status"] == LEFT_OUT]
            begun = out[out["epochs_trained"] > 0]
            rows.append(
                {
                    "stage": part["stage"].iloc[0],
                    "config_id": config_id,
                    "label": group["label"].iloc[0],
                    "epochs": int(group["epochs"].max()),
                    "n_splits": len(group),
                    "n_trained": int((group["status"] == "finished").sum()),
                    "n_begun": len(begun),
                    "reason": (begun if len(begun) else out)["reason"].iloc[0],
                }
            )
    types = {"string": "str", "int": "int64"}
    table = pd.DataFrame(rows, columns=[column.name for column in LEFT_OUT_COLUMNS])
    return table.astype({column.name: types[column.type] for column in LEFT_OUT_COLUMNS})


def complete(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of the configurations that the budget has left whole.

    A mean over the splits that happened to be trained is not comparable with a mean over all.

    Parameters
    ----------
    trials : DataFrame
        Each trial once.

    Raises
    ------
    GridfoldError
        When there is no such configuration.
    """
    cut = set(trials.loc[trials["status"] == LEFT_OUT, "config_id"])
    if not cut:
        return trials
    whole = trials[~trials["config_id"].isin(cut)]
    if not len(whole):
        raise no_answer()
    return whole.reset_index(drop=True)


def no_answer() -> GridfoldError:
    """Return the error of a search whose budget has left nothing that could be compared."""
    return GridfoldError(
        "the budget of the search has left no configuration whole in the stage that answers, "
        "so there is nothing to report; what was trained is kept. Raise search.budget, and "
        "the same command goes on; gridfold plan says what fits"
    )


def begun_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of a stage without the configurations that the budget has not let begin."""
    is_out = (trials["status"] == LEFT_OUT) & (trials["epochs_trained"] == 0)
    return trials[~is_out.groupby(trials["config_id"]).transform("all")]


def trained(parts: Sequence[pd.DataFrame]) -> set[str]:
    """Return the configurations of which at least one trial was trained, or has failed."""
    return {
        str(config_id)
        for part in parts
        for config_id in part.loc[part["status"] != LEFT_OUT, "config_id"].unique()
    }

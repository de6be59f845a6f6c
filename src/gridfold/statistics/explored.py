"""What a search in stages has explored: the configurations that its axes are judged by.

The finalists are few, alike, and chosen for their scores, so they say nothing about what an axis is
worth. The stage that explored has trained all values alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from gridfold.plan.stage_names import title_of
from gridfold.requests import SummaryRequest
from gridfold.statistics.summary import summarise
from gridfold.wording import counted


@dataclass(frozen=True)
class Explored:
    """The stage of a search that trained most configurations.

    Attributes
    ----------
    trials, configurations : DataFrame
        Like the tables of these names, of this stage alone.
    effort : str
        How it trained them, as people say it.
    """

    trials: pd.DataFrame
    configurations: pd.DataFrame
    effort: str


def explored(
    trials: pd.DataFrame, search_trials: pd.DataFrame, request: SummaryRequest
) -> Explored | None:
    """Return what a search has explored; None where that was all compared in the end.

    Parameters
    ----------
    trials, search_trials : DataFrame
        The tables of these names.
    request : SummaryRequest
    """
    counts = search_trials.groupby("stage", sort=False)["config_id"].nunique()
    if len(counts) < 2 or counts.max() <= trials["config_id"].nunique():
        return None
    stage = str(counts.idxmax())
    own = search_trials[search_trials["stage"] == stage].drop(columns="stage")
    epochs, splits = own["epochs"], own["split"].nunique()
    length = counted(int(epochs.iloc[0]), "epoch") if epochs.nunique() == 1 else "its own epochs"
    count = counted(int(counts.max()), "configuration")
    effort = (
        f"all {count} of the stage {title_of(stage)}, each trained for {length} on "
        f"{counted(splits, 'split')}"
    )
    return Explored(own, summarise(own, request), effort)

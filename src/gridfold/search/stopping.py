"""A search in batches looks at the scores so far, and goes on or stops."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from gridfold.arrays import Scores
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stopping import StopDecision
from gridfold.requests import StoppingRule
from gridfold.statistics.stopping import decide

log = logging.getLogger(__name__)


def decided(
    rule: StoppingRule, measure: str, files: Sequence[StageFile], trials: pd.DataFrame
) -> StopDecision:
    """Return what the scores of all batches so far say; a search that has stopped stays so.

    Parameters
    ----------
    rule : StoppingRule
    measure : str
        That ranks.
    files : sequence of StageFile
        Of the batches so far, in their order.
    trials : DataFrame
        Trials of their jobs.
    """
    before = next((f.decision for f in files if f.decision and f.decision.stops), None)
    if before is not None:
        return before
    finished = trials[trials["status"] == "finished"]
    decision = decide(
        rule,
        measure,
        _scores(measure, files, finished),
        float((finished["n_validation"] / finished["n_train"]).mean()),
        float(finished["n_validation"].mean()),
    )
    log.info("%s", decision.sentence)
    return decision


def _scores(measure: str, files: Sequence[StageFile], finished: pd.DataFrame) -> Scores:
    """Return the scores of all configurations in their order, shape (configurations, splits)."""
    ids = [c.id for file in files for c in file.configurations]
    splits = files[0].splits
    if measure not in finished:
        return np.full((len(ids), len(splits)), np.nan)
    last = finished.drop_duplicates(["config_id", "split"], keep="last")
    table = last.pivot(index="config_id", columns="split", values=measure)
    return table.reindex(index=ids, columns=list(splits)).to_numpy(np.float64)

"""Compare the baselines with the selected configuration, on the splits that both have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gridfold.baselines.fitting import TEST
from gridfold.baselines.names import baseline_name
from gridfold.problems import Measure
from gridfold.requests import ComparedBaselinesRequest
from gridfold.statistics.pairwise import compare_with_selected
from gridfold.statistics.scored import Scored
from gridfold.statistics.summary import scores_over_splits
from gridfold.tables.trials import Column, all_measures

BASELINE_COLUMNS = (
    Column("rank", "int", "", "Among the baselines; 1 is best by the mean of the ranking measure"),
    Column("baseline", "string", "", "As in the table of their fits"),
    Column("name", "string", "", "What it is, in words"),
    Column("n_splits", "int", "", "Splits with a score"),
    Column("n_failed", "int", "", "Splits on which it could not be fitted or scored"),
    Column("reason", "string", "", "Why, the first one; else empty"),
    Column("n_train_mean", "float", "samples", "Mean size of the training parts"),
    Column("n_fitted_mean", "float", "samples", "Mean of those that were fitted on"),
    Column(
        "difference",
        "float",
        "",
        "Mean of the ranking measure minus that of the selected configuration, on common splits",
    ),
    Column("difference_low, difference_high", "float", "", "Its corrected confidence interval"),
    Column(
        "p_value",
        "float",
        "",
        "Paired test against the selected configuration as in the table of comparisons, alone; it "
        "knows nothing of the choice of that configuration among many",
    ),
    Column("p_holm", "float", "", "The same, Holm-adjusted for the baselines"),
    Column("superiority", "float", "", "Share of splits on which the selected one is better"),
    Column("test_score", "float", "", "Ranking measure on the test set; empty without one"),
    Column("seconds", "float", "s", "Wall time over all splits, and the test"),
)
_PAIRED = (
    "n_splits",
    "difference",
    "difference_low",
    "difference_high",
    "p_value",
    "p_holm",
    "superiority",
)
_SELECTED = "selected"


def compare_baselines(
    request: ComparedBaselinesRequest,
    baselines: pd.DataFrame,
    trials: pd.DataFrame,
    config_id: str,
) -> pd.DataFrame:
    """Return one row for each baseline, the best first.

    Parameters
    ----------
    request : ComparedBaselinesRequest
    baselines : DataFrame
        As of :func:`gridfold.baselines.fitting.fit_baselines`.
    trials : DataFrame
        The trials table.
    config_id : str
        The selected configuration.

    Returns
    -------
    DataFrame
        :data:`BASELINE_COLUMNS`, and ``<measure>_mean``, ``_sd``, ``_low``, ``_high`` for every
        measure of the trials, the last two within its range.
    """
    measure = request.measure
    names = [name for name in all_measures(trials) if name in baselines]
    baselines = baselines.assign(**{n: np.nan for n in [measure] if n not in baselines})
    selected = trials[trials["config_id"] == config_id]
    rows = []
    for baseline, own in baselines.groupby("baseline", sort=False):
        on_test, on_splits = own[own["split"] == TEST], own[own["split"] != TEST]
        good = on_splits[on_splits["status"] == "finished"]
        reasons = on_splits.loc[on_splits["reason"] != "", "reason"]
        row: dict[str, Any] = {
            "baseline": baseline,
            "name": baseline_name(str(baseline), request.problem),
            "n_failed": len(on_splits) - len(good),
            "reason": reasons.iloc[0] if len(reasons) else "",
            "n_train_mean": on_splits["n_train"].mean(),
            "n_fitted_mean": on_splits["n_fitted"].mean(),
            "test_score": on_test[measure].mean(),
            "seconds": own["seconds"].sum(),
        }
        known = dict.fromkeys([measure, *names])
        rows.append(row | scores_over_splits(good, known, request.confidence))
    table = pd.DataFrame(rows, columns=None if rows else ["baseline", f"{measure}_mean"])
    table = table.merge(_paired(request, selected, baselines), on="baseline", how="left")
    table["n_splits"] = table["n_splits"].fillna(0).astype("int64")
    table = table.sort_values(
        f"{measure}_mean",
        ascending=Measure.of(measure).lower_is_better,
        kind="stable",
        na_position="last",
        ignore_index=True,
    )
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    described = [name for c in BASELINE_COLUMNS for name in c.name.split(", ")]
    summaries = [name for name in table.columns if name not in described]
    return table.reindex(columns=[*described, *summaries])


def _paired(
    request: ComparedBaselinesRequest, selected: pd.DataFrame, baselines: pd.DataFrame
) -> pd.DataFrame:
    """Compare baselines with the selected configuration, by the test of all configurations."""
    measure = request.measure
    scored = baselines[(baselines["split"] != TEST) & (baselines["status"] == "finished")]
    columns = ["config_id", "split", "status", "n_train", "n_validation", measure]
    both = pd.concat(
        [
            selected.assign(config_id=_SELECTED)[columns],
            scored.assign(config_id=scored["baseline"])[columns],
        ],
        ignore_index=True,
    )
    # The selected one first: the others are compared with it, whichever is best.
    names = [_SELECTED, *dict.fromkeys(scored["baseline"])]
    complete = pd.DataFrame({"config_id": names, "n_failed": 0, f"{measure}_mean": 0.0})
    table = compare_with_selected(
        Scored.of(both, complete, measure, request.confidence),
        dict.fromkeys(names, ""),
    )
    return table.iloc[1:].rename(columns={"config_id": "baseline"})[["baseline", *_PAIRED]]

"""The nested estimate: how good search and training are together, by the outer folds."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pandas as pd

from gridfold.arrays import Array
from gridfold.requests import NestedRequest
from gridfold.statistics.intervals import rounding_variance
from gridfold.statistics.selection import Selected, interval_of_mean, worth_of
from gridfold.store.nested import NestedEstimate
from gridfold.training.measures import Scorer


def nested_estimate(request: NestedRequest, table: pd.DataFrame, targets: Array) -> NestedEstimate:
    """Return what the outer folds say together.

    Nested cross-validation (Varma & Simon, 2006, BMC Bioinformatics 7:91; Cawley & Talbot, 2010,
    JMLR 11): the mean of the scores of the winners, each on samples that its search never saw. Its
    interval is that of a mean over folds that share training samples (Nadeau & Bengio, 2003).

    Parameters
    ----------
    request : NestedRequest
    table : DataFrame
        A row for each outer fold, as of :func:`gridfold.search.nested.nested_table`.
    targets : array of shape (samples, ...)
        Of all samples.
    """
    measure = request.measure
    table = table if measure in table else table.assign(**{measure: np.nan})
    scored = table[(table["status"] == "finished") & table[measure].notna()]
    scores = scored[measure].astype(float)
    repeats = len({name.partition("f")[0] for name in scored["outer_fold"]})
    scorer = Scorer(measure, request.function, request.positive_from)
    sizes = scored["n_validation"].astype(float)
    winners = Selected(
        "",
        dict(zip(scored["outer_fold"], scores, strict=True)),
        float((sizes / scored["n_train"].astype(float)).mean()),
        rounding_variance(measure, scores, sizes),
        int(sizes.sum() / max(1, repeats)),
    )
    mean = float(scores.mean())
    low, high = interval_of_mean(
        measure, mean, winners, worth_of(scorer, targets, winners.samples), request.confidence
    )
    chosen = Counter(table.loc[table["config_id"] != "", "config_id"])
    return NestedEstimate(
        measure=measure,
        confidence=request.confidence,
        score=_number(mean),
        sd=_number(float(scores.std(ddof=1))),
        low=low,
        high=high,
        folds=len(scored),
        missing=len(table) - len(scored),
        searched=_number(float(scored["search_mean"].astype(float).mean())),
        distinct=len(chosen),
        as_study=int(table["as_study"].sum()),
        agreement=_agreement(chosen),
        core_hours=_number(float(table["core_hours"].sum(min_count=1))),
        gpu_hours=_number(float(table["gpu_hours"].sum(min_count=1))),
    )


def _agreement(chosen: Counter[str]) -> float | None:
    """Return the share of pairs that have chosen the same."""
    pairs = math.comb(chosen.total(), 2)
    return sum(math.comb(count, 2) for count in chosen.values()) / pairs if pairs else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value

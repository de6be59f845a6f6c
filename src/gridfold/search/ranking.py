"""Configurations of some stages in the order of their scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from gridfold.plan.stage_file import StageFile
from gridfold.problems import Measure
from gridfold.requests import ChosenConfiguration


def score_table(file: StageFile, trials: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the scores of a stage's configurations, split by split.

    Parameters
    ----------
    file : StageFile
    trials : DataFrame
        ``config_id``, ``split``, ``status``, and the measures; also of other stages.
    measure : str

    Returns
    -------
    DataFrame
        A row for each configuration that has all scores, in the order of the file, and a column
        for each split on which any configuration has one: where the measure is not defined on the
        samples of a split, nobody has.

    Notes
    -----
    Configurations that miss a score, because a trial failed, are left out: their mean would be over
    other splits.
    """
    ids = [c.id for c in file.configurations]
    if measure not in trials:
        return pd.DataFrame(index=ids[:0], columns=[*file.scored_splits], dtype="float64")
    rows = trials[trials["split"].isin(file.scored_splits) & (trials["status"] == "finished")]
    scores = (
        rows.drop_duplicates(["config_id", "split"], keep="last")
        .pivot(index="config_id", columns="split", values=measure)
        .reindex(index=ids, columns=[*file.scored_splits])
    )
    is_trained = rows["split"].unique()
    undefined = [s for s in scores if s in is_trained and scores[s].isna().all()]
    return scores.drop(columns=undefined).dropna()


def ranked(
    files: Iterable[StageFile], trials: pd.DataFrame, measure: str
) -> list[ChosenConfiguration]:
    """Return the configurations of some stages, best first, each with its score.

    Parameters
    ----------
    files : iterable of StageFile
    trials : DataFrame
        The trials of their shards, see :func:`score_table`.
    measure : str

    Notes
    -----
    The score is the mean over the splits. Among equal ones the earlier one is better.
    """
    candidates = [
        configuration
        for file in files
        for configuration in by_mean(file, score_table(file, trials, measure), measure)
    ]
    sign = Measure.of(measure).sign
    candidates.sort(key=lambda candidate: -sign * (candidate.score or 0.0))
    first: dict[str, ChosenConfiguration] = {}
    for candidate in candidates:
        first.setdefault(candidate.id, candidate)
    return list(first.values())


def by_mean(file: StageFile, scores: pd.DataFrame, measure: str) -> list[ChosenConfiguration]:
    """Return the configurations of a score table, best first, each with its mean as its score.

    Parameters
    ----------
    file : StageFile
    scores : DataFrame
        Of :func:`score_table`.
    measure : str
    """
    means = dict(zip(scores.index, scores.mean(axis=1), strict=True))
    known = [replace(c, score=float(means[c.id])) for c in file.configurations if c.id in means]
    sign = Measure.of(measure).sign
    return sorted(known, key=lambda c: -sign * (c.score or 0.0))

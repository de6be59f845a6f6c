"""A race over the splits: which configurations can still be the best, and what was left behind.

Scores are taken as the sum of what is a configuration's, what is a split's, and noise of one
variance (a two-way analysis of variance without interaction, as in the races of Maron & Moore,
1997, Artificial Intelligence Review 11, and of irace, López-Ibáñez et al., 2016, Operations
Research Perspectives 3). What a configuration has ahead of another after `k` of `K` splits will
then change by a difference with the variance ``2 s^2 (1/k - 1/K)``: unlike in a test of whether
the two differ, nothing is uncertain when all splits are trained.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from gridfold.arrays import Array, Scores
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stages import going_on_at_first
from gridfold.problems import Measure
from gridfold.requests import ChosenConfiguration, RaceRules
from gridfold.search.ranking import by_mean, score_table
from gridfold.statistics.intervals import rounding_variance
from gridfold.tables.trials import Column

RACE_COLUMNS = (
    Column("config_id", "string", "", "Configuration that was left behind"),
    Column("label", "string", "", "Its axis values in one line"),
    Column("n_splits", "int", "", "Splits that it was trained on"),
    Column("reason", "string", "", "first split, behind, or failed"),
    Column("score", "float", "", "Mean of the ranking measure over these splits"),
    Column("leader", "float", "", "The same of the best one in the end"),
    Column("behind", "float", "", "How much better that one was on these splits"),
    Column("allowed", "float", "", "How much it might have been; empty after the first split"),
    Column("risk", "float", "", "Probability, at most, that all splits would have turned it round"),
    Column("expected_loss", "float", "", "By how much it would then have been better, times that"),
)


@dataclass(frozen=True)
class Noise:
    """How much scores vary from split to split, apart from what all configurations share.

    Attributes
    ----------
    variance : float
    degrees : int
        Degrees of freedom of its estimate; 0 where nothing is known.
    """

    variance: float
    degrees: int


def noise(scores: Scores, least_variance: float = 0.0) -> Noise:
    """Return the noise of scores: the residual of an additive model.

    Parameters
    ----------
    scores : array of shape (configurations, splits)
        NaN from the split on on which a configuration was not trained any more.
    least_variance : float
        That scores have by their resolution alone.

    Notes
    -----
    Each split adds the differences of its scores from the means of the splits before, scaled to the
    variance of one score (Helmert's contrasts). Without NaN their sum of squares is the residual of
    a two-way analysis of variance.
    """
    total, degrees = 0.0, 0
    for k in range(1, scores.shape[1]):
        rows = scores[np.isfinite(scores[:, k])]
        if len(rows) > 1:
            change = (rows[:, k] - rows[:, :k].mean(axis=1)) * math.sqrt(k / (k + 1))
            total += float(np.square(change - change.mean()).sum())
            degrees += len(rows) - 1
    return Noise(max(total / degrees, least_variance) if degrees else math.nan, degrees)


def allowed_deficit(found: Noise, known: int, splits: int, risk: float) -> float:
    """Return how far behind the leader a configuration may be and still go on.

    Parameters
    ----------
    found : Noise
    known, splits : int
        Splits that are trained, and all.
    risk : float
        That one would have overtaken the leader which is left behind.
    """
    if not found.degrees:
        return math.inf
    quantile = float(stats.t.isf(risk, found.degrees))
    return quantile * math.sqrt(2 * found.variance * (1 / known - 1 / splits))


def going_on(
    scores: Scores, splits: int, risk: float, least_variance: float = 0.0
) -> tuple[Array, float]:
    """Tell which configurations can still be the best on all splits.

    Parameters
    ----------
    scores : array of shape (configurations, known splits)
        Higher is better; of at least two splits.
    splits : int
        Splits of the whole race.
    risk : float
        That one would have overtaken the leader which is left behind.
    least_variance : float
        That scores have by their resolution alone.

    Returns
    -------
    goes_on : array of bool of shape (configurations,)
    allowed : float
        How far behind the leader they may be.
    """
    means = scores.mean(axis=1)
    known = scores.shape[1]
    allowed = allowed_deficit(noise(scores, least_variance), known, splits, risk)
    # Sums of the same numbers in another order differ in the last digit.
    digits = np.finfo(np.float64).eps * known * float(np.abs(means).max())
    return means >= means.max() - allowed - digits, allowed


def next_round(
    race: RaceRules, before: StageFile, trials: pd.DataFrame, measure: str
) -> list[ChosenConfiguration]:
    """Return the configurations of the next round of a race, the best so far first.

    Parameters
    ----------
    race : RaceRules
    before : StageFile
        Of the round before.
    trials : DataFrame
        Of all rounds so far.
    measure : str
        That ranks.
    """
    scores = score_table(before, trials, measure)
    order = by_mean(before, scores, measure)
    if len(scores) == 0 or scores.shape[1] < 2:
        return order[: going_on_at_first(len(before.configurations))]
    goes_on, _ = _judged(race, before, scores, trials, measure)
    stays = set(scores.index[goes_on])
    return [c for c in order if c.id in stays]


def _judged(
    race: RaceRules, file: StageFile, scores: pd.DataFrame, trials: pd.DataFrame, measure: str
) -> tuple[Array, float]:
    """Tell which configurations of a round go on, and how far behind they may be."""
    # A split on which the measure is not defined decides nothing.
    defined = race.splits - (len(file.scored_splits) - scores.shape[1])
    signed = Measure.of(measure).sign * scores.to_numpy()
    return going_on(signed, defined, race.risk, _least_variance(trials, measure))


def _least_variance(trials: pd.DataFrame, measure: str) -> float:
    good = trials[trials["status"] == "finished"]
    return rounding_variance(measure, good[measure], good["n_validation"])


def race_table(
    race: RaceRules, rounds: Sequence[StageFile], trials: pd.DataFrame, measure: str
) -> pd.DataFrame:
    """Return what a race has left behind, and the risk that the winner was among it.

    Parameters
    ----------
    race : RaceRules
    rounds : sequence of StageFile
        In their order.
    trials : DataFrame
        Of all rounds.
    measure : str
        That ranks.

    Returns
    -------
    DataFrame
        :data:`RACE_COLUMNS`, a row for each configuration without scores on all splits.

    Notes
    -----
    The risk is that of an additive model with the noise of all rounds: the mean of a configuration
    over all splits is expected where its mean is over those that it has, each split measured from
    the complete configurations, with the variance ``s^2 (1/k - 1/K)``, and one over the complete
    configurations more for these. Of configurations that look bad by bad luck it knows nothing: no
    mean is drawn towards the others. In simulations it was never smaller than how often the winner
    was lost (docs/searching.md).
    """
    sign = Measure.of(measure).sign
    scores = [score_table(file, trials, measure) for file in rounds]
    final = sign * scores[-1]
    # The last of each has most splits; NaN from where a configuration was left behind or failed.
    each = pd.concat(scores)
    each = each[~each.index.duplicated(keep="last")].reindex(columns=final.columns)
    found = noise(sign * each.to_numpy(), _least_variance(trials, measure))
    rows: list[dict[str, Any]] = []
    for number, file in enumerate(rounds):
        is_last, known = file is rounds[-1], scores[number]
        going_on = known.index if is_last else [c.id for c in rounds[number + 1].configurations]
        allowed = None
        if len(known) and known.shape[1] > 1 and not is_last:
            allowed = _judged(race, file, known, trials, measure)[1]
        for c in [c for c in file.configurations if c.id not in going_on]:
            row = {"config_id": c.id, "label": c.label, "n_splits": len(file.scored_splits)}
            if c.id not in known.index:
                row["reason"] = "failed"
            else:
                row["reason"] = "first split" if allowed is None else "behind"
                row |= {"score": float(known.loc[[c.id]].to_numpy().mean()), "allowed": allowed}
                row |= _chance(sign * known.loc[[c.id]], final, found, sign)
            rows.append(row)
    types = {"string": "str", "int": "int64", "float": "float64"}
    table = pd.DataFrame(rows, columns=[column.name for column in RACE_COLUMNS])
    return table.astype({column.name: types[column.type] for column in RACE_COLUMNS})


def _chance(
    own: pd.DataFrame, final: pd.DataFrame, found: Noise, sign: int
) -> dict[str, float | None]:
    """Return how likely a configuration would have won on all splits, and what that is worth.

    Parameters
    ----------
    own : DataFrame
        Its scores, in one row; higher is better, as in `final`.
    final : DataFrame
        The scores of the complete configurations.
    found : Noise
    sign : int
        That makes these scores those of the measure again.
    """
    if not len(final):
        return {}
    shared = final[own.columns].to_numpy()
    complete, scores = final.to_numpy(), own.to_numpy()[0]
    best = int(complete.mean(axis=1).argmax())
    ahead = float(shared[best].mean())
    row: dict[str, float | None] = {"leader": sign * ahead, "behind": ahead - float(scores.mean())}
    if not found.degrees:
        return row
    # Measured from the complete configurations, split by split.
    deficit = (complete[best] - complete.mean(axis=0)).mean() - (
        scores - shared.mean(axis=0)
    ).mean()
    left = 1 / len(scores) - 1 / complete.shape[1]
    error = math.sqrt(found.variance * left * (1 + 1 / len(complete)))
    if error == 0:
        return {**row, "risk": 0.0, "expected_loss": 0.0}
    z, df = float(deficit) / error, found.degrees
    risk = float(stats.t.sf(z, df))
    # The mean of what Student's distribution has above a value, as in expected improvement.
    above = (df + z**2) / (df - 1) * float(stats.t.pdf(z, df)) - z * risk if df > 1 else None
    return {
        **row,
        "risk": risk,
        "expected_loss": None if above is None else max(0.0, error * above),
    }


def risk_of_all(table: pd.DataFrame) -> float:
    """Return the probability, at most, that the winner is in a race table."""
    return float(1 - np.prod(1 - table["risk"].fillna(0.0)))

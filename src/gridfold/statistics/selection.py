"""How much of the winner's score is luck of the selection: bootstrap bias correction (BBC-CV)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gridfold.arrays import Array, Scores
from gridfold.errors import TrialFailure
from gridfold.objectives import BEST
from gridfold.plan.stage_names import EXPLORE, is_race_round
from gridfold.problems import Measure
from gridfold.requests import ComparisonRequest
from gridfold.statistics.bounded import interval_within
from gridfold.statistics.front import means_of, violations
from gridfold.statistics.intervals import (
    corrected_standard_error,
    rounding_variance,
    t_quantile,
)
from gridfold.statistics.scored import comparable
from gridfold.statistics.weighted import is_fast, weighted_score
from gridfold.store.selection import SelectionFacts
from gridfold.tables.trials import read_table, stacked
from gridfold.training.measures import Scorer

_MOST_RESAMPLES, _LEAST_RESAMPLES = 500, 200
_LEAST_CANDIDATES = 20
# Predictions that are weighted in all: a minute or so for means, and for what is sorted or counted.
_OPERATIONS_OF_MEANS, _OPERATIONS = 10_000_000_000, 500_000_000
# The same for measures that are called for each draw, in calls.
_CALLS = 20_000
# Draws times samples that are held in memory at once.
_CELLS = 4_000_000

# Samples of the validation part and their predictions, by split.
_Predictions = dict[str, tuple[Array, Array]]
# Scores of all candidates, of shape (draws, candidates), from weights of shape (draws, samples).
_Evaluation = Callable[[Array], Scores]


@dataclass(frozen=True)
class Candidates:
    """Configurations that a selection could choose from.

    Attributes
    ----------
    ids : list of str
        The best first.
    splits : list of str
        On which all of them are scored.
    files : list of Path
        Tables of predictions that hold theirs.
    may_miss : bool
        Whether some are scored on the first of the splits alone, since a race has left them behind.
    """

    ids: list[str]
    splits: list[str]
    files: Sequence[Path]
    may_miss: bool = False


@dataclass(frozen=True)
class Selected:
    """The scores of the selected configuration.

    Attributes
    ----------
    id : str
    scores : mapping of str to float
        By split; NaN where the measure is not defined.
    ratio : float
        Validation samples over training samples of a split.
    least_variance : float
        That a score has by its resolution alone.
    samples : int
        That are validated, each counted once.
    """

    id: str
    scores: Mapping[str, float]
    ratio: float
    least_variance: float
    samples: int

    @property
    def defined(self) -> Scores:
        """The scores that are one."""
        values = np.fromiter(self.scores.values(), np.float64)
        return np.asarray(values[~np.isnan(values)])


def estimate_selection(
    scorer: Scorer,
    selected: Selected,
    targets: Array,
    groups: Array,
    compared: Candidates,
    confidence: float,
    explored: Candidates | None = None,
) -> SelectionFacts:
    """Return the score of the selected configuration, corrected for having been selected.

    Bootstrap bias corrected cross-validation (Tsamardinos, Greasidou & Borboudakis, 2018, Machine
    Learning 107, algorithm 3), from predictions that exist already: draw samples with
    replacement, select on these, judge on the samples that were not drawn. Scores are made as the
    selection made them: split by split, then the mean over the splits. So the selected
    configuration is the best of what was observed, whatever the measure. Grouped samples are drawn
    by groups. A split on which the measure is not defined for a draw is left out of it.

    What is lost is the mean difference, on samples that were not drawn, between the selected
    configuration and the one that the draw selects. For means over samples that is Tsamardinos'
    estimate; for other measures, whose scores depend on the number of samples, it compares like
    with like.

    Parameters
    ----------
    scorer : Scorer
        Of the ranking measure.
    selected : Selected
    targets, groups : array of shape (samples, ...) and (samples,)
        Of all samples.
    compared : Candidates
        What was compared in the end, the selected configuration first.
    confidence : float
    explored : Candidates, optional
        All that a search in stages has tried, on splits of its own. Its luck counts where it is
        larger than that of the last comparison.
    """
    mean = float(selected.defined.mean()) if len(selected.defined) else math.nan
    measure = scorer.measure
    worth = worth_of(scorer, targets, selected.samples)
    plain = interval_of_mean(measure, mean, selected, worth, confidence)
    if len(compared.ids) < 2 and explored is None:
        return SelectionFacts.without(
            "With one complete configuration nothing was selected.", *plain
        )
    predictions = _predictions(compared)
    if not _reproduces(predictions[0], scorer, targets, selected.scores):
        return SelectionFacts.without(
            "The predictions are on another scale than the targets, so the selection can’t be "
            "repeated on them.",
            *plain,
        )
    last = _luck(scorer, targets, groups, compared, predictions, selected.id)
    before, unseen = None, False
    if explored is not None:
        found = _predictions(explored)
        unseen = not np.intersect1d(_samples(predictions), _samples(found)).size
    if explored is not None and not unseen:
        before = _luck(scorer, targets, groups, explored, found, selected.id)
    known = [part for part in (last, before) if part is not None]
    if not known:
        return SelectionFacts.without(
            f"{measure} is not defined on these bootstrap samples.", *plain
        )
    sign = Measure.of(measure).sign
    luck = max(known, key=lambda part: sign * part.optimism)
    drawn = sign * luck.optimism
    optimism = max(0.0, drawn)
    low, high = Measure.of(measure).range
    corrected = min(max(mean - sign * optimism, low), high)
    ends = interval_of_mean(measure, corrected, selected, worth, confidence)
    if ends == (None, None):
        ends = luck.interval(corrected, confidence, measure)
    shares = np.zeros(0) if last is None else np.bincount(last.winners) / len(last.winners)
    return SelectionFacts(
        corrected=corrected,
        optimism=optimism,
        low=ends[0],
        high=ends[1],
        samples=luck.samples,
        candidates=luck.candidates,
        resamples=len(luck.winners),
        obstacle="",
        drawn_optimism=drawn,
        explored=0 if before is None else before.candidates,
        chosen={compared.ids[i]: float(shares[i]) for i in np.flatnonzero(shares)},
        unseen=unseen,
    )


_Ends = tuple[float | None, float | None]


def worth_of(scorer: Scorer, targets: Array, samples: int) -> float:
    """Return how many independent samples a score is worth at most that is a share of them.

    Measures of classes rest on the rarest one.
    """
    if scorer.is_mean or targets.ndim > 1:
        return samples
    return float(np.unique(targets, return_counts=True)[1].min() / len(targets) * samples)


def interval_of_mean(
    measure: str, score: float, selected: Selected, worth: float, confidence: float
) -> _Ends:
    """Return the interval of a mean over splits, within the range of the measure."""
    values = selected.defined
    if len(values) < 2 or not math.isfinite(score):
        return None, None
    error = corrected_standard_error(values, selected.ratio, selected.least_variance)
    quantile = t_quantile((1 + confidence) / 2, len(values) - 1)
    return interval_within(measure, score, error, quantile, at_the_end=worth)


@dataclass(frozen=True)
class _Luck:
    """What selecting on bootstrap samples has found.

    Attributes
    ----------
    winners : array of shape (draws,)
        Position of the best configuration; draws without a score are left out.
    judged : array of shape (draws,)
        Its score on the samples that were not drawn.
    reference : array of shape (draws,)
        The score of the selected configuration on these.
    samples, candidates : int
    """

    winners: Array
    judged: Scores
    reference: Scores
    samples: int
    candidates: int

    @property
    def optimism(self) -> float:
        """What the selected configuration has ahead by luck, in units of the measure."""
        return float((self.reference - self.judged).mean())

    def interval(self, score: float, confidence: float, measure: str) -> _Ends:
        """Return the percentile interval around a score."""
        tail = (1 - confidence) / 2
        ends = np.quantile(self.judged, [tail, 1 - tail]) - self.judged.mean() + score
        low, high = np.clip(ends, *Measure.of(measure).range)
        return float(low), float(high)


def _predictions(candidates: Candidates) -> list[_Predictions]:
    """Return what each candidate predicts on each split, of the last shard that has it."""
    found: dict[str, _Predictions] = {candidate: {} for candidate in candidates.ids}
    for file in candidates.files:
        # A search in stages has other splits in the same tables.
        wanted = [("config_id", "in", candidates.ids), ("split", "in", candidates.splits)]
        table = read_table(file, wanted)
        if not len(table):
            continue
        # As one array: a list object for each sample would take ten times the memory.
        samples, predicted = table["sample"].to_numpy(), stacked(table.pop("prediction"))
        places: Mapping[Any, Any] = table.groupby(["config_id", "split"], sort=False).indices
        for (config_id, split), rows in places.items():
            ordered = rows[np.argsort(samples[rows], kind="stable")]
            found[str(config_id)][str(split)] = samples[ordered], predicted[ordered]
    return [found[candidate] for candidate in candidates.ids]


def _samples(predictions: Sequence[_Predictions]) -> Array:
    """Return the samples that are predicted, of the candidate that has most of them."""
    parts = max(predictions, key=len, default={})
    return np.unique(np.concatenate([part for part, _ in parts.values()] or [np.arange(0)]))


def _reproduces(
    predictions: _Predictions, scorer: Scorer, targets: Array, expected: Mapping[str, float]
) -> bool:
    """Tell whether predictions and targets give the score that the trials table has."""
    for split, (samples, prediction) in predictions.items():
        if math.isfinite(expected.get(split, math.nan)):
            try:
                found = scorer.score(targets[samples], prediction)
            except (ValueError, TrialFailure):
                return False
            return math.isclose(found, expected[split], rel_tol=1e-4, abs_tol=1e-6)
    return False


def _luck(
    scorer: Scorer,
    targets: Array,
    groups: Array,
    candidates: Candidates,
    predictions: list[_Predictions],
    selected: str,
) -> _Luck | None:
    """Select on bootstrap samples, and judge on what they left out; None without any score."""
    # Where a trial has no predictions, its configuration was no candidate.
    least = 1 if candidates.may_miss else len(candidates.splits)
    complete = [i for i, each in enumerate(predictions) if len(each) >= least]
    if not complete:
        return None
    ids = [candidates.ids[i] for i in complete]
    most_known = max((predictions[i] for i in complete), key=len)
    per_candidate = sum(len(part) for part, _ in most_known.values())
    draws, most = _effort(scorer, len(ids), per_candidate, len(candidates.splits))
    whole = [len(predictions[i]) == len(most_known) for i in complete]
    position = ids.index(selected) if selected in ids else whole.index(True)
    kept = [*range(most)] if position < most else [*range(most - 1), position]
    place_of_selected = kept.index(position)
    predictions = [predictions[complete[i]] for i in kept]
    parts = {split: most_known[split][0] for split in most_known}
    samples = np.unique(np.concatenate([*parts.values()]))
    units = np.unique(groups[samples], return_inverse=True)[1]
    evaluations = [
        _Part(
            units[np.searchsorted(samples, part)],
            _evaluation(
                scorer, targets[part], [each[split][1] for each in predictions if split in each]
            ),
            np.array([split in each for each in predictions]),
        )
        for split, part in parts.items()
    ]
    judge = _judged_in_turn if candidates.may_miss else _judged_together
    random, count = np.random.default_rng(0), int(units.max()) + 1
    sign = Measure.of(scorer.measure).sign
    winners, judged, reference = [], [], []
    step = max(1, _CELLS // per_candidate)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        drawn = random.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)
        best, found, own = judge(evaluations, drawn, sign, place_of_selected)
        winners.append(best)
        judged.append(found)
        reference.append(own)
    chosen = np.concatenate(winners)
    if not len(chosen):
        return None
    return _Luck(
        np.asarray(kept)[chosen],
        np.concatenate(judged),
        np.concatenate(reference),
        count,
        len(kept),
    )


def _effort(scorer: Scorer, candidates: int, samples: int, splits: int) -> tuple[int, int]:
    """Return how many draws and how many of the best candidates there is time for."""
    if is_fast(scorer):
        most = _OPERATIONS_OF_MEANS if scorer.is_mean else _OPERATIONS
        each = 2 * samples
    else:
        most, each = _CALLS, 2 * splits
    draws = min(_MOST_RESAMPLES, max(_LEAST_RESAMPLES, most // (each * candidates)))
    return draws, min(candidates, max(_LEAST_CANDIDATES, most // (each * draws)))


@dataclass(frozen=True)
class _Part:
    """The validation part of a split.

    Attributes
    ----------
    units : array of int of shape (samples,)
        Which unit that is drawn each sample belongs to.
    evaluate : callable
        Scores the candidates that have predictions.
    has : array of bool of shape (candidates,)
        Which these are.
    """

    units: Array
    evaluate: _Evaluation
    has: Array


def _mean_over_splits(parts: list[_Part], drawn: Array) -> Scores:
    """Return the mean over the splits on which all candidates have a score."""
    total: Scores = np.zeros(1)
    defined: Array = np.zeros(1)
    for part in parts:
        scores = part.evaluate(drawn[:, part.units])
        known = np.isfinite(scores).all(axis=1, keepdims=True)
        total = total + np.where(known, scores, 0.0)
        defined = defined + known
    with np.errstate(invalid="ignore"):
        return np.asarray(total / defined)


_Judged = tuple[Array, Scores, Scores]


def _judged_together(parts: list[_Part], drawn: Array, sign: int, selected: int) -> _Judged:
    """Select on what is drawn of all splits, and judge on what is left out of them.

    Returns
    -------
    winners : array of int of shape (draws,)
        Draws without a score are left out.
    judged, reference : array of shape (draws,)
        Scores of the winner and of the selected candidate.
    """
    inside = _mean_over_splits(parts, drawn)
    outside = _mean_over_splits(parts, (drawn == 0).astype(np.float64))
    valid = np.isfinite(inside).all(axis=1) & np.isfinite(outside).all(axis=1)
    # Of equals the one that is ahead in the study.
    best = (sign * inside[valid]).argmax(axis=1)
    found = outside[valid]
    return best, found[np.arange(len(best)), best], found[:, selected]


def _judged_in_turn(parts: list[_Part], drawn: Array, sign: int, selected: int) -> _Judged:
    """Select and judge split by split, each time among those that a race has trained on it.

    Which these are was decided on the splits before, so what is left out of this one has had no
    part in it; that the last ones are the best on all splits has. Returns as the above.
    """
    draws, candidates = len(drawn), len(parts[0].has)
    left_out = (drawn == 0).astype(np.float64)
    total, defined = np.zeros((draws, candidates)), np.zeros((draws, 1))
    best = np.zeros(draws, np.int64)
    judged, reference, counted = np.zeros(draws), np.zeros(draws), np.zeros(draws)
    for part in parts:
        inside = np.full((draws, candidates), np.nan)
        outside = inside.copy()
        inside[:, part.has] = part.evaluate(drawn[:, part.units])
        outside[:, part.has] = part.evaluate(left_out[:, part.units])
        known = np.isfinite(inside[:, part.has]).all(axis=1)
        total[known] += inside[known]
        defined[known] += 1
        known &= np.isfinite(outside[:, part.has]).all(axis=1)
        with np.errstate(invalid="ignore"):
            means = sign * total / defined
        best[known] = np.nanargmax(np.where(part.has, means, np.nan)[known], axis=1)
        judged[known] += outside[known, best[known]]
        reference[known] += outside[known, selected]
        counted += known
    valid = counted > 0
    return best[valid], judged[valid] / counted[valid], reference[valid] / counted[valid]


def _evaluation(scorer: Scorer, targets: Array, predictions: list[Array]) -> _Evaluation:
    """Return the function that scores all candidates on one split."""
    if scorer.is_mean:
        losses = np.stack([scorer.losses(targets, each) for each in predictions], axis=1)

        def means(weights: Array) -> Scores:
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.asarray(weights @ losses / weights.sum(axis=1, keepdims=True))

        return means
    each = [weighted_score(scorer, targets, prediction) for prediction in predictions]
    return lambda weights: np.stack([score(weights) for score in each], axis=1)


def estimate_of_study(
    request: ComparisonRequest,
    trials: pd.DataFrame,
    configurations: pd.DataFrame,
    search_trials: pd.DataFrame,
    *,
    targets: Array,
    groups: Array,
    compared: Sequence[Path],
    explored: Sequence[Path],
) -> SelectionFacts:
    """Return the corrected score of the selected configuration of a study.

    Parameters
    ----------
    request : ComparisonRequest
    trials, configurations, search_trials : DataFrame
        The tables of these names.
    targets, groups : array
        Of all samples.
    compared, explored : sequence of Path
        Tables of predictions: of the trials that are compared in the end, and of all trials of a
        search in stages.
    """
    measure = request.measure
    good = trials[trials["status"] == "finished"]
    best = str(configurations["config_id"].iloc[0])
    own = good[good["config_id"] == best]
    repeats = own["split"].str.partition("f")[0].nunique()
    complete = comparable(configurations, measure)
    candidates = complete["config_id"].astype(str).tolist()
    rule = request.objectives.rule if request.objectives else BEST
    if rule != BEST:
        candidates = [best]
    found = estimate_selection(
        Scorer(measure, request.function, request.positive_from),
        Selected(
            best,
            dict(zip(own["split"].astype(str), own[measure].astype(float), strict=True)),
            float((own["n_validation"] / own["n_train"]).mean()),
            rounding_variance(measure, own[measure], own["n_validation"]),
            int(own["n_validation"].sum() / max(1, repeats)),
        ),
        targets,
        groups,
        Candidates(candidates or [best], list(own["split"].astype(str)), compared),
        request.confidence,
        _explored(search_trials, set(candidates), request, explored)
        if candidates and rule == BEST
        else None,
    )
    if rule != BEST:
        return replace(
            found,
            obstacle=f"The rule of the selection, {rule}, is not repeated on bootstrap samples.",
        )
    if candidates:
        return found
    return replace(found, obstacle="No configuration finished all its trials.")


def _explored(
    search_trials: pd.DataFrame,
    compared: set[str],
    request: ComparisonRequest,
    files: Sequence[Path],
) -> Candidates | None:
    """Return what a search has tried besides what it compared in the end; None if nothing.

    On the splits of its first stage. A configuration of several stages has the score of the last
    one, which is its longest training.
    """
    good = search_trials[search_trials["status"] == "finished"]
    if not files or not len(good):
        return None
    if good["stage"].map(is_race_round).any():
        return _raced(good, compared, request.measure, files)
    first = good[good["stage"] == good["stage"].iloc[0]]
    splits = list(dict.fromkeys(first["split"].astype(str)))
    last = good[good["split"].isin(splits)].drop_duplicates(["config_id", "split"], keep="last")
    scores = last.pivot(index="config_id", columns="split", values=request.measure)
    trained = last.groupby("config_id")["split"].nunique()
    scores = scores.loc[trained.index[trained == len(splits)]]
    means = (Measure.of(request.measure).sign * scores.mean(axis=1)).dropna()
    if request.objectives is not None:
        missed = violations(means_of(last, request.objectives.looked_at), request.objectives)
        means = means[missed.reindex(means.index.astype(str)).to_numpy() == ""]
    return _besides(compared, Candidates(_best_first(means), splits, files))


def _best_first(means: pd.Series) -> list[str]:
    return [str(i) for i in means.sort_values(ascending=False, kind="stable").index]


def _besides(compared: set[str], found: Candidates) -> Candidates | None:
    """Return candidates, if there are some that were not compared in the end, too."""
    return None if len(found.ids) < 2 or compared.issuperset(found.ids) else found


def _raced(
    good: pd.DataFrame, compared: set[str], measure: str, files: Sequence[Path]
) -> Candidates | None:
    """Return what a race has begun with, the best first by the splits that each has."""
    own = good["stage"].eq(EXPLORE) | good["stage"].map(is_race_round)
    splits = list(dict.fromkeys(good.loc[own, "split"].astype(str)))
    last = good[good["split"].isin(splits)].drop_duplicates(["config_id", "split"], keep="last")
    scores = last.pivot(index="config_id", columns="split", values=measure).dropna(how="all")
    is_complete = scores.notna().sum(axis=1) == scores.notna().any().sum()
    ahead = scores - scores[is_complete].mean()
    means = (Measure.of(measure).sign * ahead.mean(axis=1)).dropna()
    return _besides(compared, Candidates(_best_first(means), splits, files, may_miss=True))

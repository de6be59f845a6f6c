"""How much of the winner's score is luck of the selection: bootstrap bias correction (BBC-CV)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gridfold.arrays import Array, Scores
from gridfold.errors import TrialFailure
from gridfold.problems import Measure
from gridfold.statistics.result import SelectionFacts
from gridfold.tables.trials import read_table, stacked
from gridfold.training.measures import Scorer

_RESAMPLES = 500
# Measures that are no mean over samples are computed anew for every draw, which takes longer.
_FEWER_RESAMPLES, _FEWER_CANDIDATES = 200, 20
# Draws times samples that are held in memory at once.
_CELLS = 4_000_000


# Samples of the validation part and their predictions, by split.
_Predictions = dict[str, tuple[Array, Array]]


@dataclass(frozen=True)
class SelectionEstimate:
    """The selected configuration's score with the luck of the selection taken out.

    Attributes
    ----------
    corrected : float
        Its mean over the splits less `optimism`; NaN where that can't be estimated.
    optimism : float
        Pooled score of the selected configuration minus the mean score, on samples that a
        bootstrap sample left out, of the configuration that is best on this bootstrap sample.
    low, high : float
        Percentile interval of that mean score's draws, moved by as much as the mean.
    samples : int
        Samples with predictions (groups, where samples are grouped).
    candidates, resamples : int
    chosen : dict of str to float
        Share of bootstrap samples on which each configuration is the best.
    obstacle : str
        Why there is no estimate; else empty.
    """

    corrected: float = math.nan
    optimism: float = math.nan
    low: float = math.nan
    high: float = math.nan
    samples: int = 0
    candidates: int = 0
    resamples: int = 0
    chosen: Mapping[str, float] | None = None
    obstacle: str = ""

    def facts(self) -> SelectionFacts:
        """Return what is written beside the tables; ``chosen`` goes into one of them."""
        ends = (self.corrected, self.optimism, self.low, self.high)
        corrected, optimism, low, high = (None if math.isnan(value) else value for value in ends)
        return SelectionFacts(
            corrected=corrected,
            optimism=optimism,
            low=low,
            high=high,
            samples=self.samples,
            candidates=self.candidates,
            resamples=self.resamples,
            obstacle=self.obstacle,
        )


def estimate_selection(
    scorer: Scorer,
    mean: float,
    targets: Array,
    groups: Array,
    files: Iterable[Path],
    candidates: list[str],
    expected: Mapping[str, float],
    confidence: float,
) -> SelectionEstimate:
    """Return the score of the selected configuration, corrected for having been selected.

    Bootstrap bias corrected cross-validation (Tsamardinos, Greasidou & Borboudakis, 2018, Machine
    Learning 107, algorithm 3), from predictions that exist already: draw samples with
    replacement, select on these, score on the samples that were not drawn. Grouped samples are
    drawn by groups. With repeats, a configuration's score is the mean over them.

    Parameters
    ----------
    scorer : Scorer
        Of the ranking measure.
    mean : float
        Mean over the splits of the selected configuration.
    targets, groups : array of shape (samples, ...) and (samples,)
        Of all samples.
    files : iterable of Path
        The shards' tables of predictions on validation parts.
    candidates : list of str
        The complete configurations, best first.
    expected : mapping of str to float
        Score of the selected configuration on each split, as the trials table has it.
    confidence : float
    """
    if len(candidates) < 2:
        return SelectionEstimate(obstacle="With one complete configuration nothing was selected.")
    if not scorer.is_mean:
        candidates = candidates[:_FEWER_CANDIDATES]
    predictions = _predictions(files, candidates, list(expected))
    if not _reproduces(predictions[0], scorer, targets, expected):
        return SelectionEstimate(
            obstacle="The predictions are on another scale than the targets, so the selection "
            "can’t be repeated on them."
        )
    samples = np.unique(np.concatenate([part for part, _ in predictions[0].values()]))
    units = np.unique(groups[samples], return_inverse=True)[1]
    winners, judged, pooled = _select_again(scorer, targets, samples, units, predictions)
    if not len(winners):
        return SelectionEstimate(
            obstacle=f"{scorer.measure} is not defined on these bootstrap samples."
        )
    tail = (1 - confidence) / 2
    low, high = np.quantile(judged, [tail, 1 - tail]) + (mean - pooled)
    shares = np.bincount(winners, minlength=len(candidates)) / len(winners)
    optimism = pooled - float(judged.mean())
    return SelectionEstimate(
        corrected=mean - optimism,
        optimism=optimism,
        low=float(low),
        high=float(high),
        samples=int(units.max()) + 1,
        candidates=len(candidates),
        resamples=len(winners),
        chosen=dict(zip(candidates, shares.tolist(), strict=True)),
    )


def _predictions(
    files: Iterable[Path], candidates: list[str], splits: list[str]
) -> list[_Predictions]:
    """Return what each candidate predicts on each split, of the last shard that has it."""
    found: dict[str, _Predictions] = {candidate: {} for candidate in candidates}
    for file in files:
        # A search in stages has other splits in the same tables.
        table = read_table(file, [("config_id", "in", candidates), ("split", "in", splits)])
        for (config_id, split), rows in table.groupby(["config_id", "split"], sort=False):
            # As one array: a list object for each sample would take ten times the memory.
            found[str(config_id)][str(split)] = (
                rows["sample"].to_numpy(),
                stacked(rows["prediction"]),
            )
    return [found[candidate] for candidate in candidates]


def _reproduces(
    predictions: _Predictions, scorer: Scorer, targets: Array, expected: Mapping[str, float]
) -> bool:
    """Tell whether predictions and targets give the score that the trials table has."""
    split, (samples, prediction) = next(iter(predictions.items()))
    found = scorer.score(targets[samples], prediction)
    return math.isclose(found, expected[split], rel_tol=1e-4, abs_tol=1e-6)


def _select_again(
    scorer: Scorer,
    targets: Array,
    samples: Array,
    units: Array,
    predictions: list[_Predictions],
) -> tuple[Array, Scores, float]:
    """Select on bootstrap samples.

    Returns
    -------
    winners : array of shape (draws,)
        Position of the best configuration; draws on which a score is not defined are left out.
    judged : array of shape (draws,)
        Its score on the samples that were not drawn.
    pooled : float
        Score of the first configuration on all samples.
    """
    draws = _RESAMPLES if scorer.is_mean else _FEWER_RESAMPLES
    evaluation = _of_means if scorer.is_mean else _of_sets
    evaluate = evaluation(scorer, targets, samples, predictions)
    random, count = np.random.default_rng(0), int(units.max()) + 1
    sign = Measure.of(scorer.measure).sign
    winners, judged = [], []
    step = max(1, _CELLS // len(samples))
    for start in range(0, draws, step):
        size = min(step, draws - start)
        drawn = random.multinomial(count, np.full(count, 1 / count), size=size)[:, units]
        inside, outside = evaluate(drawn), evaluate((drawn == 0).astype(np.int64))
        valid = np.isfinite(inside).all(axis=1) & np.isfinite(outside).all(axis=1)
        best = (sign * inside[valid]).argmax(axis=1)
        winners.append(best)
        judged.append(outside[valid][np.arange(len(best)), best])
    pooled = float(evaluate(np.ones((1, len(samples)), np.int64))[0, 0])
    return np.concatenate(winners), np.concatenate(judged), pooled


# Scores of all configurations, of shape (draws, configurations), from how often each sample is in
# each draw, of shape (draws, samples).
_Evaluation = Callable[[Array], Scores]


def _of_means(
    scorer: Scorer, targets: Array, samples: Array, predictions: list[_Predictions]
) -> _Evaluation:
    """Return the evaluation of a measure that is a mean over samples."""
    columns = []
    for splits in predictions:
        parts = list(splits.values())
        place = np.searchsorted(samples, np.concatenate([part for part, _ in parts]))
        values = np.concatenate([scorer.losses(targets[part], p) for part, p in parts])
        times = np.bincount(place, minlength=len(samples))
        columns.append(np.bincount(place, values, len(samples)) / times)
    each = np.stack(columns, axis=1)

    def evaluate(counts: Array) -> Scores:
        total = counts.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(counts.astype(np.float64) @ each / total)

    return evaluate


def _of_sets(
    scorer: Scorer, targets: Array, samples: Array, predictions: list[_Predictions]
) -> _Evaluation:
    """Return the evaluation of a measure of whole sets: the mean over the repeats."""
    repeats = [_by_repeat(samples, splits) for splits in predictions]
    truth = targets[samples]

    def one(count: Array, parts: list[tuple[Array, Array]]) -> float:
        scores = []
        for place, prediction in parts:
            taken = np.repeat(np.arange(len(place)), count[place])
            try:
                scores.append(scorer.score(truth[place[taken]], prediction[taken]))
            except (ValueError, TrialFailure):
                return math.nan
        return float(np.mean(scores))

    def evaluate(counts: Array) -> Scores:
        return np.array([[one(count, parts) for parts in repeats] for count in counts])

    return evaluate


def _by_repeat(samples: Array, splits: _Predictions) -> list[tuple[Array, Array]]:
    """Return position among `samples` and prediction of what each repeat has predicted."""
    parts: dict[str, list[tuple[Array, Array]]] = {}
    for name, part in splits.items():
        parts.setdefault(name.partition("f")[0], []).append(part)
    return [
        (
            np.searchsorted(samples, np.concatenate([part for part, _ in repeat])),
            np.concatenate([prediction for _, prediction in repeat]),
        )
        for repeat in parts.values()
    ]

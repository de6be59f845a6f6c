"""Comparison across finished studies: paired where they share splits or test samples, else not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from gridfold.arrays import Array
from gridfold.errors import Problem, StudyError, TrialFailure
from gridfold.finished.study import FinishedStudy
from gridfold.problems import Measure
from gridfold.statistics.bootstrap import percentiles, scores_of_draws
from gridfold.statistics.dependence import Units, unit_error
from gridfold.statistics.intervals import holm, mean_interval, paired_p_value, t_quantile
from gridfold.statistics.shares import SHARES
from gridfold.statistics.weighted import weighted_score
from gridfold.training.measures import Scorer, classes_of
from gridfold.wording import counted, measure_name

_FEWEST_COMMON = 2


@dataclass(frozen=True)
class Difference:
    """A study's score minus that of the reference.

    Attributes
    ----------
    value, low, high : float
        `low` and `high` are NaN where there is no interval.
    p_value : float
        Holm-adjusted for the number of studies; NaN where there is no test.
    basis : str
        What was compared, and how.
    """

    value: float
    low: float
    high: float
    p_value: float
    basis: str


@dataclass(frozen=True)
class StudyComparison:
    """How one study compares with the reference.

    Attributes
    ----------
    study : FinishedStudy
    splits, test : Difference or None
        Over splits, and on the held-out test samples.
    obstacles : list of str
        Why one of them is missing.
    """

    study: FinishedStudy
    splits: Difference | None
    test: Difference | None
    obstacles: list[str]


def compare_studies(studies: Sequence[FinishedStudy]) -> list[StudyComparison]:
    """Compare each study with the first one.

    Parameters
    ----------
    studies : sequence of FinishedStudy
        At least two. The reference is the first one as given, not the best: whoever picks the
        best of several as reference compares with luck.

    Raises
    ------
    StudyError
        When no study can be compared with the first one.
    """
    reference, *others = studies
    refused = [problem for study in others if (problem := _refusal(reference, study))]
    if refused:
        raise StudyError("gridfold compare", refused)
    # With several comparisons, all intervals of test scores hold together (Bonferroni).
    level = 1 - (1 - reference.best.confidence) / len(others)
    found = [_compared(reference, study, level) for study in others]
    adjusted = holm([c.splits.p_value if c.splits else math.nan for c in found])
    return [
        replace(c, splits=replace(c.splits, p_value=float(p))) if c.splits else c
        for c, p in zip(found, adjusted, strict=True)
    ]


def _refusal(reference: FinishedStudy, study: FinishedStudy) -> Problem | None:
    """Say why two studies can't be compared at all."""
    first = reference.name
    if study.problem != reference.problem:
        found = f"its problem is {study.problem}, that of {first} is {reference.problem}"
    elif study.measure != reference.measure:
        found = f"it ranks by {study.measure}, {first} by {reference.measure}"
    elif study.data_digest != reference.data_digest and not _same_test(reference, study):
        found = f"it has other data and other test samples than {first}"
    else:
        return None
    allowed = "allowed: studies with the same problem and measure, on the same data or test samples"
    return Problem((study.name,), found, allowed)


def _same_test(reference: FinishedStudy, study: FinishedStudy) -> bool:
    digest = reference.test_digest()
    return bool(digest) and digest == study.test_digest()


def _compared(reference: FinishedStudy, study: FinishedStudy, level: float) -> StudyComparison:
    obstacles: list[str] = []
    splits = _over_splits(reference, study, obstacles)
    test = _on_test_samples(reference, study, level, obstacles)
    return StudyComparison(study, splits, test, obstacles)


def _over_splits(
    reference: FinishedStudy, study: FinishedStudy, obstacles: list[str]
) -> Difference | None:
    """Compare the selected configurations on the splits that both studies have."""
    if study.data_digest != reference.data_digest:
        obstacles.append("No comparison over splits: the data differ.")
        return None
    common = [
        name
        for name, digest in study.splits.items()
        if reference.splits.get(name) == digest
        and name in study.scores.index
        and name in reference.scores.index
    ]
    if len(common) < _FEWEST_COMMON:
        obstacles.append(
            "Not paired: the studies share fewer than two splits, and scores on different splits "
            "of the same samples are neither paired nor independent."
        )
        return None
    ours = study.scores[common].to_numpy(float)
    theirs = reference.scores[common].to_numpy(float)
    least = study.rounding + reference.rounding
    interval = mean_interval(ours - theirs, study.ratio, reference.best.confidence, least)
    low, high = _within(study.measure, interval.mean, interval.high - interval.mean)
    return Difference(
        interval.mean,
        low,
        high,
        paired_p_value(ours, theirs, study.ratio, least),
        f"paired over {counted(len(common), 'common split')}",
    )


def _on_test_samples(
    reference: FinishedStudy, study: FinishedStudy, level: float, obstacles: list[str]
) -> Difference | None:
    """Compare the final models on held-out samples, paired by sample where these are the same."""
    ours, theirs = study.card.test, reference.card.test
    if ours is None or theirs is None:
        obstacles.append("No comparison on test samples: not both studies have held some out.")
        return None
    results = []
    for each, told in ((study, ours), (reference, theirs)):
        targets, prediction = each.test_results()
        scorer = Scorer(each.measure, told.function, each.card.positive_from)
        try:
            found = scorer.score(targets, prediction)
        except TrialFailure as failure:
            obstacles.append(f"No comparison on test samples: {failure}")
            return None
        if not math.isclose(told.score, found, rel_tol=1e-4, abs_tol=1e-6):
            obstacles.append(
                f"No comparison on test samples: those of {each.name} were scored on another scale."
            )
            return None
        results.append((scorer, targets, prediction))
    paired = _same_test(reference, study)
    value = ours.score - theirs.score
    basis = (
        f"paired over the same {counted(len(study.test), 'test sample')}"
        if paired
        else f"unpaired, on {len(study.test):,} and {len(reference.test):,} different test samples"
    )
    depending = _by_units(results, (study, reference), level, paired=paired)
    if depending is not None:
        half, how = depending
        low, high = _within(study.measure, value, half)
        return Difference(value, low, high, math.nan, f"{basis}, {how}")
    if study.measure in SHARES:
        ends = _of_shares(results, paired=paired, level=level)
        return Difference(value, *ends, math.nan, f"{basis}, Newcombe’s interval")
    score, other_score = (scores_of_draws(*result) for result in results)
    # Efron & Tibshirani (1993), chapter 16: the same samples are drawn for both where these are
    # the same, and separately where they are not.
    drawn = percentiles(
        lambda own, other, axis: score(own, axis) - other_score(other, axis),
        [len(targets) for _, targets, _ in results],
        level,
        paired=paired,
    )
    return Difference(value, drawn.low, drawn.high, math.nan, f"{basis}, bootstrap")


_Result = tuple[Scorer, Array, Array]


def _by_units(
    results: Sequence[_Result],
    studies: Sequence[FinishedStudy],
    level: float,
    *,
    paired: bool,
) -> tuple[float, str] | None:
    """Return half the interval of a difference between samples that depend on each other.

    None where all samples are independent. Whole groups, or blocks of time, are left out: of both
    studies at once where these have the same samples.
    """
    units = [study.test_units(*result) for study, result in zip(studies, results, strict=True)]
    if all(one is None for one in units):
        return None
    scores = [weighted_score(*result) for result in results]
    each = [
        one or Units("groups", np.arange(len(targets)))
        for one, (_, targets, _) in zip(units, results, strict=True)
    ]
    if paired:
        # Of the two, the units that hold more samples together.
        joined = min(each, key=lambda one: one.count)
        error, used = unit_error(lambda weights: scores[0](weights) - scores[1](weights), joined)
        freedom = used - 1
    else:
        found = [unit_error(score, one) for score, one in zip(scores, each, strict=True)]
        error = math.hypot(*(one for one, _ in found))
        freedom = min(used for _, used in found) - 1
    if freedom < 1:
        return math.nan, "without an interval: fewer than two groups or stretches of time"
    fewest = min(each, key=lambda one: one.count)
    words = ("group",) if fewest.kind == "groups" else ("block of time", "blocks of time")
    half = t_quantile((1 + level) / 2, freedom) * error
    return half, f"by {counted(fewest.count, *words)}"


def _within(measure: str, value: float, half: float) -> tuple[float, float]:
    """Return the ends of an interval, none beyond the largest possible difference; NaN for NaN."""
    most = Measure.of(measure).largest_difference
    low, high = np.clip([value - half, value + half], -most, most)
    return float(low), float(high)


def _of_shares(results: Sequence[_Result], *, paired: bool, level: float) -> tuple[float, float]:
    """Return the interval of a difference between shares of samples.

    Newcombe (1998), Interval estimation for the difference between independent proportions, method
    10, and Improved confidence intervals for the difference between binomial proportions based on
    paired data, method 10: made of the Wilson intervals of both, so it has a width also where all
    answers are right.
    """
    rights, counts = [], []
    for scorer, targets, prediction in results:
        asked = SHARES[scorer.measure](targets)
        rights.append(_right(scorer, targets, prediction)[asked])
        counts.append(int(asked.sum()))
    shares = [float(right.mean()) for right in rights]
    ends = [
        stats.binomtest(int(right.sum()), count).proportion_ci(level, method="wilson")
        for right, count in zip(rights, counts, strict=True)
    ]
    together = 0.0
    if paired and all(0 < share < 1 for share in shares):
        together = float(np.corrcoef(rights[0], rights[1])[0, 1])
    below = (shares[0] - ends[0].low, ends[1].high - shares[1])
    above = (ends[0].high - shares[0], shares[1] - ends[1].low)
    value = shares[0] - shares[1]
    low, high = (
        math.sqrt(max(0.0, a * a - 2 * together * a * b + b * b)) for a, b in (below, above)
    )
    return value - low, value + high


def _right(scorer: Scorer, targets: Array, prediction: Array) -> Array:
    if scorer.is_mean:
        return np.asarray(scorer.losses(targets, prediction) > 0)
    return np.asarray(classes_of(prediction, scorer.threshold) == targets)


def conclusion(comparison: StudyComparison, reference: FinishedStudy) -> str:
    """Say in one sentence what a comparison has found; a test score counts before the splits."""
    name, alpha = comparison.study.name, 1 - reference.best.confidence
    test, splits = comparison.test, comparison.splits
    if test is not None and math.isfinite(test.low):
        verdict = "differs from" if test.low > 0 or test.high < 0 else "can’t be told from"
        where = f"on held-out samples ({test.basis})"
    elif splits is not None and math.isfinite(splits.p_value):
        verdict = "differs from" if splits.p_value <= alpha else "can’t be told from"
        where = f"over splits ({splits.basis}); both were selected on these, which flatters the "
        where += "study with more configurations"
    else:
        return f"{name} can’t be compared with {reference.name} by any test."
    return f"{name} {verdict} {reference.name} by {measure_name(reference.measure)} {where}."

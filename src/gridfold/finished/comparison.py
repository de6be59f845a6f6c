"""Comparison across finished studies: paired where they share splits or test samples, else not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gridfold.errors import Problem, StudyError, TrialFailure
from gridfold.finished.study import FinishedStudy
from gridfold.statistics.bootstrap import percentiles, scores_of_draws
from gridfold.statistics.intervals import holm, mean_interval, paired_p_value
from gridfold.training.measures import Scorer
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
    return Difference(
        interval.mean,
        interval.low,
        interval.high,
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
    score, other_score = (scores_of_draws(*result) for result in results)
    # Efron & Tibshirani (1993), chapter 16: the same samples are drawn for both where these are
    # the same, and separately where they are not.
    drawn = percentiles(
        lambda own, other, axis: score(own, axis) - other_score(other, axis),
        [len(targets) for _, targets, _ in results],
        level,
        paired=paired,
    )
    value = ours.score - theirs.score
    basis = (
        f"paired over the same {counted(len(study.test), 'test sample')}"
        if paired
        else f"unpaired, on {len(study.test):,} and {len(reference.test):,} different test samples"
    )
    return Difference(value, drawn.low, drawn.high, math.nan, f"{basis}, bootstrap")


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

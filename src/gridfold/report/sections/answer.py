"""The answer of a study in words and large numbers, for the top of the report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gridfold.problems import Measure
from gridfold.report.input import BESIDE, ReportInput, ReportSection
from gridfold.report.sections.baselines import against_the_best, chance_sentence
from gridfold.store.model_card import HeldOutScore, ModelCard
from gridfold.store.selection import Selection
from gridfold.wording import (
    MISSING,
    counted,
    measure_name,
    number,
    of_classes,
    percent,
    shorten,
    threshold_sentence,
)

# So many times more samples in one training part than in another are worth a word.
_MUCH_MORE = 1.5


@dataclass(frozen=True)
class Score:
    """One of the large numbers at the top.

    Attributes
    ----------
    name, value, basis : str
        As in ``Held-out test accuracy``, ``0.987`` and what it rests on, with its interval.
    """

    name: str
    value: str
    basis: str


def subtitle(
    study: Mapping[str, Any],
    trials: pd.DataFrame,
    configurations: pd.DataFrame,
    card: ModelCard,
) -> str:
    """Return what the study was, in one line."""
    kind = study["problem"]["type"].replace("_", "-").replace("multiclass", "multi-class")
    splits = trials["split"].nunique()
    return (
        f"{kind.capitalize()} problem on {study['data']['source']} · "
        f"{counted(len(configurations), 'configuration')} × {counted(splits, 'split')} = "
        f"{counted(len(trials), 'trial')} · final model of {card.created[:10]}"
    )


def selected(configurations: pd.DataFrame, best: Selection) -> dict[str, Any]:
    """Return id and axis values of the selected configuration."""
    row = configurations[configurations["config_id"] == best.config_id].iloc[0]
    axes = {
        str(name): f"{row[name]:g}" if isinstance(row[name], int | float) else str(row[name])
        for name in configurations.columns
        if "." in str(name) and not pd.isna(row[name])
    }
    return {"id": best.config_id, "axes": {"model": str(row["model"]), **axes}}


def _estimate(best: Selection) -> str:
    """Name the score over the splits; a single split crosses nothing."""
    if best.headline.is_corrected:
        return "corrected estimate"
    return "cross-validated mean" if best.n_splits > 1 else "validation score"


def scores(best: Selection, card: ModelCard, trials: pd.DataFrame) -> list[Score]:
    """Return the cross-validated and the held-out score.

    Parameters
    ----------
    best : Selection
    card : ModelCard
    trials : DataFrame
        Of the study, for how much each of its models was trained on.
    """
    name, places = measure_name(best.measure), best.decimals
    level, quoted = percent(best.confidence), best.headline
    classes = of_classes(best.measure, card.data.classes)
    kind = "Cross-validated" if best.n_splits > 1 else "Validation"
    basis = [
        _over_splits(best, level),
        *_luck(best),
        *filter(None, [classes]),
        *_growing(trials[trials["config_id"] == best.config_id]),
    ]
    shown = [Score(f"{kind} {name}", number(quoted.score, places), "; ".join(basis))]
    test, title = card.test, f"Held-out test {name}"
    if not test:
        shown.append(Score(title, MISSING, "no test set was held out"))
        return shown
    basis = [
        f"{test_interval(test, places, level)}{counted(test.samples, 'sample')}, {_used(card)}",
        *filter(None, [classes]),
    ]
    shown.append(Score(title, number(test.score, places), "; ".join(basis)))
    return shown


def _over_splits(best: Selection, level: str) -> str:
    quoted, places = best.headline, best.decimals
    over = counted(best.n_splits, "split")
    if quoted.low is None or quoted.high is None:
        return f"on {over}; no interval can be given" if best.n_splits < 2 else f"over {over}"
    return (
        f"{level} confidence interval {number(quoted.low, places)} to "
        f"{number(quoted.high, places)} over {over}"
    )


def _luck(best: Selection) -> list[str]:
    """Say what the score is corrected for, or that it is not."""
    estimate, mean = best.estimate, number(best.mean, best.decimals)
    unseen = estimate is not None and estimate.unseen
    before = [
        f"on samples that the search of {best.tried or 0:,} configurations never saw"
    ] * unseen
    if best.explored < 2:
        return before
    if estimate is None or estimate.corrected is None:
        what = "being the best" if best.rule is None else "having been selected, by its scores, out"
        return [*before, f"not corrected for {what} of {best.explored:,} configurations"]
    known = best.corrected_for
    part = "" if known >= best.explored else f", of which {known:,} could be repeated"
    return [
        *before,
        f"corrected for being the best of {best.explored:,} configurations{part}; as selected, the "
        f"mean is {mean}",
    ]


def _growing(trials: pd.DataFrame) -> list[str]:
    """Say where later splits train on much more than earlier ones, as by `forward`."""
    sizes = trials.loc[trials["n_train"] > 0, "n_train"]
    if not len(sizes) or sizes.max() < _MUCH_MORE * sizes.min():
        return []
    return [
        f"training parts grow from {int(sizes.min()):,} to {int(sizes.max()):,} samples, so this "
        "is a mean over models of unequal training"
    ]


def _used(card: ModelCard) -> str:
    """Say how often the test set was scored."""
    if card.tested_ensemble is None:
        return "scored once"
    return "scored once by this model and once by the mean of the models of the splits"


_METHODS = {"wilson": " (Wilson)", "bootstrap": " (bootstrap)", "bootstrap-t": " (bootstrap-t)"}
# Of fewer, each counts much and the interval is rough.
_FEW_UNITS = 20


def test_interval(test: HeldOutScore, places: int, level: str) -> str:
    """Return the interval of the test score in words that end with a comma, or why there is none.

    Parameters
    ----------
    test : HeldOutScore
    places : int
    level : str
        Such as ``95%``.
    """
    if not test.has_interval:
        # Cards of earlier versions don't say why.
        return f"no confidence interval: {test.obstacle}; " if test.obstacle else ""
    text = (
        f"{level} confidence interval {number(test.low, places)} to "
        f"{number(test.high, places)}{_method(test)}, "
    )
    if test.undefined_draws:
        text += (
            f"without {counted(test.undefined_draws, 'bootstrap sample')} in which a class is "
            "missing, "
        )
    return text


def _method(test: HeldOutScore) -> str:
    """Return how an interval was made, and what it rests on where samples are not independent."""
    if not test.units:
        return _METHODS.get(test.method, "")
    few = ", so few that it is rough" if test.units < _FEW_UNITS else ""
    if test.method == "groups":
        return f" (by {counted(test.units, 'group')}{few})"
    return f" (by {counted(test.units, 'block')} of time)"


def sentences(
    configurations: pd.DataFrame, best: Selection, card: ModelCard, margin: float | None = None
) -> list[str]:
    """Return what the scores mean: rivals, a smaller choice, the gap between both estimates.

    Where a study has a threshold of its own, also from when on a sample is positive.

    Parameters
    ----------
    configurations : DataFrame
    best : Selection
    card : ModelCard
    margin : float, optional
        How much worse than the selected one a smaller configuration may be.
    """
    return [
        _comparison(configurations, best),
        *_smallest_equal(configurations, best, margin),
        _gap(best, card),
        *_ensemble(best, card),
        *_threshold(card),
    ]


def _threshold(card: ModelCard) -> list[str]:
    sentence = threshold_sentence(card.positive_from, card.data.classes or [])
    return [sentence] if sentence else []


def _ensemble(best: Selection, card: ModelCard) -> list[str]:
    if card.tested_ensemble is None:
        return []
    together, score = card.tested_ensemble
    return [
        f"The mean of the models of its {counted(len(together.members), 'split')} reaches "
        f"{number(score.score, best.decimals)} on the same test samples."
    ]


def _comparison(configurations: pd.DataFrame, best: Selection) -> str:
    level = percent(best.confidence)
    if len(configurations) == 1:
        return "The study has one configuration, so there is nothing to compare it with."
    if best.n_splits < 2:
        return (
            "With one split, no test can tell how many of the other "
            f"{counted(len(configurations) - 1, 'configuration')} are as good."
        )
    compared = int(configurations["p_value"].notna().sum())
    lost = int((configurations["n_failed"] > 0).sum())
    note = (
        f" {counted(lost, 'configuration')} with failed trials can't be compared fairly."
        if lost
        else ""
    )
    if not compared:
        return f"No other configuration finished all its trials.{note}"
    own = bool(configurations["may_be_best"].iloc[0])
    others = int(configurations["may_be_best"].sum()) - own
    total = counted(compared + 1, "configuration")
    if best.allowed is not None and best.allowed < len(configurations):
        total += " within the constraints"
    if not own:
        text = (
            f"By {measure_name(best.measure)} alone, the best of the {total} is "
            + ("another one" if others == 1 else f"among {others:,} others")
            + f"; the rule of the study, {best.rule}, selects this one"
        )
    elif not others:
        text = f"It is the best of the {total}"
    elif others < compared:
        which = "another one" if others == 1 else f"one of {others:,} others"
        text = f"The best of the {total} is this one or {which}"
    elif compared == 1:
        text = "The other configuration may be as good or better"
    else:
        text = f"Each of the {compared:,} other configurations may be as good or better"
    test = "paired corrected t-tests with moderated variances, comparisons with the best"
    return f"{text}, at {level} confidence ({test}).{note}"


def _smallest_equal(
    configurations: pd.DataFrame, best: Selection, margin: float | None
) -> list[str]:
    """Name the smallest configuration that is hardly worse: often the better choice."""
    if best.rule is not None:
        return []
    own = configurations.loc[configurations["config_id"] == best.config_id, "parameters"].iloc[0]
    sign = Measure.of(best.measure).sign
    smaller = configurations[configurations["parameters"] < own]
    if margin is None:
        near = smaller[-sign * smaller["difference"] <= smaller["difference_error"]]
        rule = "within one standard error of the selected one"
    else:
        ends = smaller["difference_low" if sign > 0 else "difference_high"]
        near = smaller[-sign * ends < margin]
        rule = f"shown to lose less than {margin:g} (report.margin)"
    if not len(near):
        return []
    row = near.sort_values("parameters", kind="stable").iloc[0]
    mean = number(row[f"{best.measure}_mean"], best.decimals)
    difference, low, high = (
        number(row[name], best.decimals, signed=True)
        for name in ("difference", "difference_low", "difference_high")
    )
    return [
        f"The smallest configuration {rule} is number {row['rank']}, "
        f"“{shorten(row['label'], 90)}”: {row['parameters']:,} instead of {own:,} weights, "
        f"mean {mean}, difference {difference} ({percent(best.confidence)} interval {low} to "
        f"{high})."
    ]


def _gap(best: Selection, card: ModelCard) -> str:
    test, places = card.test, best.decimals
    estimate, only = _estimate(best), best.configurations == 1
    score, corrected = best.headline.score, best.headline.is_corrected
    if not test or not math.isfinite(test.score):
        if only:
            return f"There is no held-out test score to set beside the {estimate}."
        return (
            f"There is no held-out test score to set beside the {estimate}."
            if corrected
            else f"Without a held-out test score, how much of the {estimate} is luck of the "
            "selection stays unknown."
        )
    gap = test.score - score
    worse = Measure.of(best.measure).is_better(score, test.score)
    size = number(abs(gap), places)
    if not number(gap, places).strip("0.,"):
        text = f"The test score equals the {estimate} to the digits shown"
        worse = False
    else:
        how = "worse" if worse else "better"
        text = f"The test score is {size} {how} than the {estimate}"
    if not worse:
        if corrected:
            return f"{text}: no sign of an optimism that the correction doesn’t know of."
        return f"{text}: no sign that the selection made the {estimate} look too good."
    if not test.has_interval:
        return f"{text}; without an interval, nothing says whether that is chance."
    inside = test.low <= score <= test.high
    if inside:
        text += f", which is within the uncertainty of {counted(test.samples, 'test sample')}"
        if only or corrected:
            return f"{text}."
        return (
            f"{text}; a small loss is expected, since the {estimate} is that of the "
            f"best of {counted(best.configurations, 'configuration')}."
        )
    return (
        f"{text}, more than the choice of test samples explains: expect the test score on new "
        "data, not the other."
    )


def limits(sections: Iterable[ReportSection]) -> list[tuple[str, str]]:
    """Return what limits the answer, counted: the section that has it, and the words.

    Parameters
    ----------
    sections : iterable of ReportSection
        Of the page.
    """
    contents = {section.name: section.content for section in sections}
    left = len(contents["audit"]["open"]) if "audit" in contents else 0
    found = [caution.severity for caution in contents["cautions"]["cautions"]]
    counts = [
        ("audit", left, "finding of the audit", "findings of the audit"),
        ("cautions", found.count("warning"), "warning", "warnings"),
        ("cautions", found.count("note"), "note", "notes"),
    ]
    return [(place, counted(count, one, more)) for place, count, one, more in counts if count]


def answer(study: ReportInput) -> ReportSection:
    """Return what was found, in large numbers and few sentences."""
    return ReportSection(
        "answer",
        "Answer",
        "The answer",
        {
            "selected": selected(study.tables.configurations, study.best),
            "scores": scores(study.best, study.card, study.tables.trials),
            "sentences": [
                *sentences(
                    study.tables.configurations,
                    study.best,
                    study.card,
                    study.study["report"].get("margin"),
                ),
                *against_the_best(study.baselines, study.best),
                *chance_sentence(study.chance, study.best, study.study["report"]["chance_level"]),
            ],
            "card_file": BESIDE.final_model.card_text,
            "model_file": BESIDE.final_model.model,
        },
    )

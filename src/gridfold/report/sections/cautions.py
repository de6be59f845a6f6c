"""The section of warnings: what a reader must know before trusting a study's numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from gridfold.codes import place_of
from gridfold.objectives import BEST
from gridfold.problems import PROBLEM_KINDS, Measure
from gridfold.report.input import ReportInput, ReportSection
from gridfold.report.sections.baselines import places_of
from gridfold.requests import Objectives, ReportRequest
from gridfold.search.budget import BudgetOutcome
from gridfold.space.axes import discrete_values
from gridfold.statistics.scored import Scored
from gridfold.store.chance import ChanceLevel
from gridfold.store.model_card import ModelCard
from gridfold.store.selection import Selection
from gridfold.study.sections.search import Axis
from gridfold.tables.axes import curve_over_splits, is_ordered
from gridfold.tables.trials import StudyTables
from gridfold.wording import (
    counted,
    decimals,
    listed,
    measure_name,
    number,
    p_value,
    percent,
    shorten,
)

Severity = Literal["warning", "note"]

_FEW_SPLITS = 5
# The share of the last epochs in which the lowest validation loss means "still falling", and of
# the first ones in which it means "falls no more, and rises".
_STILL_FALLING, _RISING = 0.9, 0.7
# Changes of the validation loss below these are noise.
_LEAST_FALL, _LEAST_RISE = 0.03, 0.05
# So close to the end of a drawn interval counts as its edge.
_EDGE_OF_INTERVAL = 0.05
# How much too good accuracy was in docs/statistics.md, “Early stopping”.
_SIMULATED_PATIENCE, _SIMULATED_BY_SCORE, _SIMULATED_BY_LOSS = 5, "0.07 to 0.08", "0.02 to 0.03"
_AXES_NAMED = 6
_SPLITS_NAMED = 8


@dataclass(frozen=True)
class Caution:
    """One thing to know about a study.

    Attributes
    ----------
    code : str
        One of :data:`gridfold.codes.CAUTION_CODES`.
    severity : {"warning", "note"}
        A warning can change the conclusion; a note can't, or is expected.
    sentence : str
        What was found, with its numbers.
    remedy : str
        What to do about it.
    """

    code: str
    severity: Severity
    sentence: str
    remedy: str

    @property
    def link(self) -> str:
        """Where the documentation explains it."""
        return place_of(self.code)


def cautions(study: ReportInput) -> ReportSection:
    """Return what limits the trust in the answer."""
    found = [
        *find_cautions(study.request, study.tables, study.card),
        *_no_better_than_a_baseline(study.baselines, study.best),
        *_above_chance(study.chance, study.card),
        *_ended_by_budget(study.budget),
    ]
    found.sort(key=lambda caution: caution.severity == "note")
    return ReportSection("cautions", "Warnings", "Warnings", {"cautions": found})


def find_cautions(request: ReportRequest, tables: StudyTables, card: ModelCard) -> list[Caution]:
    """Return all cautions of a study, warnings first.

    Parameters
    ----------
    request : ReportRequest
    tables : StudyTables
    card : ModelCard
    """
    trials, epochs, configurations = tables.trials, tables.epochs, tables.configurations
    selected = card.configuration.id
    settings = card.configuration.settings["training"]
    found = [
        *_too_few_splits(card, configurations),
        *_failures(trials, configurations, card.cross_validation.measure),
        *_undefined(trials, card.cross_validation.measure),
        *_no_test_set(configurations, card),
        *_edges(configurations, request.study["search"]["space"], selected),
        *_training_length(epochs[epochs["config_id"] == selected], settings),
        *_optimism(configurations, card, request.objectives),
        *_stopped_by_the_score(settings, card, request.study),
        *_no_significance(trials, configurations, card),
        *_duplicates(request.duplicates),
    ]
    return sorted(found, key=lambda caution: caution.severity == "note")


def _no_better_than_a_baseline(
    baselines: pd.DataFrame | None, best: Selection
) -> Iterator[Caution]:
    if baselines is None or not len(baselines):
        return
    row, sign = baselines.iloc[0], Measure.of(best.measure).sign
    mean = number(row[f"{best.measure}_mean"], places_of(baselines, best))
    if not sign * row["difference"] >= 0:
        return
    yield Caution(
        "GF212",
        "warning",
        f"A simple learner is at least as good on the same splits: {row['name']} has a mean "
        f"{measure_name(best.measure)} of {mean}.",
        "Prefer it, or search further; see “Compared with simple learners”.",
    )


def _above_chance(chance: ChanceLevel | None, card: ModelCard) -> Iterator[Caution]:
    if chance is None or not chance.is_above_chance:
        return
    stopping = card.configuration.settings["training"]["early_stopping"]
    places = decimals([], [chance.low, chance.high])
    reason = (
        "Early stopping follows the validation part, which is one way to it; its size shows here."
        if stopping and stopping.get("on", "validation") == "validation"
        else "Look for what hands the validation part to the training: own data, own training "
        "loops, files that are read."
    )
    yield Caution(
        "GF214",
        "warning",
        f"With permuted labels, the selected configuration reaches {number(chance.score, places)} "
        f"{measure_name(chance.measure)} on {chance.split}, where chance gives "
        f"{number(chance.low, places)} to {number(chance.high, places)} "
        f"(p = {p_value(chance.p_value)}). Unless this is the one study of a hundred in which "
        "chance does that, its training has seen the labels that it is scored by.",
        reason,
    )


def _ended_by_budget(budget: BudgetOutcome | None) -> Iterator[Caution]:
    if budget is None or not budget.is_cut:
        return
    count = budget.left_out
    was = "was" if count == 1 else "were"
    what = f"{counted(count, 'trial')} {was} not trained" if count else "not all was tried"
    yield Caution(
        "GF215",
        "warning",
        f"The budget ({budget.limit}) has ended the search: {what}, and the answer is that of the "
        "rest.",
        "See “What the budget allowed”; with a larger `search.budget` the search goes on where it "
        "has ended.",
    )


def _too_few_splits(card: ModelCard, configurations: pd.DataFrame) -> Iterator[Caution]:
    splits = card.cross_validation.n_splits
    if splits < 2:
        sentence = "There is one split only, so no score has a confidence interval"
        if len(configurations) > 1:
            sentence += " and no two configurations can be compared by a test"
        yield Caution(
            "GF201",
            "warning",
            f"{sentence}.",
            "Use k-fold resampling or `repeats`, at least five splits.",
        )
    elif splits < _FEW_SPLITS:
        yield Caution(
            "GF201",
            "warning",
            f"With {splits} splits the spread of the scores is itself poorly known, so intervals "
            "are wide and rough.",
            "Use at least five splits; more `folds` or `repeats`.",
        )


def _failures(
    trials: pd.DataFrame, configurations: pd.DataFrame, measure: str
) -> Iterator[Caution]:
    failed = trials[trials["status"] == "failed"]
    if not len(failed):
        return
    kinds = listed(f"{count} {kind}" for kind, count in failed["failure"].value_counts().items())
    lost = configurations[configurations["n_failed"] > 0]
    yield Caution(
        "GF202",
        "warning",
        f"{len(failed)} of {counted(len(trials), 'trial')} failed ({kinds}), which leaves "
        f"{counted(len(lost), 'configuration')} without comparable scores; they are ranked last."
        + _better_on_fewer_splits(lost, measure),
        "See the reasons under “Failed trials”. Diverged trials often need a lower learning "
        "rate or `clipnorm`.",
    )


def _undefined(trials: pd.DataFrame, measure: str) -> Iterator[Caution]:
    finished = trials[trials["status"] == "finished"]
    names = sorted(set(finished.loc[finished[measure].isna(), "split"]))
    if not names:
        return
    left = finished["split"].nunique() - len(names)
    if len(names) > _SPLITS_NAMED:
        names[_SPLITS_NAMED:] = [f"{len(names) - _SPLITS_NAMED} more"]
    of_classes = Measure.of(measure).needs_two_classes
    yield Caution(
        "GF203",
        "warning",
        f"{measure_name(measure)} is not defined on {listed(names)}, whose validation parts have "
        f"too few samples or only one {'class' if of_classes else 'value'}; means and tests are "
        f"over the other {counted(left, 'split')}.",
        "Use `resampling.method: stratified`, fewer folds, or a measure such as `log_loss`."
        if of_classes
        else "Use fewer folds, or a measure such as `mae`.",
    )


def _better_on_fewer_splits(lost: pd.DataFrame, measure: str) -> str:
    """Say when the ranking hides a better mean."""
    better = int((Measure.of(measure).sign * lost["difference"] > 0).sum())
    if not better:
        return ""
    verb = "has" if better == 1 else "have"
    return f" {better} of them {verb} a better mean than the selected one, over fewer splits."


def _no_test_set(configurations: pd.DataFrame, card: ModelCard) -> Iterator[Caution]:
    if card.test:
        return
    remedy = "Set `data.test_fraction`, or bring a test set of your own."
    if len(configurations) == 1:
        yield Caution("GF204", "note", "No test set was held out.", remedy)
    else:
        yield Caution(
            "GF204",
            "warning",
            "No test set was held out, so nothing here is free of the selection: "
            + (
                "the score of the selected configuration is corrected for the choice among these, "
                "and for nothing that was tried before."
                if card.cross_validation.quoted.is_corrected
                else "the score of the selected configuration is optimistic."
            ),
            remedy,
        )


def _edges(
    configurations: pd.DataFrame, space: Mapping[str, Any], selected: str
) -> Iterator[Caution]:
    row = configurations[configurations["config_id"] == selected].iloc[0]
    at_edge = []
    for name, axis in space.items():
        if name not in configurations or pd.isna(row[name]):
            continue
        if not is_ordered(configurations[name], axis):
            continue
        side = edge(float(row[name]), _ends(axis), axis)
        # Nothing in the library has negative settings, so 0 is an end and not an edge. What a
        # user's own code takes is unknown.
        if side and not (side == "lowest" and row[name] == 0 and not name.startswith("python.")):
            at_edge.append(f"{shorten(name, 40)} = {row[name]:g} ({side})")
    if at_edge:
        more = len(at_edge) - _AXES_NAMED
        if more > 0:
            at_edge[_AXES_NAMED:] = [f"{more} more"]
        yield Caution(
            "GF205",
            "warning",
            f"The selected configuration lies at the edge of the search space: "
            f"{listed(at_edge)}. Better values may lie beyond it.",
            "Extend these axes in that direction; finished trials are kept.",
        )


def _ends(axis: Mapping[str, Any]) -> list[float]:
    """Return the values of an axis of numbers, ascending; of whole numbers the first and last."""
    if whole := axis.get("int"):
        return [whole["min"], whole["max"]]
    if axis.get("float"):
        return []
    values = discrete_values(Axis.model_validate(axis))
    return sorted(v for v in values if isinstance(v, int | float) and not isinstance(v, bool))


def edge(value: float, values: list[float], axis: Mapping[str, Any]) -> str:
    """Return ``lowest`` or ``highest`` where `value` is at an end of its axis, else ``""``.

    Parameters
    ----------
    value : float
        Of the selected configuration.
    values : list of float
        All values of the axis, ascending.
    axis : mapping
        The axis, as in the study; of an interval, a twentieth at each end counts as edge.
    """
    interval = axis.get("float")
    if interval:
        low, high, at = interval["min"], interval["max"], value
        if interval["log"]:
            low, high, at = math.log(low), math.log(high), math.log(value)
        position = (at - low) / (high - low)
        if position <= _EDGE_OF_INTERVAL:
            return "lowest"
        return "highest" if position >= 1 - _EDGE_OF_INTERVAL else ""
    if len(values) < 2:
        return ""
    return {values[0]: "lowest", values[-1]: "highest"}.get(value, "")


def _training_length(history: pd.DataFrame, settings: Mapping[str, Any]) -> Iterator[Caution]:
    loss = curve_over_splits(history, "val_loss")["mean"]
    if len(loss) < _FEW_SPLITS:
        return
    last, lowest = int(loss.index[-1]), int(loss.index[int(loss.argmin())])
    before = float(loss.iloc[round(_RISING * len(loss)) - 1])
    fall = 1 - float(loss.min()) / before if before > 0 else 0.0
    rise = float(loss.iloc[-1] / loss.min()) - 1 if loss.min() > 0 else 0.0
    stopping = settings["early_stopping"]
    if lowest >= _STILL_FALLING * last and fall > _LEAST_FALL and not stopping:
        yield Caution(
            "GF206",
            "note",
            f"The validation loss of the selected configuration was still falling at the end, by "
            f"{percent(round(fall, 2))} over the last {percent(round(1 - _RISING, 2))} of its "
            f"{last} epochs.",
            "Raise `training.epochs`; finished trials go on from where they stopped.",
        )
    elif lowest <= _RISING * last and rise > _LEAST_RISE and not stopping:
        yield Caution(
            "GF207",
            "warning",
            f"The validation loss of the selected configuration was lowest in epoch {lowest} of "
            f"{last} and is {percent(round(rise, 2))} higher at the end: it overfits.",
            "Use `training.early_stopping`, fewer epochs, or more regularisation.",
        )


def _stopped_by_the_score(
    settings: Mapping[str, Any], card: ModelCard, study: Mapping[str, Any]
) -> Iterator[Caution]:
    """Tell of trainings that were ended, or kept, by the samples that they are scored on."""
    stopping, measure = settings["early_stopping"], card.cross_validation.measure
    if stopping and stopping.get("on", "validation") == "validation":
        followed = PROBLEM_KINDS[card.configuration.problem].metric
        watched = {"val_metric": followed}.get(stopping["monitor"], stopping["monitor"])
        best = "the lowest loss" if watched == "val_loss" else f"the best {measure_name(watched)}"
        does = "keeps the weights of" if stopping["restore_best"] else "is ended by"
        yield Caution(
            "GF208",
            "note" if card.test else "warning",
            f"Each trial {does} the epoch with {best} on its validation part and "
            "is scored on the same part: the best of many epochs is in part the luckiest, so "
            "scores over the splits are optimistic, and no correction knows of it. With small "
            f"networks on 100 samples and a patience of {_SIMULATED_PATIENCE}, accuracy was too "
            "good by "
            + (
                f"{_SIMULATED_BY_SCORE} on average."
                if watched == measure
                else f"{_SIMULATED_BY_LOSS} on average when the loss decided."
            ),
            "Set `training.early_stopping.on: inner`, which looks at a part of the training part."
            + " The held-out test score took no part in it." * bool(card.test),
        )
    strategy = study["search"]["strategy"]
    if strategy["type"] == "hyperband" or strategy.get("tuner") == "hyperband":
        yield Caution(
            "GF213",
            "note",
            "Hyperband ends configurations early by their scores on the very splits that the "
            "others are compared on. The luck in that is part of the luck of the selection.",
            "Quote the held-out test score."
            if card.test
            else "Hold out a test set with `data.test_fraction`.",
        )


def _optimism(
    configurations: pd.DataFrame, card: ModelCard, wanted: Objectives | None
) -> Iterator[Caution]:
    validation = card.cross_validation
    count, splits = max(validation.tried, len(configurations)), validation.n_splits
    if count <= 2 * splits:
        return
    remedy = (
        "Quote the held-out test score, which took no part in the selection."
        if card.test
        else "Hold out a test set with `data.test_fraction`, or use more splits."
    )
    compared = ""
    if count > len(configurations):
        compared = f", {len(configurations):,} of which were compared in the end,"
    how = "is the best of" if wanted is None or wanted.rule == BEST else "was selected from"
    text = (
        f"The selected configuration {how} {count:,}{compared} on "
        f"{counted(splits, 'split')}; the best of many is in part the luckiest, so its score on "
        "them is optimistic."
    )
    if validation.quoted.is_corrected:
        text += (
            " The score that is quoted is corrected for this choice; scores in the tables and "
            "figures are as selected."
        )
    yield Caution("GF209", "note" if card.test else "warning", text, remedy)


def _no_significance(
    trials: pd.DataFrame, configurations: pd.DataFrame, card: ModelCard
) -> Iterator[Caution]:
    validation = card.cross_validation
    alpha = 1 - validation.confidence
    compared = configurations[configurations["p_value"].notna()]
    if not len(compared) or (compared["p_value"] <= alpha).any():
        return
    measure = validation.measure
    needed = detectable_difference(
        Scored.of(trials, configurations, measure, validation.confidence)
    )
    means = configurations[f"{measure}_mean"]
    places = decimals(configurations[f"{measure}_sd"], means)
    spread = float((means[compared.index] - means.iloc[0]).abs().max())
    yield Caution(
        "GF210",
        "note",
        f"No configuration differs significantly from the best, all pairs counted. With "
        f"{counted(validation.n_splits, 'split')} and {counted(len(compared), 'comparison')}, "
        f"the smallest p-value would pass only at a difference of about {number(needed, places)} "
        f"{measure_name(measure)}; the largest found is {number(spread, places)}.",
        "More repeats find smaller differences; fewer configurations need less correction. That "
        "no difference is shown does not show that there is none: see the intervals.",
    )


def detectable_difference(scored: Scored) -> float:
    """Return the difference to the best that a typical comparison would need to be significant.

    By the test of all tables, adjusted for all pairs, with the median standard error over the
    comparisons.

    Parameters
    ----------
    scored : Scored
        Of two configurations at least.
    """
    names = list(scored.scores.columns)
    found = scored.differences(names[1:], names[0])
    return float(np.nanmedian(found.detectable(scored.alpha / scored.test.pairs)))


def _duplicates(duplicates: Sequence[Any]) -> Iterator[Caution]:
    if duplicates:
        yield Caution(
            "GF211",
            "note",
            f"{counted(len(duplicates), 'combination')} of axis values led to a configuration "
            "that was there already, and was left out.",
            "Harmless; a `when` condition on the axis without effect avoids it.",
        )

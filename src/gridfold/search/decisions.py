"""What is decided while a search runs: which configurations a stage has, from the scores so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from gridfold.plan.stage_file import StageFile
from gridfold.plan.stages import chosen
from gridfold.requests import ChoiceRequest, ChosenConfiguration, Refinement, Settings
from gridfold.search import stopping
from gridfold.search.neighbours import neighbourhood
from gridfold.search.nested import winner_of_fold
from gridfold.search.racing import next_round
from gridfold.search.ranking import ranked
from gridfold.search.wishes import by_objectives
from gridfold.space.space import Space
from gridfold.study.request import study_of
from gridfold.tables.trials import read_table


def choose(request: ChoiceRequest, files: Sequence[StageFile], trials: Sequence[Path]) -> StageFile:
    """Return the file of a stage: what the strategy has drawn, or what the scores so far say.

    Parameters
    ----------
    request : ChoiceRequest
    files : sequence of StageFile
        Of the stages that decide; none for a drawn stage.
    trials : sequence of Path
        Trials of their jobs, as tables; empty slots have none.
    """
    if request.drawn is not None and request.stopping is None:
        return StageFile(request.stage, request.splits, request.drawn)
    if request.is_score:
        return winner_of_fold(request, files, trials)
    known = pd.concat([read_table(table) for table in trials], ignore_index=True)
    if request.drawn is not None and request.stopping is not None:
        decision = stopping.decided(request.stopping, request.measure, files, known)
        left = () if decision.stops else request.drawn
        return StageFile(request.stage, request.splits, left, decision=decision)
    if request.race is not None:
        (before,) = files
        racing = next_round(request.race, before, known, request.measure)
        configurations = _going_on(request, racing)
        return StageFile(request.stage, request.splits, configurations, before.scored_splits)
    best = ranked(files, known, request.measure)
    if request.objectives is not None:
        best = by_objectives(best, files, known, request.objectives, request.stage)
    if request.refinement is None:
        configurations = _going_on(request, best[: request.most])
    else:
        configurations = tuple(_refined(request, request.refinement, best))
    return StageFile(request.stage, request.splits, configurations)


def _going_on(
    request: ChoiceRequest, configurations: Sequence[ChosenConfiguration]
) -> tuple[ChosenConfiguration, ...]:
    return tuple(replace(c, epochs=_epochs(request, c.settings)) for c in configurations)


def _refined(
    request: ChoiceRequest, refinement: Refinement, ranking: Sequence[ChosenConfiguration]
) -> list[ChosenConfiguration]:
    """Return the best configurations so far and their neighbours."""
    best = ranking[: refinement.top]
    found = neighbourhood(
        Space.of(study_of(refinement.study)),
        [dict(c.axes) for c in best],
        refinement.step,
        swap=refinement.swap,
        most=request.most,
    )
    scores = {c.id: c.score for c in best}
    return [chosen(c, _epochs(request, c.settings), scores.get(c.id)) for c in found]


def _epochs(request: ChoiceRequest, settings: Settings) -> int:
    """Return the epochs of a configuration in a stage: the stage's, or all of its own."""
    if request.epochs is not None:
        return request.epochs
    return int(settings["training"].get("epochs", request.all_epochs))

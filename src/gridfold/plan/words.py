"""Describes a plan in words: what would run and what it would cost."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace

from gridfold.data.description import DataDescription
from gridfold.plan.cost import seconds_per_trial
from gridfold.plan.plan import Plan
from gridfold.plan.shards import TrialKey
from gridfold.plan.stages import Stage
from gridfold.plan.status import StageState, stage_states
from gridfold.plan.tuner_schedule import tuner_lines, tuner_of
from gridfold.space.space import Configuration, describe_axis
from gridfold.study import Study
from gridfold.study.checks import problem, table
from gridfold.study.sections.resampling import share_of, split_names
from gridfold.wording import format_seconds

_HEADINGS = ("stage", "configurations", "epochs", "splits", "trials", "new epochs", "cost")


def description(plan: Plan, cores: int | None, data: DataDescription | None = None) -> str:
    """Return the plan in a few readable lines.

    Parameters
    ----------
    plan : Plan
    cores : int or None
        CPU cores of a job; None for what a cluster's job gets.
    data : DataDescription, optional
        What the study's table is; without it, what is guessed about its columns is told.
    """
    study, resampling = plan.study, plan.study.resampling
    duplicates = len(plan.expansion.duplicates)
    tuner = tuner_of(study)
    drawn = (
        f"  configurations  {len(plan.configurations)}"
        + f" ({duplicates} duplicates left out)" * bool(duplicates)
    )
    lines = [
        f"Study {study.study}: {study.problem.type} on {study.data.source}, "
        f"{' and '.join(study.model.families)}",
        *(tuner_lines(study, tuner) if tuner else [drawn]),
        f"  splits          {len(split_names(resampling))} ({resampling.method}, "
        f"{resampling.folds} folds x {resampling.repeats})",
        *(_stages(plan) if plan.is_staged else _trials(plan, cores)),
    ]
    lines += [f"  axis            {describe_axis(n, a)}" for n, a in study.search.space.items()]
    if data is None:
        lines += [f"  note            {note}" for note in table.notes(study.data)]
    else:
        lines += data.lines()
    notes = problem.notes(study.data, study.problem)
    lines += [f"  note            {note}" for note in notes]
    return "\n".join(lines)


def seconds_left(plan: Plan, states: Sequence[StageState]) -> float:
    """Return what is left to train costs on one worker, roughly; of later stages all.

    Parameters
    ----------
    plan : Plan
    states : sequence of StageState
        Those of all its stages.
    """
    if plan.is_staged:
        return sum(_seconds(plan.study, stage, plan.configurations) for stage in plan.stages)
    return _seconds_of(plan, _remaining(plan, states[0]))


def _seconds_of(plan: Plan, trials: Iterable[TrialKey]) -> float:
    """Return what trials that are known beforehand cost on one worker, roughly."""
    study, known = plan.study, plan.by_id
    return sum(seconds_per_trial(study, known[trial.config_id]) for trial in trials)


def _remaining(plan: Plan, only: StageState) -> list[TrialKey]:
    """Return the trials without an answer, of a study whose only stage is known beforehand."""
    return [trial for trial in plan.trials if trial not in only.answered]


def _trials(plan: Plan, cores: int | None) -> list[str]:
    remaining = _remaining(plan, stage_states(plan)[0])
    seconds = _seconds_of(plan, remaining)
    done = len(plan.trials) - len(remaining)
    workers = plan.workers(cores)
    jobs = [s for s, members in plan.shards.items() if not set(remaining).isdisjoint(members)]
    return [
        f"  trials          {len(plan.trials)}, of which {done} are done and "
        f"{len(remaining)} are to be trained in {len(jobs)} jobs",
        f"  estimated cost  {format_seconds(seconds)} on one worker, "
        f"{format_seconds(seconds / workers)} on {workers} (rough)",
    ]


def _stages(plan: Plan) -> list[str]:
    trials = sum(stage.trials for stage in plan.stages)
    jobs = len(plan.shards) + sum(len(stage.slots) for stage in plan.stages)
    return [
        f"  trials          at most {trials}, in {jobs} jobs of {len(plan.stages)} stages",
        *schedule_lines(plan.study, plan.stages, plan.configurations),
    ]


def schedule_lines(
    study: Study, stages: Sequence[Stage], configurations: Iterable[Configuration]
) -> list[str]:
    """Return the stages as a table: what each trains at most, and what that costs on one worker.

    Parameters
    ----------
    study : Study
    stages : sequence of Stage
    configurations : iterable of Configuration
        Configurations that are known; the others are taken to be as slow as their mean.
    """
    known = list(configurations)
    rows, seconds = [], 0.0
    for stage in stages:
        cost = _seconds(study, stage, known)
        seconds += cost
        epochs = "own" if stage.epochs is None else str(stage.epochs)
        if stage.epochs is None and "training.epochs" not in study.search.space:
            epochs = str(study.training.epochs)
        new = "" if epochs == "own" else f"{stage.trials * (int(epochs) - stage.epochs_before):,}"
        rows.append(
            (
                stage.title,
                f"{'' if stage.is_exact else 'up to '}{stage.max_configurations:,}",
                epochs,
                str(len(stage.splits)),
                f"{stage.trials:,}",
                new,
                format_seconds(cost),
            )
        )
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    lines = [_line(row, widths) for row in (_HEADINGS, *rows)]
    return [*lines, f"  estimated cost  {format_seconds(seconds)} on one worker (rough)"]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
    return "    " + "  ".join([row[0].ljust(widths[0]), *cells[1:]])


def _seconds(study: Study, stage: Stage, known: Sequence[Configuration]) -> float:
    """Return what a stage costs at most on one worker."""
    share = share_of(stage.splits[0])
    each = statistics.fmean(
        seconds_per_trial(
            study,
            replace(c, epochs=(stage.epochs or study.training.epochs) - stage.epochs_before),
        )
        for c in known
    )
    return each * share * stage.trials

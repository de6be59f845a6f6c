"""Describes a plan in words: what would run and what it would cost."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from statistics import fmean

from gridfold.data.description import DataDescription
from gridfold.plan.asynchronous import asynchronous_lines
from gridfold.plan.budget_words import fitting_lines
from gridfold.plan.cost import CostModel
from gridfold.plan.measured import Correction, measured_correction
from gridfold.plan.plan import Plan
from gridfold.plan.shards import TrialKey
from gridfold.plan.stage_names import fold_of
from gridfold.plan.stages import Stage
from gridfold.plan.status import StageState, stage_states, totals
from gridfold.plan.tuner_schedule import tuner_lines, tuner_of
from gridfold.space.space import Configuration, describe_axis
from gridfold.study import Study
from gridfold.study.checks import problem, table
from gridfold.study.sections.outer import Outer
from gridfold.study.sections.resampling import split_names
from gridfold.wording import counted, format_seconds

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
    correction = measured_correction(plan)
    duplicates, states = len(plan.expansion.duplicates), stage_states(plan)
    tuner = tuner_of(study)
    drawn = (
        f"  configurations  {len(plan.configurations)}"
        + f" ({counted(duplicates, 'duplicate')} left out)" * bool(duplicates)
    )
    lines = [
        f"Study {study.study}: {study.problem.type} on {study.data.source}, "
        f"{' and '.join(study.model.families)}",
        *(tuner_lines(study, tuner) if tuner else [drawn]),
        f"  splits          {len(split_names(resampling))} ({resampling.method}, "
        f"{resampling.folds} folds x {resampling.repeats})",
        *(
            _stages(plan, correction)
            if plan.is_staged
            else _trials(plan, states[0], cores, correction)
        ),
        *_outer_folds(plan, correction),
        *_left(plan, states, correction),
        *_sharing(plan),
        f"  estimate        {correction}",
        *fitting_lines(plan, time.time(), correction),
    ]
    lines += [f"  axis            {describe_axis(n, a)}" for n, a in study.search.space.items()]
    if data is None:
        lines += [f"  note            {note}" for note in table.notes(study.data)]
    else:
        lines += data.lines()
    notes = problem.notes(study.data, study.problem)
    lines += [f"  note            {note}" for note in notes]
    return "\n".join(lines)


def seconds_left(plan: Plan, states: Sequence[StageState], correction: Correction) -> float:
    """Return what is left to train costs on one worker, roughly; of stages and outer folds all.

    Parameters
    ----------
    plan : Plan
    states : sequence of StageState
        Those of all its stages.
    correction : Correction
        Of the estimates.
    """
    first, later = states[: not plan.is_staged], states[not plan.is_staged :]
    seconds = sum(_seconds_of(plan, _remaining(plan, state)) for state in first)
    for state in later:
        share = (state.total - state.done) / state.stage.trials if state.stage.trials else 0.0
        outer = plan.study.resampling.outer if fold_of(state.stage.name) is not None else None
        part = 1.0 if outer is None else _part_of_fold(outer)
        seconds += part * share * _seconds(plan.study, state.stage, plan.configurations)
    return correction.factor * seconds


def _seconds_of(plan: Plan, trials: Iterable[TrialKey]) -> float:
    """Return what trials that are known beforehand cost on one worker, roughly."""
    cost, known = CostModel.of(plan.study), plan.by_id
    configurations = (known[trial.config_id] for trial in trials)
    return sum(cost.seconds(c.settings, c.epochs) for c in configurations)


def _remaining(plan: Plan, only: StageState) -> list[TrialKey]:
    """Return the trials without an answer, of a study whose only stage is known beforehand."""
    return [trial for trial in plan.trials if trial not in only.answered]


def _sharing(plan: Plan) -> list[str]:
    """Say that trials share GPUs, and what is not known of that beforehand."""
    count = plan.study.execution.trials_per_gpu
    if count == 1 or plan.fixed_workers:
        return []
    return [
        f"  GPUs            {count} trials at a time on each GPU of a job, with a part of its "
        "memory each; the estimate knows nothing of how much they slow each other down"
    ]


def _left(plan: Plan, states: Sequence[StageState], correction: Correction) -> list[str]:
    """Return what is left of a search in stages, or of outer folds, once something is done."""
    done, _ = totals(states)
    if not done or len(states) == 1:
        return []
    if all(state.is_finished for state in states):
        left_out = sum(state.left_out for state in states)
        trials = counted(done, "trial")
        said = f"{trials}; the budget has left out {left_out:,}" if left_out else f"all {trials}"
        return [f"  done            {said}"]
    seconds = format_seconds(seconds_left(plan, states, correction))
    return [f"  done            {counted(done, 'trial')}; at most {seconds} are left on one worker"]


def _trials(plan: Plan, state: StageState, cores: int | None, correction: Correction) -> list[str]:
    remaining = _remaining(plan, state)
    seconds = correction.factor * _seconds_of(plan, remaining)
    done = len(plan.trials) - len(remaining)
    workers = plan.workers(cores)
    without = set(remaining)
    jobs = [shard for shard, members in plan.shards.items() if not without.isdisjoint(members)]
    return [
        f"  trials          {len(plan.trials):,}, of which {done:,} are done and "
        f"{len(remaining):,} are to be trained in {counted(len(jobs), 'job')}",
        *_packing(plan, len(jobs)),
        f"  estimated cost  {format_seconds(seconds)} on one worker, "
        f"{format_seconds(seconds / workers)} on {workers}",
    ]


def _packing(plan: Plan, jobs: int) -> list[str]:
    """Say how trials fall to jobs, why, and how it could be otherwise."""
    setting = plan.study.execution.trials_per_job
    why = {
        "auto": "by estimated time, about half an hour on one worker",
        "split": "one for each configuration and split",
        "configuration": "one for each configuration",
    }.get(str(setting), f"{setting} trials in each")
    fewer = len(plan.trials) > jobs > 0 and setting == "auto"
    other = "; execution.trials_per_job: split or configuration gives each its own" * fewer
    return [f"  jobs            {why}{other}"]


def _stages(plan: Plan, correction: Correction) -> list[str]:
    trials = sum(stage.trials for stage in plan.stages)
    jobs = counted(len(plan.training_jobs) - _jobs_of_folds(plan), "job")
    most = "about" if plan.is_asynchronous else "at most"
    return [
        f"  trials          {most} {trials:,}, in {jobs} of {counted(len(plan.stages), 'stage')}",
        *asynchronous_lines(plan.rungs_jobs),
        *schedule_lines(plan.study, plan.stages, plan.configurations, correction.factor),
    ]


def _outer_folds(plan: Plan, correction: Correction) -> list[str]:
    """Return what a nested estimate adds: the whole search in each outer fold."""
    outer, folds = plan.study.resampling.outer, plan.outer_folds
    if outer is None:
        return []
    trials = sum(fold.trials for fold in folds)
    seconds = correction.factor * _seconds_of_outer_folds(plan)
    return [
        f"  outer folds     {len(folds)} ({outer.folds} folds x {outer.repeats}), in each the "
        f"whole search once more and its winner: {len(folds) + 1} searches in all",
        f"    in them       {'at most ' * plan.is_staged}{trials:,} more trials, in "
        f"{counted(_jobs_of_folds(plan), 'job')}",
        f"    their cost    {format_seconds(seconds)} on one worker",
    ]


def _jobs_of_folds(plan: Plan) -> int:
    return sum(len(plan.shards_of(stage)) for fold in plan.outer_folds for stage in fold.stages)


def _seconds_of_outer_folds(plan: Plan) -> float:
    outer = plan.study.resampling.outer
    if outer is None:
        return 0.0
    stages = (stage for fold in plan.outer_folds for stage in fold.stages)
    each = sum(_seconds(plan.study, stage, plan.configurations) for stage in stages)
    return each * _part_of_fold(outer)


def _part_of_fold(outer: Outer) -> float:
    """Return on which part of the samples an outer fold trains."""
    return 1 - 1 / outer.folds


def schedule_lines(
    study: Study,
    stages: Sequence[Stage],
    configurations: Iterable[Configuration],
    factor: float = 1.0,
) -> list[str]:
    """Return the stages as a table: what each trains at most, and what that costs on one worker.

    Parameters
    ----------
    study : Study
    stages : sequence of Stage
    configurations : iterable of Configuration
        Configurations that are known; the others are taken to be as slow as their mean.
    factor : float, optional
        That corrects the estimates of the rough model.
    """
    known = list(configurations)
    rows, seconds = [], 0.0
    for stage in stages:
        cost = factor * _seconds(study, stage, known)
        seconds += cost
        epochs = _epochs(study, stage)
        each = fmean(c.epochs for c in known) if epochs is None else epochs - stage.epochs_before
        rows.append(
            (
                stage.title,
                f"{_how_exact(stage)}{stage.max_configurations:,}",
                "own" if epochs is None else str(epochs),
                str(len(stage.splits)),
                f"{stage.trials:,}",
                f"{round(stage.trials * each):,}",
                format_seconds(cost),
            )
        )
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    lines = [_line(row, widths) for row in (_HEADINGS, *rows)]
    return [*lines, f"  estimated cost  {format_seconds(seconds)} on one worker"]


def _how_exact(stage: Stage) -> str:
    if stage.is_exact:
        return ""
    return "about " if stage.is_asynchronous else "up to "


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
    return "    " + "  ".join([row[0].ljust(widths[0]), *cells[1:]])


def _seconds(study: Study, stage: Stage, known: Sequence[Configuration]) -> float:
    """Return what a stage costs at most on one worker."""
    epochs = _epochs(study, stage)
    new = None if epochs is None else epochs - stage.epochs_before
    return CostModel.of(study).mean_seconds(known, new, stage.splits[0]) * stage.trials


def _epochs(study: Study, stage: Stage) -> int | None:
    """Return the epochs of each trial of a stage; None where each configuration has its own."""
    if stage.epochs is None and "training.epochs" in study.search.space:
        return None
    return stage.epochs or study.training.epochs

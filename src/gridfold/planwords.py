"""A plan in words, for those who want to know before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridfold import tablechecks
from gridfold.cost import seconds_per_trial
from gridfold.searchwords import schedule_lines
from gridfold.space import describe_axis
from gridfold.tuningschedule import tuner_lines, tuner_of
from gridfold.wording import format_seconds

if TYPE_CHECKING:
    from gridfold.plan import Plan


def description(plan: Plan, cores: int | None) -> str:
    """Return the plan in a few readable lines.

    Parameters
    ----------
    plan : Plan
    cores : int or None
        CPU cores of a job; None for what a cluster's job gets.
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
        f"  splits          {len(plan.splits)} ({resampling.method}, {resampling.folds} folds"
        f" x {resampling.repeats})",
        *(_stages(plan) if plan.stages else _trials(plan, cores)),
    ]
    lines += [f"  axis            {describe_axis(n, a)}" for n, a in study.search.space.items()]
    lines += [f"  note            {note}" for note in tablechecks.notes(study.data)]
    return "\n".join(lines)


def _trials(plan: Plan, cores: int | None) -> list[str]:
    done = plan.finished()
    remaining = [t for t in plan.trials if t not in done]
    by_id = {c.id: c for c in plan.configurations}
    seconds = sum(seconds_per_trial(plan.study, by_id[t.config_id]) for t in remaining)
    workers = plan.workers(cores)
    jobs = [s for s, members in plan.shards.items() if not set(remaining).isdisjoint(members)]
    return [
        f"  trials          {len(plan.trials)}, of which {len(done)} are done and "
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

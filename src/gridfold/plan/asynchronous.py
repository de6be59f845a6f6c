"""The jobs of an asynchronous Hyperband, and what they have decided so far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridfold.plan.cost import CostModel
from gridfold.plan.shards import trials_per_job
from gridfold.plan.stage_file import StageFile
from gridfold.plan.stage_names import rung_name, rungs_jobs
from gridfold.plan.stages import chosen
from gridfold.requests import ChosenConfiguration
from gridfold.store.decision_log import DecisionLog
from gridfold.study.sections.search import HyperbandStrategy
from gridfold.wording import counted

if TYPE_CHECKING:
    from gridfold.plan.plan import Plan


@dataclass(frozen=True)
class RungsJobs:
    """The jobs that train the rungs of all brackets.

    Attributes
    ----------
    names : tuple of str
    trials : int
        Trials of each, if all have as many; after them a job leaves the rest to those that have not
        begun.
    """

    names: tuple[str, ...]
    trials: int

    @classmethod
    def of(cls, plan: Plan) -> RungsJobs:
        """Return the jobs of a plan; none where Hyperband is not asynchronous."""
        strategy = plan.study.search.strategy
        rungs = plan.rungs
        if not isinstance(strategy, HyperbandStrategy) or not rungs:
            return cls((), 1)
        trials = sum(stage.trials for stage in rungs)
        count = strategy.jobs
        if count is None:
            splits = len(rungs[0].splits)
            wanted = plan.study.execution.trials_per_job
            size = trials_per_job(wanted, splits, trials, _seconds(plan))
            # More could not all be busy.
            most = sum(stage.trials for stage in rungs if not stage.sources)
            count = min(math.ceil(trials / size), most)
        return cls(tuple(rungs_jobs(count)), math.ceil(trials / count))


def asynchronous_lines(jobs: RungsJobs) -> list[str]:
    """Return what the plan of a search says of its jobs; nothing where it is not asynchronous."""
    if not jobs.names:
        return []
    return [
        f"  asynchronous    {counted(len(jobs.names), 'job')} for all rungs, which wait for none; "
        "a rung may get more configurations than the schedule says",
    ]


def decided_so_far(plan: Plan) -> dict[str, StageFile]:
    """Return what the rungs of an asynchronous search were given so far, by their stages.

    Nothing before its jobs have decided anything. Of several logs, from studies that have changed
    since, the newest counts.
    """
    logs = sorted(plan.paths.search.glob("rungs-*.jsonl"), key=lambda file: file.stat().st_mtime)
    if not logs or not plan.is_asynchronous:
        return {}
    found: dict[str, dict[str, ChosenConfiguration]] = {stage.name: {} for stage in plan.rungs}
    for decision in DecisionLog(logs[-1]).news():
        stage = rung_name(decision.bracket, decision.rung)
        configuration = plan.by_id.get(decision.config_id)
        if stage in found and configuration is not None:
            epochs = plan.stage(stage).epochs or configuration.epochs
            found[stage][configuration.id] = chosen(configuration, epochs)
    return {
        stage.name: StageFile(stage.name, stage.splits, tuple(found[stage.name].values()))
        for stage in plan.rungs
    }


def _seconds(plan: Plan) -> float:
    """Return the estimated seconds of a trial on one worker, the mean over all rungs."""
    cost = CostModel.of(plan.study)
    total = sum(
        stage.trials
        * cost.mean_seconds(plan.configurations, (stage.epochs or 0) - stage.epochs_before)
        for stage in plan.rungs
    )
    return total / sum(stage.trials for stage in plan.rungs)

"""A run on a cluster leaves word of the trials that its training jobs can help each other with."""

from __future__ import annotations

from gridfold import typed_json
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.plan import Plan
from gridfold.plan.resources import JobSizes
from gridfold.plan.shards import SINGLE
from gridfold.requests import WantedConfiguration
from gridfold.store.help_order import HelpOrder, WaitingTrials


def write_help_order(
    plan: Plan, requests: JobRequests, sizes: JobSizes, *, has_queue: bool
) -> None:
    """Leave for the jobs of a run what they can help each other with; nothing where they can't.

    On one machine a job that has nothing more to do makes room for the next one.

    Parameters
    ----------
    plan : Plan
    requests : JobRequests
    sizes : JobSizes
        Both of this plan.
    has_queue : bool
        Whether jobs wait in the queue of a cluster.
    """
    file, execution = plan.paths.help_order, plan.study.execution
    shards = [shard for shard in plan.shards if shard.startswith(SINGLE)]
    wanted = has_queue and execution.help_others and plan.study.search.budget is None
    if not wanted or len(shards) < 2:
        file.unlink(missing_ok=True)
        return
    members = {shard: plan.members(shard) for shard in shards}
    jobs = {}
    for shard, found in members.items():
        trials = tuple(str(trial) for trial, _ in found)
        jobs[shard] = WaitingTrials(trials, round(sizes.largest_trial(shard)))
    configurations = {
        configuration.id: WantedConfiguration(configuration.settings, configuration.epochs)
        for found in members.values()
        for _, configuration in found
    }
    typed_json.write(file, HelpOrder(requests.conditions, jobs, configurations))

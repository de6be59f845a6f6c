"""Adapter of the rule `train_distributed`."""

from pathlib import Path

from gridfold.jobs import distributed
from gridfold.jobs.job import job
from gridfold.jobs.shard import ShardTables
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.snapshot import plan_of

if __name__ == "__main__":
    parser = distributed.arguments()
    parser.add_argument("--shard", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--outputs", nargs=3, type=Path, required=True)
    options = parser.parse_args()
    plan = plan_of(options.study, options.set, options.results)
    request = JobRequests(plan).train(options.shard)
    with job(options.log, request.text(), options.outputs):
        distributed.train_shard(
            plan,
            request,
            options.shard,
            distributed.Start(options.launcher, options.container),
            ShardTables(*options.outputs),
            options.attempt,
        )

"""Adapter of the rule `train_distributed`."""

from pathlib import Path

from gridfold import distributedjob
from gridfold.jobs import job
from gridfold.plan import Plan
from gridfold.shardjob import ShardTables

if __name__ == "__main__":
    parser = distributedjob.arguments()
    parser.add_argument("--shard", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--outputs", nargs=3, type=Path, required=True)
    options = parser.parse_args()
    plan = Plan.load(options.study, options.set, options.results)
    with job(options.log, plan.train_request(options.shard)):
        distributedjob.train_shard(
            plan,
            options.shard,
            options.launcher,
            ShardTables(*options.outputs),
            options.attempt,
        )

"""Adapter of the rule `train_final`."""

from pathlib import Path

from gridfold.jobs import distributed
from gridfold.jobs.job import job
from gridfold.plan.plan import Plan

if __name__ == "__main__":
    parser = distributed.arguments()
    parser.add_argument("--best", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    plan = Plan.load(options.study, options.set, options.results)
    with job(options.log, plan.final_request()):
        distributed.train_final(
            plan,
            options.best,
            options.launcher,
            options.output,
        )

"""Adapter of the rule `train_final`."""

from pathlib import Path

from gridfold import distributedjob
from gridfold.jobs import job
from gridfold.plan import Plan

if __name__ == "__main__":
    parser = distributedjob.arguments()
    parser.add_argument("--best", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    plan = Plan.load(options.study, options.set, options.results)
    with job(options.log, plan.final_request()):
        distributedjob.train_final(
            plan,
            options.best,
            options.launcher,
            options.output,
        )

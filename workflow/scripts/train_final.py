"""Adapter of the rule `train_final`."""

from pathlib import Path

from gridfold.jobs import distributed
from gridfold.jobs.job import job
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.snapshot import plan_of

if __name__ == "__main__":
    parser = distributed.arguments()
    parser.add_argument("--best", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    plan = plan_of(options.study, options.set, options.results)
    request = JobRequests(plan).final()
    with job(options.log, request.text(), [options.output]):
        start = distributed.Start(options.launcher, options.container)
        distributed.train_final(plan, request, options.best, start, options.output)

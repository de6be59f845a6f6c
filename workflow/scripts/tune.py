"""Adapter of the rule `tune`."""

from gridfold.jobs.job import job
from gridfold.plan.job_requests import JobRequests
from gridfold.plan.snapshot import plan_of
from gridfold.search.tuner.job import parser, tune

if __name__ == "__main__":
    options = parser().parse_args()
    plan = plan_of(options.study, options.set, options.results)
    request = JobRequests(plan).tune()
    with job(options.log, request.text(), options.outputs):
        tune(plan, request, options)

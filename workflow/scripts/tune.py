"""Adapter of the rule `tune`."""

from gridfold.jobs.job import job
from gridfold.plan.plan import Plan
from gridfold.plan.search_plan import SearchPlan
from gridfold.search.tuner import job as tunejob

if __name__ == "__main__":
    options = tunejob.parser().parse_args()
    plan = Plan.load(options.study, options.set, options.results)
    with job(options.log, SearchPlan(plan).tune_request()):
        tunejob.tune(plan, options)

"""Adapter of the rule `tune`."""

from gridfold import tunejob
from gridfold.jobs import job
from gridfold.plan import Plan
from gridfold.searchplan import SearchPlan

if __name__ == "__main__":
    options = tunejob.parser().parse_args()
    plan = Plan.load(options.study, options.set, options.results)
    with job(options.log, SearchPlan(plan).tune_request()):
        tunejob.tune(plan, options)

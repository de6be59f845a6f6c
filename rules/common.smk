"""What all rules share: the plan of the study, and paths."""

from gridfold.plan import SHARD_PATTERN
from gridfold.resources import JobSizes
from gridfold.workflow import available_cores, load_plan, monitor, say_answer

# The study is read by gridfold itself, not by `configfile:`. Snakemake would merge a user's file
# into the default one, so that the demo's axes would join every study, and would accept
# duplicate keys.
PLAN = load_plan(workflow)
PATHS = PLAN.paths
CORES = available_cores(workflow)
SIZES = JobSizes(PLAN)
MONITOR = monitor(PLAN)


wildcard_constraints:
    shard=SHARD_PATTERN,

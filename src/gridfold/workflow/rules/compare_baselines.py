"""The rule `compare_baselines` sets the selected configuration beside the baselines."""

from __future__ import annotations

from gridfold.baselines.comparison import compare_baselines
from gridfold.jobs.script import RuleJob
from gridfold.requests import ComparedBaselinesRequest
from gridfold.store.selection import Selection
from gridfold.tables import trials


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    table = compare_baselines(
        job.request(ComparedBaselinesRequest),
        trials.read_table(job.input("fits")),
        trials.read_table(job.input("trials")),
        Selection.read(job.input("best")).config_id,
    )
    for file in (job.output("baselines"), job.output("baselines_table")):
        trials.write(file, table)

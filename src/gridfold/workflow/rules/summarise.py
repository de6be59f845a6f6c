"""The rule `summarise` makes one row of each configuration."""

from __future__ import annotations

from gridfold.jobs.script import RuleJob
from gridfold.requests import SummaryRequest
from gridfold.statistics.summary import summarise
from gridfold.tables import trials


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(SummaryRequest)
    table = summarise(trials.read_table(job.input("trials")), request)
    for file in (job.output("configurations"), job.output("configurations_csv")):
        trials.write(file, table)

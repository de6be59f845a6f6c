"""The rule `find_front` says what the configurations of a study reach and cost."""

from __future__ import annotations

from gridfold.figures import front, study
from gridfold.jobs.script import RuleJob
from gridfold.requests import SummaryRequest
from gridfold.statistics.front import pareto_table
from gridfold.tables import trials


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(SummaryRequest)
    assert request.objectives is not None
    table = pareto_table(
        trials.read_table(job.input("trials")),
        trials.read_table(job.input("configurations")),
        request.objectives,
    )
    for file in (job.output("table"), job.output("table_csv")):
        trials.write(file, table)
    drawings = {"front": front.draw_front(table, request.objectives)}
    study.save_all(drawings, job.output("front_svg").parent)

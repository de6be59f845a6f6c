"""The rule `draw_search_figures` draws what needs no final model."""

from __future__ import annotations

from gridfold.figures import search_path, study
from gridfold.jobs.script import RuleJob
from gridfold.requests import ReportRequest, SummaryRequest
from gridfold.statistics.explored import explored
from gridfold.tables.trials import StudyTables, read_table


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(ReportRequest)
    tables = StudyTables.read(job.input)
    summary = SummaryRequest(request.measure, request.study["report"]["confidence"])
    found = explored(tables.trials, read_table(job.input("search_trials")), summary)
    drawings = study.draw_search(request, tables, found)
    if "search_path_svg" in job.outputs:
        drawings["search_path"] = search_path.draw_search_path(
            read_table(job.input("search")),
            tables.configurations["config_id"].iloc[0],
            request.measure,
        )
    study.save_all(drawings, job.output("learning_curves_svg").parent)

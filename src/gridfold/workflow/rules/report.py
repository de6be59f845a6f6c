"""The rule `report` writes the page that holds everything."""

from __future__ import annotations

from gridfold.atomic import write_text
from gridfold.jobs.script import RuleJob
from gridfold.paths import StudyPaths
from gridfold.report.input import ReportInput
from gridfold.report.page import render
from gridfold.requests import ReportRequest


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(ReportRequest)
    html = job.output("html")
    study = ReportInput.read(
        request,
        StudyPaths(html.parent),
        job.inputs["words"],
        with_scaling=bool(job.inputs["scaling"]),
        with_classes=bool(job.inputs["classes"]),
        with_baselines=bool(job.inputs["baselines"]),
        with_chance=bool(job.inputs["chance"]),
        with_race=bool(job.inputs["race"]),
    )
    write_text(html, render(study))

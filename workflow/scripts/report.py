"""Adapter of the rule `report`."""

from pathlib import Path

from gridfold.atomic import write_text
from gridfold.jobs.job import script_job
from gridfold.paths import StudyPaths
from gridfold.report.input import ReportInput
from gridfold.report.page import render
from gridfold.requests import ReportRequest

if __name__ == "__main__":
    with script_job(snakemake, ReportRequest) as request:
        html = Path(snakemake.output.html)
        study = ReportInput.read(
            request,
            StudyPaths(html.parent),
            map(Path, snakemake.input.words),
            with_scaling=bool(snakemake.input.scaling),
        )
        write_text(html, render(study))

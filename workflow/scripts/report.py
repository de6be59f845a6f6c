"""Adapter of the rule `report`."""

import json
from pathlib import Path

from gridfold.atomic import write_text
from gridfold.jobs.job import job
from gridfold.paths import StudyPaths
from gridfold.report.input import ReportInput
from gridfold.report.page import render

if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        html = Path(snakemake.output.html)
        study = ReportInput.read(
            json.loads(snakemake.params.request),
            StudyPaths(html.parent),
            map(Path, snakemake.input.words),
            with_scaling=bool(snakemake.input.scaling),
            with_search=bool(snakemake.input.search),
        )
        write_text(html, render(study))

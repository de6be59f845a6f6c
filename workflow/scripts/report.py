"""Adapter of the rule `report`."""

import json
from pathlib import Path

import pandas as pd

from gridfold.atomic import write_text
from gridfold.jobs.job import script_job
from gridfold.report.input import ReportInput, read_figures
from gridfold.report.page import render
from gridfold.requests import ReportRequest
from gridfold.statistics.result import Comparison
from gridfold.tables.trials import StudyTables

if __name__ == "__main__":
    with script_job(snakemake, ReportRequest) as request:
        inputs = dict(snakemake.input.items())
        study = ReportInput(
            request,
            StudyTables.read(inputs),
            jobs=pd.read_parquet(inputs["jobs"]),
            best=json.loads(Path(inputs["best"]).read_text()),
            card=json.loads(Path(inputs["card"]).read_text()),
            manifest=json.loads(Path(inputs["manifest"]).read_text()),
            figures=read_figures(map(Path, snakemake.input.words)),
            comparison=Comparison.read(inputs),
            search=pd.read_parquet(inputs["search"]),
            search_trials=pd.read_parquet(inputs["search_trials"]),
            scaling=pd.read_parquet(inputs["scaling"]) if inputs["scaling"] else None,
        )
        write_text(Path(snakemake.output.html), render(study))

"""Adapter of the rule `draw_search_figures`."""

from pathlib import Path

import pandas as pd

from gridfold.figures import search_path, study
from gridfold.jobs.job import script_job
from gridfold.requests import ReportRequest
from gridfold.tables.trials import StudyTables

if __name__ == "__main__":
    with script_job(snakemake, ReportRequest) as request:
        tables = StudyTables.read(dict(snakemake.input.items()))
        drawings = study.draw_search(request, tables)
        if snakemake.output.get("search_path_svg"):
            drawings["search_path"] = search_path.draw_search_path(
                pd.read_parquet(snakemake.input.search),
                tables.configurations["config_id"].iloc[0],
                request.measure,
            )
        study.save_all(drawings, Path(snakemake.output[0]).parent)

"""Adapter of the rule `summarise`."""

from pathlib import Path

import pandas as pd

from gridfold.jobs.job import script_job
from gridfold.requests import SummaryRequest
from gridfold.statistics.summary import summarise
from gridfold.tables import trials

if __name__ == "__main__":
    with script_job(snakemake, SummaryRequest) as request:
        table = summarise(pd.read_parquet(snakemake.input.trials), request)
        for file in (snakemake.output.configurations, snakemake.output.configurations_csv):
            trials.write(Path(file), table)

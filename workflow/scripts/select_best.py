"""Adapter of the rule `select_best`."""

import json
from pathlib import Path

import pandas as pd

from gridfold.jobs.job import script_job
from gridfold.requests import SummaryRequest
from gridfold.statistics.summary import select
from gridfold.tables import trials

if __name__ == "__main__":
    with script_job(snakemake, SummaryRequest) as request:
        tried = len(json.loads(Path(snakemake.input.catalogue).read_text()))
        selection = select(pd.read_parquet(snakemake.input.configurations), request, tried)
        shards = list(map(Path, snakemake.input.predictions))
        predictions = trials.predictions_of(selection.config_id, shards)
        trials.write(Path(snakemake.output.predictions), predictions)
        selection.write(Path(snakemake.output.best))

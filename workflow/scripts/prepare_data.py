"""Adapter of the rule `prepare_data`."""

from pathlib import Path

from gridfold.data.dataset import prepare
from gridfold.jobs.job import script_job
from gridfold.requests import DataRequest

if __name__ == "__main__":
    with script_job(snakemake, DataRequest) as request:
        folder = Path(snakemake.output.manifest).parent
        prepare(request.data, request.problem, folder).save(folder)

"""Adapter of the rule `train_rungs`."""

from pathlib import Path

from gridfold.jobs.job import script_job
from gridfold.plan.stage_file import StageFile
from gridfold.requests import RungsRequest
from gridfold.search.asynchronous import train_rungs

if __name__ == "__main__":
    with script_job(snakemake, RungsRequest) as request:
        train_rungs(
            snakemake.wildcards.job,
            request,
            Path(snakemake.input.splits).parent,
            [StageFile.read(Path(file)) for file in snakemake.input.begun],
            threads=snakemake.threads,
            resources=snakemake.resources,
            retries=snakemake.params.retries,
        )

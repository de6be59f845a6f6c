"""Adapter of the rule `train`."""

from pathlib import Path

from gridfold.jobs.job import script_job
from gridfold.jobs.local import train_here
from gridfold.jobs.shard import ShardTables
from gridfold.plan.stage_file import StageFile, slot_request
from gridfold.requests import TrainRequest

if __name__ == "__main__":
    with script_job(snakemake, TrainRequest) as request:
        shard = snakemake.wildcards.shard
        for file in snakemake.input.chosen:
            request = slot_request(request, StageFile.read(Path(file)), shard)
        train_here(
            shard,
            request,
            Path(snakemake.input.splits).parent,
            ShardTables(*map(Path, snakemake.output)),
            threads=snakemake.threads,
            resources=snakemake.resources,
            retries=snakemake.params.retries,
        )

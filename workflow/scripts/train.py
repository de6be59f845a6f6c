"""Adapter of the rule `train`."""

import json
from pathlib import Path

from gridfold.jobs.job import job
from gridfold.jobs.local import train_here
from gridfold.jobs.shard import ShardTables

if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        train_here(
            snakemake.wildcards.shard,
            json.loads(snakemake.params.request),
            Path(snakemake.input.splits).parent,
            ShardTables(*map(Path, snakemake.output)),
            threads=snakemake.threads,
            resources=snakemake.resources,
            retries=snakemake.params.retries,
        )

"""Adapter of the rule `train`."""

import json
from pathlib import Path

from gridfold.jobs import job
from gridfold.localjob import train_here
from gridfold.shardjob import ShardTables

if __name__ == "__main__":
    with job(snakemake.log[0]):
        train_here(
            snakemake.wildcards.shard,
            json.loads(snakemake.params.request),
            Path(snakemake.input.splits).parent,
            ShardTables(*map(Path, snakemake.output)),
            threads=snakemake.threads,
            resources=snakemake.resources,
            retries=snakemake.params.retries,
        )

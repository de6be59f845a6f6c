"""Adapter of the rule `train_stage`."""

import json
from pathlib import Path

from gridfold.jobs.job import job
from gridfold.jobs.local import train_here
from gridfold.jobs.shard import ShardTables
from gridfold.plan.stages import slot_request

if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        train_here(
            snakemake.wildcards.slot,
            slot_request(
                json.loads(snakemake.params.request),
                json.loads(Path(snakemake.input.chosen).read_text()),
                snakemake.wildcards.slot,
            ),
            Path(snakemake.input.splits).parent,
            ShardTables(*map(Path, snakemake.output)),
            threads=snakemake.threads,
            resources=snakemake.resources,
            retries=snakemake.params.retries,
        )

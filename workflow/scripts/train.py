"""Adapter of the rule `train`."""

import json
from pathlib import Path

from gridfold import pool
from gridfold.jobs import job
from gridfold.paths import StudyPaths
from gridfold.shardjob import ShardTables, run_shard

if __name__ == "__main__":
    with job(snakemake.log[0]):
        request = json.loads(snakemake.params.request)
        workers = max(1, snakemake.threads // request["threads"])
        run_shard(
            snakemake.wildcards.shard,
            request,
            StudyPaths(Path(snakemake.input.splits).parent),
            lambda works, on_event: pool.run(works, workers, on_event),
            ShardTables(*map(Path, snakemake.output)),
            last_attempt=snakemake.resources.attempt > snakemake.params.retries,
        )

"""Adapter of the rule `train`."""

import json
from pathlib import Path

from gridfold import pool
from gridfold.allocation import Allocation
from gridfold.jobrecord import Asked
from gridfold.jobs import job
from gridfold.paths import StudyPaths
from gridfold.shardjob import ShardTables, run_shard

if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        request = json.loads(snakemake.params.request)
        given = Allocation.of_job(snakemake.threads, remote=bool(snakemake.resources.remote))
        workers = given.workers(request["threads"], snakemake.resources.workers)
        run_shard(
            snakemake.wildcards.shard,
            request,
            StudyPaths(Path(snakemake.input.splits).parent),
            lambda works, on_event, meanwhile: pool.run(
                works, workers, on_event, given.gpus, meanwhile, given.share(workers)
            ),
            ShardTables(*map(Path, snakemake.output)),
            last_attempt=snakemake.resources.attempt > snakemake.params.retries,
            first_attempt=snakemake.resources.attempt == 1,
            asked=Asked(
                given.cores,
                len(given.gpus),
                workers,
                int(snakemake.resources.mem_mb),
                int(snakemake.resources.runtime),
            ),
        )

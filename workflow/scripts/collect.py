"""Adapter of the rule `collect`."""

from pathlib import Path

from gridfold.jobs.job import script_job
from gridfold.plan.stage_file import StageFile
from gridfold.requests import CollectRequest
from gridfold.search.tables import write_tables

if __name__ == "__main__":
    with script_job(snakemake, CollectRequest) as request:
        write_tables(
            request,
            [StageFile.read(Path(file)) for file in snakemake.input.stages],
            list(map(Path, snakemake.input.trials)),
            list(map(Path, snakemake.input.epochs)),
            Path(snakemake.params.records),
            {name: Path(file) for name, file in snakemake.output.items()},
        )

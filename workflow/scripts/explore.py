"""Adapter of the rule `explore`."""

from pathlib import Path

from gridfold.atomic import write_text
from gridfold.jobs.job import job

if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        write_text(Path(snakemake.output.chosen), snakemake.params.request + "\n")

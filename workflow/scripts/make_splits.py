"""Adapter of the rule `make_splits`."""

from pathlib import Path

from gridfold.data.dataset import Dataset
from gridfold.data.splits import make_splits
from gridfold.jobs.job import script_job
from gridfold.requests import SplitsRequest

if __name__ == "__main__":
    with script_job(snakemake, SplitsRequest) as request:
        dataset = Dataset.load(Path(snakemake.input.manifest).parent)
        make_splits(dataset, request).save(Path(snakemake.output.splits))

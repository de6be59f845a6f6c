"""Adapter of the rule `make_splits`."""

import json
from pathlib import Path

from gridfold.data import splits
from gridfold.data.dataset import Dataset
from gridfold.jobs.job import job


def make_splits(request: str, data: Path, file: Path) -> None:
    """Draw the splits and the held-out test set."""
    splits.make_splits(Dataset.load(data), json.loads(request)).save(file)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        make_splits(
            snakemake.params.request,
            Path(snakemake.input.manifest).parent,
            Path(snakemake.output.splits),
        )

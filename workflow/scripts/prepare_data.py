"""Adapter of the rule `prepare_data`."""

import json
from pathlib import Path

from gridfold.data.dataset import prepare
from gridfold.jobs.job import job


def prepare_data(request: str, folder: Path) -> None:
    """Read the data of a study and keep it as memory-mapped arrays in `folder`."""
    wanted = json.loads(request)
    prepare(wanted["data"], wanted["problem"], folder).save(folder)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        prepare_data(snakemake.params.request, Path(snakemake.output.manifest).parent)

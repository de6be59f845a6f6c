"""Adapter of the rule `summarise`."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gridfold.jobs.job import job
from gridfold.statistics import summary
from gridfold.tables import trials as tables


def summarise(request: str, trials: Path, outputs: Sequence[Path]) -> None:
    """Write the configurations table in each format of `outputs`."""
    table = summary.summarise(pd.read_parquet(trials), json.loads(request))
    for file in outputs:
        tables.write(file, table)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        summarise(
            snakemake.params.request,
            Path(snakemake.input.trials),
            [Path(snakemake.output.configurations), Path(snakemake.output.configurations_csv)],
        )

"""Adapter of the rule `measure_scaling`."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gridfold.figures import scaling, study
from gridfold.jobs.job import job
from gridfold.tables import trials as tables


def measure_scaling(
    request: str, trials: Path, epochs: Path, outputs: Sequence[Path], folder: Path
) -> None:
    """Write the scaling table in each format of `outputs`, and its figure into `folder`."""
    table = scaling.scaling_table(
        json.loads(request), pd.read_parquet(trials), pd.read_parquet(epochs)
    )
    for file in outputs:
        tables.write(file, table)
    study.save_all({"scaling": scaling.draw_scaling(table)}, folder)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        measure_scaling(
            snakemake.params.request,
            Path(snakemake.input.trials),
            Path(snakemake.input.epochs),
            [Path(snakemake.output.table), Path(snakemake.output.table_csv)],
            Path(snakemake.output.scaling_svg).parent,
        )

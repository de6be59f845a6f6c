"""Adapter of the rule `measure_scaling`."""

from pathlib import Path

import pandas as pd

from gridfold.figures import scaling, study
from gridfold.jobs.job import script_job
from gridfold.requests import ScalingRequest
from gridfold.tables import trials

if __name__ == "__main__":
    with script_job(snakemake, ScalingRequest) as request:
        table = scaling.scaling_table(
            request,
            pd.read_parquet(snakemake.input.trials),
            pd.read_parquet(snakemake.input.epochs),
        )
        for file in (snakemake.output.table, snakemake.output.table_csv):
            trials.write(Path(file), table)
        drawings = {"scaling": scaling.draw_scaling(table)}
        study.save_all(drawings, Path(snakemake.output.scaling_svg).parent)

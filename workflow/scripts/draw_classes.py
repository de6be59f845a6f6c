"""Adapter of the rule `draw_classes`."""

from pathlib import Path

import numpy as np
import pandas as pd

from gridfold.data.manifest import Manifest
from gridfold.figures import classes, study
from gridfold.jobs.job import script_job
from gridfold.requests import ReportRequest
from gridfold.tables import trials
from gridfold.tables.predictions import predicted_samples

if __name__ == "__main__":
    with script_job(snakemake, ReportRequest) as request:
        found = classes.draw_classes(
            request,
            predicted_samples(
                pd.read_parquet(snakemake.input.out_of_fold),
                pd.read_parquet(snakemake.input.test_predictions),
                np.load(snakemake.input.targets, mmap_mode="r"),
            ),
            features=np.load(snakemake.input.features, mmap_mode="r"),
            manifest=Manifest.read(Path(snakemake.input.manifest)),
        )
        study.save_all(found.drawings, Path(snakemake.output.roc_svg).parent)
        for name, table in found.tables.items():
            trials.write(Path(snakemake.output[f"{name}_table"]), table)

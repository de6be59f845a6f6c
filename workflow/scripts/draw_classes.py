"""Adapter of the rule `draw_classes`."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from gridfold.figures import classes, study
from gridfold.jobs.job import script_job
from gridfold.requests import ReportRequest
from gridfold.tables import trials

if __name__ == "__main__":
    with script_job(snakemake, ReportRequest) as request:
        found = classes.draw_classes(
            request,
            out_of_fold=pd.read_parquet(snakemake.input.out_of_fold),
            test_predictions=pd.read_parquet(snakemake.input.test_predictions),
            features=np.load(snakemake.input.features, mmap_mode="r"),
            targets=np.load(snakemake.input.targets, mmap_mode="r"),
            manifest=json.loads(Path(snakemake.input.manifest).read_text()),
        )
        study.save_all(found.drawings, Path(snakemake.output.roc_svg).parent)
        for name, table in found.tables.items():
            trials.write(Path(snakemake.output[f"{name}_table"]), table)

"""Adapter of the rule `draw_test_figures`."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from gridfold.figures import study
from gridfold.jobs.job import script_job
from gridfold.requests import ReportRequest
from gridfold.tables.trials import StudyTables

if __name__ == "__main__":
    with script_job(snakemake, ReportRequest) as request:
        drawings = study.draw_test(
            request,
            StudyTables.read(dict(snakemake.input.items())),
            card=json.loads(Path(snakemake.input.card).read_text()),
            out_of_fold=pd.read_parquet(snakemake.input.out_of_fold),
            test_predictions=pd.read_parquet(snakemake.input.test_predictions),
            targets=np.load(snakemake.input.targets, mmap_mode="r"),
            manifest=json.loads(Path(snakemake.input.manifest).read_text()),
        )
        study.save_all(drawings, Path(snakemake.output[0]).parent)

"""Adapter of the rule `draw_test_figures`."""

from pathlib import Path

import numpy as np
import pandas as pd

from gridfold.data.manifest import Manifest
from gridfold.figures import study
from gridfold.jobs.job import script_job
from gridfold.requests import ReportRequest
from gridfold.store.model_card import ModelCard
from gridfold.tables.predictions import predicted_samples
from gridfold.tables.trials import StudyTables

if __name__ == "__main__":
    with script_job(snakemake, ReportRequest) as request:
        drawings = study.draw_test(
            request,
            StudyTables.read(dict(snakemake.input.items())),
            card=ModelCard.read(Path(snakemake.input.card)),
            samples=predicted_samples(
                pd.read_parquet(snakemake.input.out_of_fold),
                pd.read_parquet(snakemake.input.test_predictions),
                np.load(snakemake.input.targets, mmap_mode="r"),
            ),
            manifest=Manifest.read(Path(snakemake.input.manifest)),
        )
        study.save_all(drawings, Path(snakemake.output[0]).parent)

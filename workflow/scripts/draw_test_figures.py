"""Adapter of the rule `draw_test_figures`."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from gridfold.figures import study
from gridfold.jobs.job import job
from gridfold.tables.trials import StudyTables


def draw_test_figures(request: str, inputs: Mapping[str, str], folder: Path) -> None:
    """Draw the figures that show the test set into `folder`, with their words."""
    drawings = study.draw_test(
        json.loads(request),
        StudyTables.read(inputs),
        card=json.loads(Path(inputs["card"]).read_text()),
        out_of_fold=pd.read_parquet(inputs["out_of_fold"]),
        test_predictions=pd.read_parquet(inputs["test_predictions"]),
        targets=np.load(inputs["targets"], mmap_mode="r"),
        manifest=json.loads(Path(inputs["manifest"]).read_text()),
    )
    study.save_all(drawings, folder)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        draw_test_figures(
            snakemake.params.request,
            dict(snakemake.input.items()),
            Path(snakemake.output[0]).parent,
        )

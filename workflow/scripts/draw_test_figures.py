"""Adapter of the rule `draw_test_figures`."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from gridfold.data.manifest import Manifest
from gridfold.figures import study
from gridfold.jobs.job import job
from gridfold.store.model_card import ModelCard
from gridfold.tables.predictions import predicted_samples
from gridfold.tables.trials import StudyTables


def draw_test_figures(request: str, inputs: Mapping[str, str], folder: Path) -> None:
    """Draw the figures that show the test set into `folder`, with their words."""
    drawings = study.draw_test(
        json.loads(request),
        StudyTables.read(inputs),
        card=ModelCard.read(Path(inputs["card"])),
        samples=predicted_samples(
            pd.read_parquet(inputs["out_of_fold"]),
            pd.read_parquet(inputs["test_predictions"]),
            np.load(inputs["targets"], mmap_mode="r"),
        ),
        manifest=Manifest.read(Path(inputs["manifest"])),
    )
    study.save_all(drawings, folder)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        draw_test_figures(
            snakemake.params.request,
            dict(snakemake.input.items()),
            Path(snakemake.output[0]).parent,
        )

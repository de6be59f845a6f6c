"""Adapter of the rule `draw_classes`."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from gridfold.data.manifest import Manifest
from gridfold.figures import classes, study
from gridfold.jobs.job import job
from gridfold.tables import trials
from gridfold.tables.predictions import predicted_samples


def draw_classes(request: str, inputs: Mapping[str, str], drawn: Path, written: Path) -> None:
    """Draw how classes are told apart into one folder, and write the tables into another."""
    found = classes.draw_classes(
        json.loads(request),
        predicted_samples(
            pd.read_parquet(inputs["out_of_fold"]),
            pd.read_parquet(inputs["test_predictions"]),
            np.load(inputs["targets"], mmap_mode="r"),
        ),
        features=np.load(inputs["features"], mmap_mode="r"),
        manifest=Manifest.read(Path(inputs["manifest"])),
    )
    study.save_all(found.drawings, drawn)
    for name, table in found.tables.items():
        trials.write(written / f"{name}.csv", table)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        draw_classes(
            snakemake.params.request,
            dict(snakemake.input.items()),
            Path(snakemake.output.roc_svg).parent,
            Path(snakemake.output.classes_table).parent,
        )

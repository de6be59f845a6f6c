"""Adapter of the rule `draw_model`."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from gridfold import figures, modelfigures, tables
from gridfold.inside import Inside
from gridfold.jobs import job


def draw_model(request: str, inputs: Mapping[str, str], drawn: Path, written: Path) -> None:
    """Draw the figures of the final model into one folder, and write its tables into another."""
    found = modelfigures.draw_model(
        json.loads(request),
        Inside.load(Path(inputs["inside"])),
        out_of_fold=pd.read_parquet(inputs["out_of_fold"]),
        test_predictions=pd.read_parquet(inputs["test_predictions"]),
        features=np.load(inputs["features"], mmap_mode="r"),
        targets=np.load(inputs["targets"], mmap_mode="r"),
        manifest=json.loads(Path(inputs["manifest"]).read_text()),
    )
    figures.save_all(found.drawings, drawn)
    for name, table in found.tables.items():
        tables.write(written / f"{name}.csv", table)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        draw_model(
            snakemake.params.request,
            dict(snakemake.input.items()),
            Path(snakemake.output.architecture_svg).parent,
            Path(snakemake.output.layers_table).parent,
        )

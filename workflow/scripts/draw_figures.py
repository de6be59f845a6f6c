"""Adapter of the rule `draw_figures`."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from gridfold import figures
from gridfold.jobs import job


def draw_figures(request: str, inputs: Mapping[str, str], folder: Path) -> None:
    """Draw all figures of a study into `folder`, with their captions."""
    drawings = figures.draw_all(
        json.loads(request),
        trials=pd.read_parquet(inputs["trials"]),
        epochs=pd.read_parquet(inputs["epochs"]),
        configurations=pd.read_parquet(inputs["configurations"]),
        card=json.loads(Path(inputs["card"]).read_text()),
        out_of_fold=pd.read_parquet(inputs["out_of_fold"]),
        test_predictions=pd.read_parquet(inputs["test_predictions"]),
        targets=np.load(inputs["targets"], mmap_mode="r"),
        manifest=json.loads(Path(inputs["manifest"]).read_text()),
    )
    figures.save_all(drawings, folder)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        draw_figures(
            snakemake.params.request,
            dict(snakemake.input.items()),
            Path(snakemake.output.captions).parent,
        )

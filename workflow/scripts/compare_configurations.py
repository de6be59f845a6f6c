"""Adapter of the rule `compare_configurations`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from gridfold.figures import comparison as comparisonfigures
from gridfold.figures import study
from gridfold.jobs.job import job
from gridfold.statistics import comparison


def compare_configurations(
    request: str, inputs: Mapping[str, str], predictions: Sequence[Path], tables: Path, drawn: Path
) -> None:
    """Write tables and facts of the comparison into `tables`, its figures into `drawn`."""
    found = comparison.compare(
        json.loads(request),
        pd.read_parquet(inputs["trials"]),
        pd.read_parquet(inputs["configurations"]),
        targets=np.load(inputs["targets"], mmap_mode="r"),
        groups=np.load(inputs["groups"], mmap_mode="r"),
        predictions=predictions,
    )
    found.write(tables)
    study.save_all(comparisonfigures.draw_comparison(found), drawn)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        compare_configurations(
            snakemake.params.request,
            dict(snakemake.input.items()),
            list(map(Path, snakemake.input.predictions)),
            Path(snakemake.output.facts).parent,
            Path(snakemake.output.importance_svg).parent,
        )

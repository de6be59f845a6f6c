"""Adapter of the rule `compare_configurations`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from gridfold.figures import comparison as comparisonfigures
from gridfold.figures import study
from gridfold.jobs.job import job
from gridfold.paths import StudyPaths
from gridfold.statistics import comparison


def compare_configurations(
    request: str, inputs: Mapping[str, str], predictions: Sequence[Path], paths: StudyPaths
) -> None:
    """Write tables, facts and figures of the comparison."""
    found = comparison.compare(
        json.loads(request),
        pd.read_parquet(inputs["trials"]),
        pd.read_parquet(inputs["configurations"]),
        targets=np.load(inputs["targets"], mmap_mode="r"),
        groups=np.load(inputs["groups"], mmap_mode="r"),
        predictions=predictions,
    )
    found.write(paths)
    study.save_all(comparisonfigures.draw_comparison(found), paths.figures)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        compare_configurations(
            snakemake.params.request,
            dict(snakemake.input.items()),
            list(map(Path, snakemake.input.predictions)),
            StudyPaths(Path(snakemake.output.facts).parents[1]),
        )

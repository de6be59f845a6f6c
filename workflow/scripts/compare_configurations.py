"""Adapter of the rule `compare_configurations`."""

from pathlib import Path

import numpy as np
import pandas as pd

from gridfold.figures.comparison import draw_comparison
from gridfold.figures.study import save_all
from gridfold.jobs.job import script_job
from gridfold.paths import StudyPaths
from gridfold.requests import ComparisonRequest
from gridfold.statistics.comparison import compare

if __name__ == "__main__":
    with script_job(snakemake, ComparisonRequest) as request:
        found = compare(
            request,
            pd.read_parquet(snakemake.input.trials),
            pd.read_parquet(snakemake.input.configurations),
            targets=np.load(snakemake.input.targets, mmap_mode="r"),
            groups=np.load(snakemake.input.groups, mmap_mode="r"),
            predictions=list(map(Path, snakemake.input.predictions)),
        )
        found.write(StudyPaths(Path(snakemake.output.facts).parents[1]))
        save_all(draw_comparison(found), Path(snakemake.output.importance_svg).parent)

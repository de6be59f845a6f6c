"""Adapter of the rule `select_best`."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gridfold.jobs.job import job
from gridfold.statistics import summary
from gridfold.tables import trials


def select_best(
    request: str,
    configurations: Path,
    shards: Sequence[Path],
    catalogue: str,
    best: Path,
    predictions: Path,
) -> None:
    """Select a configuration and bring its out-of-fold predictions together."""
    # Only of a search in stages.
    tried = len(json.loads(Path(catalogue).read_text())) if catalogue else None
    selection = summary.select(pd.read_parquet(configurations), json.loads(request), tried)
    trials.write(predictions, trials.predictions_of(selection.config_id, shards))
    selection.write(best)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        select_best(
            snakemake.params.request,
            Path(snakemake.input.configurations),
            list(map(Path, snakemake.input.predictions)),
            snakemake.input.get("catalogue", ""),
            Path(snakemake.output.best),
            Path(snakemake.output.predictions),
        )

"""Adapter of the rule `draw_search_figures`."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from gridfold.figures import search_path, study
from gridfold.jobs.job import job
from gridfold.tables.trials import StudyTables


def draw_search_figures(request: str, inputs: Mapping[str, str], folder: Path) -> None:
    """Draw the figures of the search into `folder`, with their words."""
    wanted, tables = json.loads(request), StudyTables.read(inputs)
    drawings = study.draw_search(wanted, tables)
    if inputs["search"]:
        best = tables.configurations["config_id"].iloc[0]
        path = pd.read_parquet(inputs["search"])
        drawings["search_path"] = search_path.draw_search_path(path, best, wanted["measure"])
    study.save_all(drawings, folder)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        draw_search_figures(
            snakemake.params.request,
            dict(snakemake.input.items()),
            Path(snakemake.output[0]).parent,
        )

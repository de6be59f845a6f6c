"""Adapter of the rule `draw_search_figures`."""

import json
from collections.abc import Mapping
from pathlib import Path

from gridfold import figures
from gridfold.jobs import job
from gridfold.tables import StudyTables


def draw_search_figures(request: str, inputs: Mapping[str, str], folder: Path) -> None:
    """Draw the figures of the search into `folder`, with their words."""
    drawings = figures.draw_search(json.loads(request), StudyTables.read(inputs))
    figures.save_all(drawings, folder)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        draw_search_figures(
            snakemake.params.request,
            dict(snakemake.input.items()),
            Path(snakemake.output[0]).parent,
        )

"""Adapter of the rule `confirm`."""

import json
from collections.abc import Sequence
from pathlib import Path

from gridfold.atomic import write_text
from gridfold.canonical import canonical_json
from gridfold.jobs.job import job
from gridfold.search import decisions


def confirm(request: str, files: Sequence[Path], trials: Sequence[Path], chosen: Path) -> None:
    """Write the finalists: the best configurations of the search."""
    found = decisions.choose(
        json.loads(request), decisions.read_files(files), decisions.read_trials(trials)
    )
    write_text(chosen, canonical_json(found) + "\n")


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        confirm(
            snakemake.params.request,
            list(map(Path, snakemake.input.files)),
            list(map(Path, snakemake.input.trials)),
            Path(snakemake.output.chosen),
        )

"""Adapter of the rule `promote`."""

import json
from collections.abc import Sequence
from pathlib import Path

from gridfold.atomic import write_text
from gridfold.canonical import canonical_json
from gridfold.jobs.job import job
from gridfold.search import decisions


def promote(request: str, files: Sequence[Path], trials: Sequence[Path], chosen: Path) -> None:
    """Write the configurations of a rung that go on: the best of the one before."""
    found = decisions.choose(
        json.loads(request), decisions.read_files(files), decisions.read_trials(trials)
    )
    write_text(chosen, canonical_json(found) + "\n")


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        promote(
            snakemake.params.request,
            list(map(Path, snakemake.input.files)),
            list(map(Path, snakemake.input.trials)),
            Path(snakemake.output.chosen),
        )

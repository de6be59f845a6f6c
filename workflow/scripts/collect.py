"""Adapter of the rule `collect`."""

import json
from collections.abc import Sequence
from pathlib import Path

from gridfold import tables
from gridfold.jobs import job


def collect(
    request: str,
    trial_files: Sequence[Path],
    epoch_files: Sequence[Path],
    trials: Sequence[Path],
    epochs: Path,
) -> None:
    """Bring the shards' tables together and write the trials table in each format of `trials`."""
    trial_table, epoch_table = tables.collect(json.loads(request), trial_files, epoch_files)
    for file in trials:
        tables.write(file, trial_table)
    tables.write(epochs, epoch_table)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        collect(
            snakemake.params.request,
            list(map(Path, snakemake.input.trials)),
            list(map(Path, snakemake.input.epochs)),
            [Path(snakemake.output.trials), Path(snakemake.output.trials_csv)],
            Path(snakemake.output.epochs),
        )

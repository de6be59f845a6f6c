"""Adapter of the rule `collect`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from gridfold import jobrecord, jobtable, tables
from gridfold.jobs import job


def collect(
    request: str,
    trial_files: Sequence[Path],
    epoch_files: Sequence[Path],
    records: Path,
    outputs: Mapping[str, str],
) -> None:
    """Bring the shards' tables together, and what is known of the jobs that wrote them."""
    trials, epochs = tables.collect(json.loads(request), trial_files, epoch_files)
    found = jobrecord.read(records, [file.name.partition(".")[0] for file in trial_files])
    accounted = jobtable.ask_sacct(record.slurm_job for record in found)
    contents = {"trials": trials, "epochs": epochs, "jobs": jobtable.job_table(found, accounted)}
    for name, file in outputs.items():
        tables.write(Path(file), contents[name.removesuffix("_csv")])


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        collect(
            snakemake.params.request,
            list(map(Path, snakemake.input.trials)),
            list(map(Path, snakemake.input.epochs)),
            Path(snakemake.params.records),
            dict(snakemake.output.items()),
        )

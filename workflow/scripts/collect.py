"""Adapter of the rule `collect`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from gridfold.atomic import write_text
from gridfold.canonical import canonical_json
from gridfold.cluster import accounting
from gridfold.jobs.job import job
from gridfold.store import job_records
from gridfold.tables import jobs
from gridfold.tables import trials as tables


def collect(
    request: str,
    inputs: Mapping[str, Sequence[str]],
    records: Path,
    outputs: dict[str, str],
) -> None:
    """Bring the shards' tables together, and what is known of the jobs that wrote them."""
    trial_files, epoch_files = (list(map(Path, inputs[name])) for name in ("trials", "epochs"))
    if inputs["stages"]:
        # Imported only here: with it comes the model of study files, a tenth of a second.
        from gridfold.search import tables as searchtables

        stages = [json.loads(Path(file).read_text()) for file in inputs["stages"]]
        contents, catalogue = searchtables.collect_search(
            json.loads(request), stages, trial_files, epoch_files
        )
        write_text(Path(outputs.pop("catalogue")), canonical_json(catalogue) + "\n")
    else:
        trials, epochs = tables.collect(json.loads(request), trial_files, epoch_files)
        contents = {"trials": trials, "epochs": epochs}
    found = job_records.read(records, [file.name.partition(".")[0] for file in trial_files])
    accounted = accounting.ask_sacct(record.slurm_job for record in found)
    contents["jobs"] = jobs.job_table(found, accounted)
    for name, file in outputs.items():
        tables.write(Path(file), contents[name.removesuffix("_csv")])


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        collect(
            snakemake.params.request,
            {name: list(snakemake.input.get(name)) for name in ("trials", "epochs", "stages")},
            Path(snakemake.params.records),
            dict(snakemake.output.items()),
        )

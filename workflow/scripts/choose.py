"""Adapter of the rule `choose`."""

from pathlib import Path

from gridfold.jobs.job import script_job
from gridfold.plan.stage_file import StageFile
from gridfold.requests import ChoiceRequest
from gridfold.search.decisions import choose

if __name__ == "__main__":
    with script_job(snakemake, ChoiceRequest) as request:
        files = [StageFile.read(Path(file)) for file in snakemake.input.files]
        stage = choose(request, files, list(map(Path, snakemake.input.trials)))
        stage.write(Path(snakemake.output.chosen))

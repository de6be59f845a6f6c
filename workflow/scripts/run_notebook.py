"""Adapter of the rule `run_notebook`."""

from pathlib import Path

from gridfold.jobs.job import script_job
from gridfold.report.notebook import run
from gridfold.requests import NotebookRequest

if __name__ == "__main__":
    with script_job(snakemake, NotebookRequest) as request:
        notebook, html = Path(snakemake.output.notebook), Path(snakemake.output.html)
        # What the notebook is told: the study, its folder and its tables.
        parameters = {
            "study": request.study,
            "results": str(notebook.parent.parent),
            "tables": dict(snakemake.input.items()),
        }
        run(Path(request.notebook), parameters, notebook, html)

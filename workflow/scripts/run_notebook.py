"""Adapter of the rule `run_notebook`."""

import json
from collections.abc import Mapping
from pathlib import Path

from gridfold.jobs.job import job
from gridfold.report import notebook as notebookrun


def run_notebook(request: str, tables: Mapping[str, str], notebook: Path, html: Path) -> None:
    """Run the notebook of a study; it is told the study, its folder and its tables."""
    asked = json.loads(request)
    parameters = {
        "study": asked["study"],
        "results": str(notebook.parent.parent),
        "tables": dict(tables),
    }
    notebookrun.run(Path(asked["notebook"]), parameters, notebook, html)


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        run_notebook(
            snakemake.params.request,
            dict(snakemake.input.items()),
            Path(snakemake.output.notebook),
            Path(snakemake.output.html),
        )

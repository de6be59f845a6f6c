"""Adapter of the rule `report`."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from gridfold import report
from gridfold.atomic import write_text
from gridfold.jobs import job


def write_report(request: str, inputs: Mapping[str, str], html: Path) -> None:
    """Write the report of a study as one self-contained page."""
    page = report.render(
        json.loads(request),
        trials=pd.read_parquet(inputs["trials"]),
        epochs=pd.read_parquet(inputs["epochs"]),
        configurations=pd.read_parquet(inputs["configurations"]),
        best=json.loads(Path(inputs["best"]).read_text()),
        card=json.loads(Path(inputs["card"]).read_text()),
        manifest=json.loads(Path(inputs["manifest"]).read_text()),
        figures=report.read_figures(Path(inputs["captions"])),
        templates=Path(inputs["template"]).parent,
    )
    write_text(html, page)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        write_report(
            snakemake.params.request,
            {name: str(files) for name, files in snakemake.input.items()},
            Path(snakemake.output.html),
        )

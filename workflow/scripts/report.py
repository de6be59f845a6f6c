"""Adapter of the rule `report`."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from gridfold.atomic import write_text
from gridfold.jobs import job
from gridfold.report import render
from gridfold.reportinput import ReportInput, read_figures
from gridfold.tables import StudyTables


def write_report(
    request: str, inputs: Mapping[str, str], words: Iterable[Path], html: Path
) -> None:
    """Write the report of a study as one self-contained page."""
    study = ReportInput(
        json.loads(request),
        StudyTables.read(inputs),
        jobs=pd.read_parquet(inputs["jobs"]),
        best=json.loads(Path(inputs["best"]).read_text()),
        card=json.loads(Path(inputs["card"]).read_text()),
        manifest=json.loads(Path(inputs["manifest"]).read_text()),
        figures=read_figures(words),
        scaling=pd.read_parquet(inputs["scaling"]) if inputs["scaling"] else None,
    )
    write_text(html, render(study, Path(inputs["page"]).parent))


if __name__ == "__main__":
    with job(snakemake.log[0]):
        write_report(
            snakemake.params.request,
            dict(snakemake.input.items()),
            map(Path, snakemake.input.words),
            Path(snakemake.output.html),
        )

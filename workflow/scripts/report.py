"""Adapter of the rule `report`."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from gridfold.atomic import write_text
from gridfold.data.manifest import Manifest
from gridfold.jobs.job import job
from gridfold.report.input import ReportInput, read_figures
from gridfold.report.page import render
from gridfold.statistics.result import Comparison
from gridfold.store.model_card import ModelCard
from gridfold.store.selection import Selection
from gridfold.tables.trials import StudyTables


def write_report(
    request: str, inputs: Mapping[str, str], words: Iterable[Path], html: Path
) -> None:
    """Write the report of a study as one self-contained page."""
    study = ReportInput(
        json.loads(request),
        StudyTables.read(inputs),
        jobs=pd.read_parquet(inputs["jobs"]),
        best=Selection.read(Path(inputs["best"])),
        card=ModelCard.read(Path(inputs["card"])),
        manifest=Manifest.read(Path(inputs["manifest"])),
        figures=read_figures(words),
        comparison=Comparison.read(inputs),
        # Of some studies only.
        **{
            name: pd.read_parquet(inputs[name])
            for name in ("scaling", "search", "search_trials")
            if inputs[name]
        },
    )
    write_text(html, render(study))


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        write_report(
            snakemake.params.request,
            dict(snakemake.input.items()),
            map(Path, snakemake.input.words),
            Path(snakemake.output.html),
        )

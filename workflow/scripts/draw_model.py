"""Adapter of the rule `draw_model`."""

from pathlib import Path

import numpy as np

from gridfold.data.manifest import Manifest
from gridfold.figures import architecture, model, study
from gridfold.final.inside import Inside
from gridfold.jobs.job import script_job
from gridfold.requests import ReportRequest
from gridfold.tables import trials

if __name__ == "__main__":
    with script_job(snakemake, ReportRequest):
        inside = Inside.load(Path(snakemake.input.inside))
        drawings = model.draw_model(
            inside,
            features=np.load(snakemake.input.features, mmap_mode="r"),
            targets=np.load(snakemake.input.targets, mmap_mode="r"),
            manifest=Manifest.read(Path(snakemake.input.manifest)),
        )
        study.save_all(drawings, Path(snakemake.output.architecture_svg).parent)
        layers = architecture.layers_table(inside.layers)
        trials.write(Path(snakemake.output.layers_table), layers)

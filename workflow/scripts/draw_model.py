"""Adapter of the rule `draw_model`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gridfold.data.manifest import Manifest
from gridfold.figures import architecture, model, study
from gridfold.final.inside import Inside
from gridfold.jobs.job import job
from gridfold.tables import trials


def draw_model(inputs: Mapping[str, str], drawn: Path, layers: Path) -> None:
    """Draw the inside of the final model into a folder, and write the table of its layers."""
    inside = Inside.load(Path(inputs["inside"]))
    drawings = model.draw_model(
        inside,
        features=np.load(inputs["features"], mmap_mode="r"),
        targets=np.load(inputs["targets"], mmap_mode="r"),
        manifest=Manifest.read(Path(inputs["manifest"])),
    )
    study.save_all(drawings, drawn)
    trials.write(layers, architecture.layers_table(inside.layers))


if __name__ == "__main__":
    with job(snakemake.log[0], snakemake.params.request):
        draw_model(
            dict(snakemake.input.items()),
            Path(snakemake.output.architecture_svg).parent,
            Path(snakemake.output.layers_table),
        )

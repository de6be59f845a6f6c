"""The section on the inside of the final model."""

from __future__ import annotations

from gridfold.arrays import are_images
from gridfold.report.input import BESIDE, ReportInput, ReportSection


def model(study: ReportInput) -> ReportSection | None:
    """Return the layers of the final model and, where samples are images, what it does to them."""
    if "architecture" not in study.figures:
        return None
    content = {
        "images": are_images(study.manifest.sample_shape),
        "layers_file": BESIDE.table_csv("layers"),
        "model_file": BESIDE.final_model.model,
    }
    return ReportSection("model", "Final model", "Inside the final model", content)

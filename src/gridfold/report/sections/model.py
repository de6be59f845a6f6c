"""Sections of the report: how classes are told apart, inside the final model, the notebook."""

from __future__ import annotations

from gridfold.arrays import are_images
from gridfold.report.input import BESIDE, ReportInput, Section


def classes(study: ReportInput) -> Section | None:
    """Return how well classes are told apart, of a problem of classes."""
    if "roc" not in study.figures:
        return None
    content = {
        "classes_file": BESIDE.tables / "classes.csv",
        "mistakes_file": BESIDE.tables / "misclassified.csv",
    }
    return Section("classes", "Classes", "How well classes are told apart", content)


def model(study: ReportInput) -> Section | None:
    """Return the layers of the final model and, where samples are images, what it does to them."""
    if "architecture" not in study.figures:
        return None
    content = {
        "images": are_images(study.manifest["sample_shape"]),
        "layers_file": BESIDE.tables / "layers.csv",
        "model_file": BESIDE.final / "model.keras",
    }
    return Section("model", "Final model", "Inside the final model", content)


def notebook(study: ReportInput) -> Section | None:
    """Return the way to the executed notebook, where the study asked for one."""
    wanted = study.study["report"]["notebook"]
    if not wanted:
        return None
    content = {
        "name": wanted if isinstance(wanted, str) else "the notebook of gridfold",
        "html_file": BESIDE.notebook / "notebook.html",
        "notebook_file": BESIDE.notebook / "notebook.ipynb",
    }
    return Section("notebook", "Notebook", "Notebook", content)

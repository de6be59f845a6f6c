"""The section on how well classes are told apart."""

from __future__ import annotations

from gridfold.report.input import BESIDE, ReportInput, ReportSection


def classes(study: ReportInput) -> ReportSection | None:
    """Return how well classes are told apart, of a problem of classes."""
    if "roc" not in study.figures:
        return None
    content = {
        "classes_file": BESIDE.table_csv("classes"),
        "mistakes_file": BESIDE.table_csv("misclassified"),
    }
    return ReportSection("classes", "Classes", "How well classes are told apart", content)

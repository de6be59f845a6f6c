"""The section on what the final model relies on."""

from __future__ import annotations

from gridfold.report.input import BESIDE, ReportInput, ReportSection


def features(study: ReportInput) -> ReportSection | None:
    """Return how much each feature matters to the final model, where that was measured."""
    table = study.feature_importance
    if table is None or not table["importance"].notna().any():
        return None
    content = {"importance_file": BESIDE.table_csv("feature_importance")}
    return ReportSection("features", "Features", "What the final model relies on", content)

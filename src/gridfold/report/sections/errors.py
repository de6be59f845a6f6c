"""The section on the errors of the selected configuration."""

from __future__ import annotations

from gridfold.report.input import ReportInput, ReportSection


def errors(study: ReportInput) -> ReportSection:
    """Return where the selected configuration is wrong."""
    return ReportSection("errors", "Errors", "Errors of the selected configuration", {})

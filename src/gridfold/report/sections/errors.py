"""The section on the errors of the selected configuration."""

from __future__ import annotations

from gridfold.report.input import ReportInput, Section


def errors(study: ReportInput) -> Section:
    """Return where the selected configuration is wrong."""
    return Section("errors", "Errors", "Errors of the selected configuration", {})

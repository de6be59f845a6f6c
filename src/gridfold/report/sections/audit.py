"""The section on the audit: what was found about data and splits before anything was trained."""

from __future__ import annotations

from gridfold.codes import AUDIT_CODES
from gridfold.report.input import ReportInput, ReportSection


def audit(study: ReportInput) -> ReportSection | None:
    """Return what is wrong with data and splits, open findings first."""
    found = study.audit
    if found is None:
        return None
    accepted = study.study.get("audit", {}).get("accept", {})
    left = found.open_findings(accepted)
    said = [f for f in found.findings if f.severity != "note" and f.code in accepted]
    notes = [f for f in found.findings if f.severity == "note"]
    content = {
        "open": left,
        "accepted": [(finding, accepted[finding.code]) for finding in said],
        "notes": [(finding, accepted.get(finding.code)) for finding in notes],
        "checked": [f"{code}, {AUDIT_CODES[code]}" for code in found.checked],
        "samples": found.samples,
    }
    return ReportSection("audit", "Audit", "Audit of the data", content)

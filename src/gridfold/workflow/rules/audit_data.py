"""The rule `audit_data` looks for leaks and faults in data and splits."""

from __future__ import annotations

import logging

from gridfold.audit.audit import audit
from gridfold.audit.material import Material
from gridfold.codes import AUDIT_CODES
from gridfold.data.dataset import Dataset
from gridfold.data.description import DataDescription
from gridfold.data.splits import Splits
from gridfold.errors import TOLD
from gridfold.jobs.script import RuleJob
from gridfold.requests import AuditRequest

log = logging.getLogger(__name__)


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(AuditRequest)
    material = Material(
        Dataset.verified(job.input("manifest").parent),
        Splits.load(job.input("splits")),
        request,
        DataDescription.read(job.input("description")),
    )
    found = audit(material)
    for finding in found.findings:
        log.info("%s %s: %s %s", finding.code, finding.severity, finding.sentence, finding.remedy)
    told = dict.fromkeys(finding.code for finding in found.open_findings(()))
    if told:
        log.warning(
            "the audit of the data has findings: %s; `gridfold audit` shows them",
            ", ".join(f"{code} ({AUDIT_CODES[code]})" for code in told),
            extra=TOLD,
        )
    found.write(job.output("audit"))

"""The rule `require_audit` ends a study whose data were found unfit, before it trains."""

from __future__ import annotations

from gridfold import typed_json
from gridfold.audit.finding import Audit
from gridfold.errors import DataError
from gridfold.jobs.script import RuleJob
from gridfold.requests import GateRequest
from gridfold.wording import counted


def run(job: RuleJob) -> None:
    """Do the work of a job of the rule."""
    request = job.request(GateRequest)
    audit = Audit.read(job.input("audit"))
    stopping = audit.stopping(request.accepted, request.fail_on)
    if stopping:
        found = "".join(f"\n  - {f.code} {f.severity}: {f.sentence}" for f in stopping)
        raise DataError(
            f"the audit has {counted(len(stopping), 'finding')} that audit.fail_on: "
            f"{request.fail_on} does not let pass; nothing is trained.{found}\n"
            "Mend what is wrong, or give the reason why it is right in `audit.accept`."
        )
    typed_json.write(job.output("passed"), list(request.accepted))

"""The verb that looks for leaks and faults in the data of a study, before anything is trained."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gridfold.cli.verbs import COUNT, json_option, print_json, takes_study_as_written
from gridfold.errors import GridfoldError

if TYPE_CHECKING:
    from gridfold.audit.finding import Audit
    from gridfold.plan.plan import Plan

# Not that of an audit that could not be made.
_FOUND = 3


@click.command()
@takes_study_as_written
@click.option("--cores", type=COUNT, help="CPU cores for reading the data. [default: all]")
@json_option
@click.pass_context
def audit(context: click.Context, plan: Plan, cores: int | None, as_json: bool) -> None:
    """Look for leaks and faults in the data and the splits of a study.

    The data are read and split as for a run, which goes on from there; nothing is trained. Exits
    with 3 while there are errors or warnings that `audit.accept` gives no reason for, else with 0.
    """
    found = _audit_of(plan, cores)
    accepted = plan.study.audit.accept
    open_findings = found.open_findings(accepted)
    if as_json:
        print_json(_facts(plan, found))
    else:
        _print(found, accepted)
    if open_findings:
        context.exit(_FOUND)


def _audit_of(plan: Plan, cores: int | None) -> Audit:
    """Return the audit of a study as it is now, which Snakemake makes if there is none."""
    from gridfold.audit.finding import Audit
    from gridfold.plan.job_requests import JobRequests
    from gridfold.store import request_notes
    from gridfold.typed_json import DamagedRecord

    requests = JobRequests(plan)
    answered = (
        request_notes.answers(plan.paths.log(rule), request.text())
        for rule, request in (
            ("prepare_data", requests.data()),
            ("make_splits", requests.splits()),
            ("audit_data", requests.audit()),
        )
    )
    if all(answered):
        # Also while a study runs, when Snakemake would find the folder locked.
        try:
            return Audit.read(plan.paths.audit)
        except (FileNotFoundError, DamagedRecord):
            pass
    _make(plan, cores)
    return Audit.read(plan.paths.audit)


def _make(plan: Plan, cores: int | None) -> None:
    from gridfold.study.command import config_words
    from gridfold.workflow_files import workflow_path

    values = {**plan.overrides, "results": str(plan.paths.root.parent)}
    words = ["--snakefile", workflow_path(), "--cores", str(cores or "all"), "--quiet", "all"]
    words += ["--configfile", *map(str, plan.files), "--config", *config_words(values)]
    # Findings alone go to the standard output.
    answer = subprocess.run(
        [sys.executable, "-m", "snakemake", *words, "--", str(plan.paths.audit)],
        stdout=sys.stderr,
        check=False,
    )
    if answer.returncode:
        log = plan.paths.log("prepare_data")
        raise GridfoldError(
            f"{plan.study.study}: the data could not be audited; what stopped it stands above and "
            f"in {log}"
        )


def _print(found: Audit, accepted: dict[str, str]) -> None:
    from gridfold.audit.finding import lines_of
    from gridfold.wording import counted

    for finding in found.findings:
        print("\n".join(lines_of(finding, accepted)))
    left = found.open_findings(accepted)
    notes = [f for f in found.findings if f.severity == "note"]
    said = len(found.findings) - len(left) - len(notes)
    print(
        f"{counted(found.samples, 'sample')} looked at for {len(found.checked)} kinds of faults: "
        f"{counted(len(left), 'open finding')}, {said} accepted, {counted(len(notes), 'note')}"
    )


def _facts(plan: Plan, found: Audit) -> dict[str, Any]:
    accepted = plan.study.audit.accept
    left = {id(finding) for finding in found.open_findings(accepted)}
    return {
        "study": plan.study.study,
        "samples": found.samples,
        "checked": found.checked,
        "open": len(left),
        "findings": [
            asdict(finding)
            | {
                "link": finding.link,
                "accepted": accepted.get(finding.code),
                "open": id(finding) in left,
            }
            for finding in found.findings
        ],
    }

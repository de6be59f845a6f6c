"""What an audit has found: kept on disk, accepted with a reason, explained in the documents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from studies import tiny_study, write_study
from workbench import ROOT

from gridfold.audit.finding import Audit, Finding, lines_of
from gridfold.codes import AUDIT_CODES, CAUTION_CODES
from gridfold.errors import DataError, StudyError
from gridfold.jobs.script import RuleJob
from gridfold.plan.loading import load_study
from gridfold.requests import GateRequest
from gridfold.workflow.rules import require_audit

LEAK = Finding("GF101", "error", "Copies.", "Remove them.", (1, 2), ("x",), ("r0f0",))
LABELS = Finding("GF103", "warning", "Labels.", "Correct them.")
NOTE = Finding("GF112", "note", "Constant.", "Leave it out.")
FOUND = Audit((LEAK, LABELS, NOTE), ("GF101", "GF103", "GF112"), 100)


def test_an_audit_comes_back_as_it_was_written(tmp_path: Path) -> None:
    FOUND.write(tmp_path / "audit.json")
    assert Audit.read(tmp_path / "audit.json") == FOUND


def test_a_note_is_never_open_and_an_accepted_code_no_more() -> None:
    assert FOUND.open_findings(()) == [LEAK, LABELS]
    assert FOUND.open_findings({"GF101": "by design"}) == [LABELS]


def test_lines_for_a_terminal_have_the_reason_in_the_place_of_the_remedy() -> None:
    assert lines_of(LEAK, {})[1:] == ["      Remove them.", "      docs/audit.md#gf101"]
    assert "accepted: by design" in "\n".join(lines_of(LEAK, {"GF101": "by design"}))


@pytest.mark.parametrize(
    ("fail_on", "accepted", "stops"),
    [
        ("error", {}, "GF101"),
        ("error", {"GF101": "by design"}, ""),
        ("warning", {"GF101": "by design"}, "GF103"),
        ("warning", {"GF101": "by design", "GF103": "two readers"}, ""),
    ],
)
def test_what_is_not_accepted_stops_a_study_that_asks_for_it(
    fail_on: Any, accepted: dict[str, str], stops: str, tmp_path: Path
) -> None:
    FOUND.write(tmp_path / "audit.json")
    job = RuleJob(
        "require_audit.log",
        GateRequest(fail_on, tuple(accepted)).text(),
        {"audit": [tmp_path / "audit.json"]},
        {"passed": [tmp_path / "passed.json"]},
        {},
        {},
        1,
        {},
    )
    if stops:
        with pytest.raises(DataError, match=f"1 finding that .*\n  - {stops}"):
            require_audit.run(job)
    else:
        require_audit.run(job)
    assert (tmp_path / "passed.json").exists() == (not stops)


@pytest.mark.parametrize("code", ["GF999", "GF201", "leak"])
def test_an_unknown_code_is_refused_with_those_that_there_are(code: str, tmp_path: Path) -> None:
    study = tiny_study(audit={"accept": {code: "a reason"}})
    with pytest.raises(StudyError, match=rf"audit.accept: `{code}` is no code .*\n.*GF101, GF102"):
        load_study([write_study(tmp_path / "study.yaml", study)])


def test_a_finding_is_accepted_with_a_reason_only(tmp_path: Path) -> None:
    study = tiny_study(audit={"accept": {"GF101": "  "}})
    with pytest.raises(StudyError, match="without a reason"):
        load_study([write_study(tmp_path / "study.yaml", study)])


@pytest.mark.parametrize("code", [*AUDIT_CODES, *CAUTION_CODES])
def test_every_code_has_its_section_in_the_documents(code: str) -> None:
    text = (ROOT / "docs" / "audit.md").read_text()
    assert re.search(rf"^### {code}\n\n[A-Z]", text, re.M)


def test_the_documents_explain_no_other_code() -> None:
    text = (ROOT / "docs" / "audit.md").read_text()
    assert {*re.findall(r"GF\d+", text)} == {*AUDIT_CODES, *CAUTION_CODES}

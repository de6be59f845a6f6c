"""The section on the audit: findings first, what the study accepts with its reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pages import Page
from synthetic import Finished, finished

from gridfold.audit.finding import Audit, Finding
from gridfold.figures import study as figures
from gridfold.report import input, page

LEAK = Finding("GF101", "error", "9 <b>copies</b> of `x`.", "Remove `them`.", rows=(1, 2))
LABELS = Finding("GF103", "warning", "2 samples contradict.", "Correct them.")
CONSTANT = Finding("GF112", "note", "1 feature has the same value.", "Leave it out.")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(tmp_path_factory.mktemp("study"), "binary")


def section(study: Finished, folder: Path, found: Audit, **accepted: str) -> str:
    (folder / "x.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    nothing = input.FigureFile(folder / "x.svg", folder / "x.svg", "a caption", "a text")
    asked = {**study.request.study, "audit": {"accept": accepted, "fail_on": None}}
    written = input.ReportInput(
        replace(study.request, study=asked),
        study.tables,
        jobs=study.jobs,
        best=study.best,
        card=study.card,
        manifest=study.manifest,
        data=study.data,
        figures=dict.fromkeys((*figures.FIGURES, "feature_importance"), nothing),
        classes=study.classes,
        feature_importance=study.importance,
        audit=found,
    )
    return Page(page.render(written)).section("audit")


def test_findings_stand_with_code_severity_and_remedy(study: Finished, tmp_path: Path) -> None:
    text = section(study, tmp_path, Audit((LEAK, CONSTANT), ("GF101", "GF112"), 1234))
    assert "Error GF101 9 <b>copies</b> of x . Remove them . See docs/audit.md#gf101" in text
    assert "Note GF112" in text
    assert text.index("GF101") < text.index("GF112")
    assert "GF112, constant features" in text


def test_what_is_accepted_has_its_reason_and_stands_behind(study: Finished, tmp_path: Path) -> None:
    found = Audit((LEAK, LABELS), ("GF101", "GF103"), 1234)
    text = section(study, tmp_path, found, GF101="the <i>same</i> patients, by design")
    assert "Accepted GF101" in text
    assert "Accepted by the study: the <i>same</i> patients, by design" in text
    assert text.index("Warning GF103") < text.index("Accepted GF101")


def test_a_clean_audit_says_how_much_was_looked_at(study: Finished, tmp_path: Path) -> None:
    text = section(study, tmp_path, Audit((), ("GF101", "GF112"), 1234))
    assert "1,234 samples and their splits were looked at" in text
    assert "nothing was found" in text

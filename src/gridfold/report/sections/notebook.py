"""The section that leads to the executed notebook."""

from __future__ import annotations

from gridfold.report.input import BESIDE, ReportInput, ReportSection


def notebook(study: ReportInput) -> ReportSection | None:
    """Return the way to the executed notebook, where the study asked for one."""
    wanted = study.study["report"]["notebook"]
    if not wanted:
        return None
    content = {
        "name": wanted if isinstance(wanted, str) else "the notebook of gridfold",
        "html_file": BESIDE.notebook_page,
        "notebook_file": BESIDE.executed_notebook,
    }
    return ReportSection("notebook", "Notebook", "Notebook", content)

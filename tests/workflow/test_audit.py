"""An audit through Snakemake: before any training, as a gate of it, and in the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pages import Page
from sklearn.datasets import load_breast_cancer
from workspaces import Workspace, tiny

from gridfold.cli.main import main

REASON = "the laboratory sends each tenth sample twice"


def study(**audit: Any) -> dict[str, Any]:
    return tiny(
        data={"source": "csv", "path": "cells.csv", "targets": ["target"]},
        problem={"type": "binary"},
        model={"mlp": {"units": 4}},
        training={"epochs": 1},
        search={"space": {"mlp.units": [4]}},
        audit=audit,
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A folder with a table, some of whose rows are there twice."""
    folder = tmp_path_factory.mktemp("audit")
    frame: pd.DataFrame = load_breast_cancer(as_frame=True).frame
    pd.concat([frame, frame.iloc[::10]]).to_csv(folder / "cells.csv", index=False)
    return Workspace(folder)


def trained(workspace: Workspace) -> bool:
    return (workspace.folder / "results" / "tiny" / "runs").exists()


def test_an_audit_comes_before_any_training_stops_it_where_asked_and_is_reported(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace.folder)
    file = str(workspace.write(study()))
    assert main(["audit", file, "--cores", "2"]) == 3
    assert "GF101 error" in capfd.readouterr().out
    assert not trained(workspace)

    assert main(["audit", file, "--json"]) == 3
    said = json.loads(capfd.readouterr().out)
    assert {f["code"] for f in said["findings"] if f["open"]} == {"GF101"}

    # Nothing trains while the finding is open.
    answer = workspace.snakemake(study(fail_on="warning"), expect=1)
    assert "GF101 error" in answer.stdout + answer.stderr
    assert not trained(workspace)

    accepted = study(fail_on="warning", accept={"GF101": REASON})
    workspace.write(accepted)
    assert main(["audit", file]) == 0
    assert f"accepted: {REASON}" in capfd.readouterr().out
    workspace.snakemake(accepted)
    page = Page(Path("results/tiny/report.html").read_text())
    assert f"Accepted by the study: {REASON}" in page.section("audit")
    assert "GF201" in page.section("cautions")

    # Another reason writes the report anew, and nothing else.
    again = study(fail_on="warning", accept={"GF101": "another reason"})
    jobs = workspace.planned_jobs(again)
    assert not {"train", "fit_final", "audit_data", "prepare_data"} & {*jobs}
    assert jobs["report"] == 1


def test_an_audit_of_data_that_can_not_be_read_ends_with_1(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace.folder)
    (workspace.folder / "mine.py").write_text(
        "def read():\n    return {'features': [[1]], 'labels': [1]}\n"
    )
    broken = study() | {"study": "broken", "data": {"source": "python", "function": "mine.py:read"}}
    file = workspace.write(broken)
    assert main(["audit", str(file), "--cores", "1"]) == 1
    text = capfd.readouterr().err
    assert "the data could not be audited" in text
    assert "must return a mapping" in text

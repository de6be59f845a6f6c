"""Files that are edited while a study runs count for the next run, not for half of this one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from distributed import needs_horovod
from edits import blocks, check_unedited, edited_study, write_files
from workspaces import Workspace

CHANGED = "changed while this run was going"
# Figures and reports take most of a small study's time.
TABLE = "results/edited/tables/trials.parquet"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def table(workspace: Workspace) -> pd.DataFrame:
    return workspace.table("edited")


def test_a_run_reads_code_study_and_notebook_as_they_were_when_it_began(
    workspace: Workspace,
) -> None:
    notebook = {
        "cells": [{"cell_type": "code", "source": "print('as it was')", "outputs": []}],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    cell: dict[str, Any] = notebook["cells"][0]  # type: ignore[index]
    cell |= {"metadata": {}, "execution_count": None}
    study = edited_study(report={"notebook": "look.ipynb"})
    write_files(workspace.folder, study)
    (workspace.folder / "look.ipynb").write_text(json.dumps(notebook))
    cell["source"] = "raise SystemExit"
    (workspace.folder / "edited" / "look.ipynb").write_text(json.dumps(notebook))

    said = workspace.snakemake(study).stderr
    check_unedited(table(workspace))
    results = workspace.folder / "results" / "edited"
    assert "as it was" in (results / "notebook" / "notebook.html").read_text()
    assert f"{CHANGED}: study.yaml, model.py, blocks.py and look.ipynb." in said
    (folder,) = (results / "request").iterdir()
    copies = {copy.name for copy in (folder / "files").iterdir()}
    assert copies == {"study.yaml", "data.py", "model.py", "blocks.py", "look.ipynb"}

    # A job on a cluster is a Snakemake of its own; it may have lost its environment.
    later = edited_study(training={"epochs": 7})
    job = ("--mode", "remote", "--force", "--target-jobs", "train:shard=s0001")
    told = ("--config", f'snapshots=["{folder}"]')
    workspace.snakemake(later, *job, *told)
    check_unedited(pd.read_parquet(results / "shards" / "s0001.trials.parquet"))

    # The next run follows: all is trained by the edited code, and nothing has changed since.
    shutil.rmtree(workspace.folder / "edited")
    write_files(workspace.folder, study)
    shutil.rmtree(workspace.folder / "edited")
    (workspace.folder / "blocks.py").write_text(blocks(width=10))
    before = table(workspace)
    assert CHANGED not in workspace.snakemake(edited_study(), TABLE).stderr
    assert (table(workspace)["parameters"] > before["parameters"]).all()


def test_a_tuner_reads_them_as_well(workspace: Workspace) -> None:
    search = {
        "strategy": {"type": "keras_tuner", "tuner": "random", "max_trials": 2},
        "space": {"python.units": {"int": {"min": 4, "max": 8}}},
    }
    study = edited_study(search=search)
    write_files(workspace.folder, study)
    assert CHANGED in workspace.snakemake(study, TABLE).stderr
    check_unedited(table(workspace))


@needs_horovod
def test_ranks_read_them_as_well(workspace: Workspace) -> None:
    parallel = {"backend": "horovod", "world_size": 2}
    study = edited_study(
        training={"epochs": 2, "batch_size": 32, "distribution": parallel},
        search={"space": {"python.units": [4]}},
    )
    write_files(workspace.folder, study)
    assert CHANGED in workspace.snakemake(study, TABLE).stderr
    check_unedited(table(workspace))
    assert set(table(workspace)["world_size"]) == {2}


def test_data_that_change_before_they_are_read_stop_the_run(workspace: Workspace) -> None:
    rows = "\n".join(f"{i % 7},{i % 2}" for i in range(60))
    (workspace.folder / "a.csv").write_text(f"x,y\n{rows}\n")
    study = edited_study(
        data={"source": "csv", "path": "a.csv", "targets": ["y"]},
        problem={"type": "binary"},
        model={"mlp": {"units": 4}},
        search={"space": {"mlp.units": [4, 8]}},
    )
    # Edited after gridfold has looked at it, and before the first job reads it.
    (workspace.folder / "edit.smk").write_text(
        f"include: {str(workspace.snakefile)!r}\nopen('a.csv', 'a').write('1,1\\n')\n"
    )
    late = Workspace(workspace.folder, workspace.folder / "edit.smk")
    answer = late.snakemake(study, "all", expect=1)
    assert "the data files have changed since this run began" in answer.stderr
    assert f"{CHANGED}: the data files." in answer.stderr
    workspace.snakemake(study, TABLE)
    assert len(table(workspace)) == 4

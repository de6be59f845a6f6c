"""An answer is shown only for the data, settings and code that the study has now."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from workspaces import Workspace

FOUND = "Found before: "
TRIALS = "results/current/tables/trials.parquet"


def write_table(file: Path, seed: int) -> None:
    numbers = random.Random(seed)
    rows = [f"{numbers.gauss(i % 2, 1):.3f},{numbers.gauss(0, 1):.3f},{i % 2}" for i in range(120)]
    file.write_text("\n".join(["a,b,y", *rows]) + "\n")


def study(**changes: Any) -> dict[str, Any]:
    return {
        "study": "current",
        "data": {"source": "csv", "path": "a.csv", "targets": ["y"]},
        "problem": {"type": "binary"},
        "model": {"mlp": {"units": 4}},
        "search": {"space": {"mlp.units": [4, 8]}},
        "training": {"epochs": 1},
        "resampling": {"method": "stratified", "folds": 2},
    } | changes


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("current"))
    write_table(workspace.folder / "a.csv", 0)
    write_table(workspace.folder / "b.csv", 1)
    # As if it had been lying there for years.
    os.utime(workspace.folder / "b.csv", (1e9, 1e9))
    workspace.snakemake(study())
    return workspace


@pytest.fixture
def finished(original: Workspace, tmp_path: Path) -> Workspace:
    """Return a copy of a finished study, with all its times and with Snakemake's records."""
    shutil.copytree(original.folder, tmp_path / "copy")
    return Workspace(tmp_path / "copy")


def results(workspace: Workspace) -> Path:
    return workspace.folder / "results" / "current"


def data_digest(workspace: Workspace) -> str:
    return str(json.loads((results(workspace) / "data" / "manifest.json").read_text())["digest"])


def gridfold(workspace: Workspace, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("gridfold"), *words],
        cwd=workspace.folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("has_records", [True, False])
def test_an_untouched_answer_is_found_again(finished: Workspace, has_records: bool) -> None:
    if not has_records:
        shutil.rmtree(finished.folder / ".snakemake")
    said = finished.snakemake(study()).stderr
    assert "4 of 4 trials done before" in said
    assert FOUND in said
    assert "Nothing to be done" in said


@pytest.mark.parametrize("has_records", [True, False])
def test_a_file_replaced_by_an_older_one_is_noticed(finished: Workspace, has_records: bool) -> None:
    before = data_digest(finished)
    # All that comes of it once, and then no more than the trials.
    targets = () if has_records else ("--", TRIALS)
    if not has_records:
        shutil.rmtree(finished.folder / ".snakemake")
    shutil.copy2(finished.folder / "b.csv", finished.folder / "a.csv")
    status = gridfold(finished, "status", "study.yaml")
    assert "changed since the last run: the data" in status.stdout
    planned = gridfold(finished, "plan", "study.yaml").stdout
    assert "of which 0 are done and 4 are to be trained" in planned
    said = finished.snakemake(study(), *targets).stderr
    assert FOUND not in said
    assert "0 of 4 trials done before; changed since the last run: the data" in said
    assert data_digest(finished) != before
    if not targets:
        card = json.loads((results(finished) / "final" / "card.json").read_text())
        assert card["data"]["digest"] == data_digest(finished)
        assert FOUND in finished.snakemake(study()).stderr


OTHER_DATA = {"source": "csv", "path": "b.csv", "targets": ["y"]}


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        ({"data": OTHER_DATA}, "the data"),
        ({"data": study()["data"] | {"test_fraction": 0.4}}, "the splits"),
        ({"training": {"epochs": 1, "learning_rate": 0.1}}, "the configurations"),
    ],
    ids=["path", "test fraction", "learning rate"],
)
def test_results_without_snakemakes_records_are_not_taken_for_those_of_another_study(
    finished: Workspace, change: dict[str, Any], noticed: str
) -> None:
    shutil.rmtree(finished.folder / ".snakemake")
    foreseen = finished.snakemake(study(**change), "--dry-run").stderr
    assert FOUND not in foreseen
    assert "to be made again, made for other data, settings or code" in foreseen
    before = json.loads((results(finished) / "final" / "card.json").read_text())
    # To its end where the test set is another one, so that the final model is tested on it.
    is_whole = noticed == "the splits"
    said = finished.snakemake(study(**change), *(() if is_whole else ("--", TRIALS))).stderr
    assert FOUND not in said
    assert f"changed since the last run: {noticed}" in said
    if is_whole:
        after = json.loads((results(finished) / "final" / "card.json").read_text())
        assert after["test"]["samples"] > before["test"]["samples"]
        assert FOUND in finished.snakemake(study(**change)).stderr
    # It has the very numbers of a study that was never anything else.
    fresh = Workspace(finished.folder.parent / "fresh")
    fresh.folder.mkdir()
    for name in ("a.csv", "b.csv"):
        shutil.copy2(finished.folder / name, fresh.folder / name)
    fresh.snakemake(study(**change), TRIALS)
    scores = [
        pd.read_parquet(results(w) / "tables" / "trials.parquet")[
            ["config_id", "split", "log_loss"]
        ]
        for w in (finished, fresh)
    ]
    pd.testing.assert_frame_equal(*scores)


def test_damaged_files_are_made_again_and_unlocking_shows_no_traceback(
    finished: Workspace,
) -> None:
    card = results(finished) / "final" / "card.json"
    whole = json.loads(card.read_text())
    os.truncate(card, 100)
    assert "Traceback" not in finished.snakemake(study(), "--unlock").stderr
    # Who only looks finds everything as it was.
    assert card.stat().st_size == 100
    status = gridfold(finished, "status", "study.yaml")
    assert status.returncode == 1
    assert "card.json is damaged" in status.stderr
    assert "Traceback" not in status.stderr
    for name in ("tables/best.json", "data/features.npy", "splits.npz", "figures/roc.json"):
        os.truncate(results(finished) / name, 60)
    said = finished.snakemake(study()).stderr
    assert "5 files to be made again, damaged: results/current/data/features.npy, ..." in said
    assert FOUND not in said
    assert "trials done before" in said
    assert json.loads(card.read_text())["test"] == whole["test"]
    assert FOUND in finished.snakemake(study()).stderr


def test_without_jobs_to_run_nothing_is_told_of_answers(finished: Workspace) -> None:
    assert FOUND not in finished.snakemake(study(), "--unlock").stderr
    assert FOUND not in finished.snakemake(study(), "--summary").stderr

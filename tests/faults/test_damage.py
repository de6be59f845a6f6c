"""A damaged file of a finished study: the same numbers again, or its name and a way out.

`DAMAGES` says what is tried in the samples: a day, as `2026-11-29`. Left out, it is today, so that
all has been tried after some weeks. `make damage-matrix` tries all of it at once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import daily
import pandas as pd
import pytest
from damages import (
    DAMAGES,
    STUDY,
    Case,
    cases,
    finished,
    of_day,
    outcome,
    results_of,
)
from workspaces import Workspace

from gridfold.cli.main import main

A_DAY = 1
DAY = os.environ.get("DAMAGES") or daily.day()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return finished(tmp_path_factory.mktemp("original") / "workspace")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "copy"
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)


@pytest.mark.parametrize("place", range(A_DAY))
def test_a_damaged_file_changes_no_number(original: Workspace, folder: Path, place: int) -> None:
    case = of_day(cases(results_of(original)), DAY, A_DAY)[place]
    print(f"{case} ({DAY})")
    found = outcome(original, case, folder)
    assert not found.complaint, f"{case}: {found.complaint}\n{found.said}"


def test_an_array_that_only_trials_need_is_made_again(original: Workspace, folder: Path) -> None:
    """It is empty in this study, and no other file is made of it; each job looks at all of them."""
    weights = Path("data", "weights.npy")
    found = outcome(original, Case(str(weights), "deleted", weights, weights), folder)
    assert (found.code, found.complaint) == (0, ""), found.said
    results = results_of(Workspace(folder))
    assert (results / weights).is_file()
    # Whoever draws splits looks at all of them, too.
    (results / weights).unlink()
    (results / "splits.npz").unlink()
    Workspace(folder, is_lean=False).snakemake(STUDY, "--", "results/small/splits.npz")
    assert (results / weights).is_file()


def test_no_verb_shows_a_damaged_number(
    original: Workspace,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(original.folder, folder, symlinks=True)
    monkeypatch.chdir(folder)
    results = results_of(Workspace(folder, is_lean=False))
    other = shutil.copytree(results, results.with_name("other"))
    verbs = [
        ["status", "study.yaml"],
        ["compare", str(results), str(other)],
        ["paper", "study.yaml"],
    ]
    sound = {}
    for verb in verbs:
        assert main(verb) == 0
        sound[verb[0]] = capfd.readouterr().out
    for name in ("tables/best.json", "final/card.json", "tables/trials.parquet"):
        content = (results / name).read_bytes()
        case = Case(name, "one bit", Path(name), Path(name))
        DAMAGES[case.damage](results / case.file, results / case.other)
        for verb in verbs:
            code = main(verb)
            said = capfd.readouterr()
            assert "Traceback" not in said.err
            # Whoever does not read the file says the same as before.
            assert (code == 0 and said.out == sound[verb[0]]) or (
                code == 1 and f"{name.rpartition('/')[2]} is damaged" in said.err
            ), verb
        (results / name).write_bytes(content)


def test_flipped_data_are_not_trained_on_and_read_again(original: Workspace, folder: Path) -> None:
    """More epochs are asked for, of data in which a bit has changed where no mark tells of it."""
    shutil.copytree(original.folder, folder, symlinks=True)
    workspace = Workspace(folder, is_lean=False)
    results = results_of(workspace)
    DAMAGES["one bit"](results / "data" / "features.npy", results)
    # As on a disk that forgets: nobody has noted what the file was.
    for note in (results / "logs").glob("prepare_data.*"):
        note.unlink()
    longer = {**STUDY, "training": {"epochs": 3}}
    # What comes after the trials is made of these.
    target = ("--", "results/small/tables/configurations.csv")
    stopped = workspace.snakemake(longer, *target, expect=1)
    said = stopped.stdout + stopped.stderr
    assert "features.npy is damaged (its checksum is wrong)" in said
    assert "run the study again with snakemake" in said
    assert "raceback" not in said
    workspace.snakemake(longer, *target)
    fresh = Workspace(folder.with_name("fresh"))
    fresh.folder.mkdir()
    shutil.copy2(folder / "a.csv", fresh.folder)
    fresh.snakemake(longer, *target)
    scores = [
        each.table("small").filter(regex="config_id|split|accuracy|log_loss")
        for each in (workspace, fresh)
    ]
    pd.testing.assert_frame_equal(*scores)

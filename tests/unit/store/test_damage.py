"""What the run store and the notes of jobs make of damaged files: nothing wrong is ever used."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damages import DAMAGES
from workbench import stored_predictions

from gridfold.errors import TrialFailure
from gridfold.store import checkpoints, request_notes
from gridfold.store.checkpoints import Checkpoint
from gridfold.store.trials import TrialResult, TrialStore

PREDICTIONS = np.float32([[0.25], [0.75]])
KINDS = ("result-00003.json", "predictions-00003.npy", "checkpoint-00003.npz")


def store(folder: Path, split: str = "r0f0", **changes: Any) -> TrialStore:
    made = TrialStore(
        folder / "runs" / "cafe" / split, folder / "set_aside", {"code": "a", "split": split}
    )
    made.open()
    return made


def finish(made: TrialStore, score: float) -> TrialStore:
    result = TrialResult("finished", 3, epochs_trained=3, scores={"accuracy": score})
    Checkpoint(3, [np.full(4, score)], [], None, {}, made.identity).save(made.folder)
    made.finish(result, np.float32(PREDICTIONS * score))
    return made


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_record_is_never_used(
    tmp_path: Path, kind: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = finish(store(tmp_path), 0.5).folder
    other = finish(store(tmp_path, "r0f1"), 0.75).folder
    DAMAGES[damage](folder / kind, other / kind)
    with caplog.at_level(logging.WARNING):
        again = store(tmp_path)
        found, predictions = again.result(3), stored_predictions(again, 3)
        saved = checkpoints.newest(again.folder, 3, again.identity)
    assert found is None or found.scores == {"accuracy": 0.5}
    assert predictions is None or np.array_equal(predictions, PREDICTIONS * np.float32(0.5))
    assert saved is None or np.array_equal(saved.variables[0], np.full(4, 0.5))
    # What is sound beside it is still there. A bit of the time in an archive changes nothing.
    is_checkpoint = kind.startswith("checkpoint")
    assert (found is None) != is_checkpoint
    assert saved is not None or is_checkpoint
    if damage != "deleted" and not (is_checkpoint and damage == "one bit"):
        assert found is None or saved is None
        assert "aside" in caplog.text
    # It is made again as if nothing had been there.
    assert finish(again, 0.5).result(3) is not None
    assert store(tmp_path).result(3) == again.result(3)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_failure_is_none(tmp_path: Path, damage: str) -> None:
    made, other = store(tmp_path), store(tmp_path, "r0f1")
    for one, reason in ((made, "this"), (other, "that")):
        one.fail(3, TrialFailure("error", reason))
    DAMAGES[damage](made.folder / "failure.json", other.folder / "failure.json")
    assert store(tmp_path).failure() is None
    made.fail(3, TrialFailure("error", "another"))
    failure = store(tmp_path).failure()
    assert failure is not None
    assert failure[0].reason == "another"


def test_a_checkpoint_of_another_split_is_not_gone_on_from(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made, other = store(tmp_path), store(tmp_path, "r0f1")
    for one, epoch in ((made, 1), (other, 2)):
        Checkpoint(epoch, [np.full(4, epoch)], [], None, {}, one.identity).save(one.folder)
    shutil.copy2(other.folder / "checkpoint-00002.npz", made.folder)
    with caplog.at_level(logging.WARNING):
        found = checkpoints.newest(made.folder, 3, made.identity)
    assert "checkpoint-00002.npz is damaged (it is of another trial: cafe/r0f1" in caplog.text
    assert found is not None
    assert found.epoch == 1


def test_folders_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    made = finish(store(tmp_path), 0.5)
    (made.folder / ".ipynb_checkpoints").mkdir()
    assert store(tmp_path).result(3) is not None
    assert (made.folder / ".ipynb_checkpoints").is_dir()


def test_a_file_in_the_place_of_the_folder_is_moved_away(tmp_path: Path) -> None:
    shutil.rmtree(store(tmp_path).folder)
    (tmp_path / "runs" / "cafe" / "r0f0").write_text("what is this")
    assert finish(store(tmp_path), 0.5).result(3) is not None


@pytest.fixture
def noted(tmp_path: Path) -> Path:
    """Return the folder of the logs of two jobs and their outputs, `one.txt` and `two.txt`."""
    logs = tmp_path / "logs"
    logs.mkdir()
    for name in ("one", "two"):
        output = tmp_path / f"{name}.txt"
        output.write_text(f"{name}: 0.7944\n")
        request_notes.write(str(logs / f"{name}.log"), name, [output])
    request_notes.settle(logs)
    return logs


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_output_that_is_not_what_was_written_is_noticed(noted: Path, damage: str) -> None:
    file, other = noted.parent / "one.txt", noted.parent / "two.txt"
    assert request_notes.altered_outputs(noted) == set()
    DAMAGES[damage](file, other)
    # What is missing is Snakemake's to judge.
    assert request_notes.altered_outputs(noted) == ({file} if damage != "deleted" else set())


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_note_is_none(noted: Path, damage: str) -> None:
    DAMAGES[damage](noted / "one.answered", noted / "two.answered")
    is_first_line = damage not in ("truncated", "one bit")
    assert request_notes.answers(noted / "one.log", "one") is not True or not is_first_line
    assert request_notes.answers(noted / "two.log", "two") is True
    assert request_notes.altered_outputs(noted) <= {noted.parent / "one.txt"}
    request_notes.write(str(noted / "one.log"), "one", [noted.parent / "one.txt"])
    request_notes.settle(noted)
    assert request_notes.answers(noted / "one.log", "one") is True


def test_large_files_count_by_their_times_and_once_more_by_what_they_hold(
    noted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridfold.store.outputs._READ_ANYWAY", 0)
    file = noted.parent / "one.txt"
    before = (noted / "one.answered").read_text()
    copied = file.read_text()
    file.unlink()
    file.write_text(copied)
    assert request_notes.altered_outputs(noted) == set()
    # It has new times, which are known from now on.
    assert (noted / "one.answered").read_text() != before
    file.write_text(copied.replace("7", "6"))
    assert request_notes.altered_outputs(noted) == {file}


def test_moved_results_keep_their_notes(noted: Path) -> None:
    place = noted.parent.with_name("elsewhere")
    noted.parent.rename(place)
    assert request_notes.altered_outputs(place / "logs") == set()
    (place / "two.txt").write_text("0.8131")
    assert request_notes.altered_outputs(place / "logs") == {place / "two.txt"}

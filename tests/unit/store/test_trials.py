"""The run store: answers are kept, other code's answers are set aside, nothing is deleted."""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workbench import stored_predictions

from gridfold.errors import TrialFailure
from gridfold.store import checkpoints
from gridfold.store.checkpoints import Checkpoint
from gridfold.store.seals import sealed, unsealed
from gridfold.store.trials import TrialResult, TrialStore

FINGERPRINT = {"settings": {"units": 1.0}, "code": "abc", "versions": {"keras": "3"}}


def store(folder: Path, **changes: Any) -> TrialStore:
    made = TrialStore(
        folder / "runs" / "cafe" / "r0f0", folder / "set_aside", {**FINGERPRINT, **changes}
    )
    made.open()
    return made


def result(**changes: Any) -> TrialResult:
    return TrialResult(
        **{  # type: ignore[arg-type]
            "status": "finished",
            "epochs": 3,
            "scores": {"accuracy": 0.75, "roc_auc": math.nan},
            "history": [{"epoch": 1, "loss": 0.5, "val_loss": math.nan}],
            "segments": [{"first": 1, "last": 3}],
        }
        | changes
    )


def test_a_result_comes_back_with_its_predictions(tmp_path: Path) -> None:
    predictions = np.float32([[0.25, 0.75]])
    store(tmp_path).finish(result(), predictions)
    again = store(tmp_path)
    found = again.result(3)
    assert found is not None
    assert found.scores["accuracy"] == 0.75
    assert math.isnan(found.scores["roc_auc"])
    np.testing.assert_array_equal(stored_predictions(again, 3), predictions)  # type: ignore[arg-type]


def test_an_answer_is_found_without_a_lock_and_without_touching_anything(tmp_path: Path) -> None:
    made = store(tmp_path)
    assert made.answer(3) is None
    made.finish(result(), np.float32([[0.25, 0.75]]))
    before = contents(tmp_path)
    found = made.answer(3)
    assert found is not None
    assert found.scores["accuracy"] == 0.75
    np.testing.assert_array_equal(made.predictions_of(found), [[0.25, 0.75]])
    assert made.answer(4) is None
    other = TrialStore(made.folder, tmp_path / "set_aside", {**FINGERPRINT, "code": "def"})
    assert other.answer(3) is None
    costly = TrialStore(made.folder, tmp_path / "set_aside", FINGERPRINT, costs=["parameters"])
    assert costly.answer(3) is None
    elsewhere = made.folder.with_name("r0f1")
    assert TrialStore(elsewhere, tmp_path / "set_aside", FINGERPRINT).answer(3) is None
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["result-00003.json", "predictions-00003.npy"])
@pytest.mark.parametrize("how", ["bit", "gone", "folder"])
def test_what_is_damaged_is_no_answer_and_is_left_to_whoever_holds_the_lock(
    tmp_path: Path, name: str, how: str
) -> None:
    made = store(tmp_path)
    made.finish(result(), np.float32([[0.25, 0.75]]))
    file = made.folder / name
    content = bytearray(file.read_bytes())
    file.unlink()
    if how == "bit":
        content[-3] ^= 1
        file.write_bytes(content)
    elif how == "folder":
        file.mkdir()
    before = contents(tmp_path)
    assert made.answer(3) is None
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "left", [".r0f0.lock", ".r0f0.lock.guard", "r0f0/.result-00003.vm-1-2.json"]
)
def test_where_something_is_left_to_tidy_there_is_no_answer_without_the_lock(
    tmp_path: Path, left: str
) -> None:
    made = store(tmp_path)
    made.finish(result(), None)
    assert made.answer(3) is not None
    (made.folder.parent / left).touch()
    assert made.answer(3) is None


def contents(folder: Path) -> dict[str, bytes | None]:
    files = sorted(folder.rglob("*"))
    return {str(file): file.read_bytes() if file.is_file() else None for file in files}


def test_an_answer_that_has_not_looked_for_a_cost_is_none(tmp_path: Path) -> None:
    def asking(*costs: str) -> TrialStore:
        folder = tmp_path / "runs" / "cafe" / "r0f0"
        made = TrialStore(folder, tmp_path / "set_aside", FINGERPRINT, costs=costs)
        made.open()
        return made

    store(tmp_path).finish(result(), np.float32([[1.0]]))
    assert asking().result(3) is not None
    assert asking("parameters").result(3) is None
    assert asking("parameters").unscored(3) is None
    asking("parameters").finish(result(costs={"parameters": 7}), np.float32([[1.0]]))
    found = asking("parameters").result(3)
    assert found is not None
    assert found.costs == {"parameters": 7}
    # Whoever asks for less is answered, too; whoever asks for more is not.
    assert store(tmp_path).result(3) == found
    assert asking("parameters", "seconds_per_sample").result(3) is None
    # Where a configuration leads, it leads without costs.
    asking("parameters").fail(4, TrialFailure("diverged", "loss is nan"))
    failed = asking("parameters").result(4)
    assert failed is not None
    assert failed.status == "failed"


def test_each_number_of_epochs_has_its_own_answer(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.finish(result(epochs=3), None)
    made.finish(result(epochs=5, reason="later"), None)
    assert made.result(4) is None
    assert made.result(3) != made.result(5)


def test_numbers_that_are_equal_are_the_same_fingerprint(tmp_path: Path) -> None:
    store(tmp_path).finish(result(), None)
    assert store(tmp_path, settings={"units": 1}).result(3) is not None


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"code": "def"}, "code"),
        ({"versions": {"keras": "4"}}, "versions"),
        ({"data": "new"}, "data"),
    ],
)
def test_another_fingerprint_sets_the_record_aside_and_says_why(
    tmp_path: Path, change: dict[str, Any], part: str, caplog: pytest.LogCaptureFixture
) -> None:
    store(tmp_path).finish(result(), np.float32([[1]]))
    with caplog.at_level(logging.WARNING):
        other = store(tmp_path, **change)
    assert other.result(3) is None
    assert f"differs in {part}; set aside" in caplog.text
    (aside,) = (tmp_path / "set_aside" / "cafe").iterdir()
    assert {f.name for f in aside.iterdir()} == {"result-00003.json", "predictions-00003.npy"}


def test_setting_aside_twice_overwrites_nothing(tmp_path: Path) -> None:
    for _ in range(3):
        store(tmp_path).finish(result(), None)
        other = store(tmp_path, code="other")
        other.finish(result(), None)
    names = [
        f"r0f0-{made.owner['fingerprint_digest'][:12]}{number}"
        for made, numbers in ((store(tmp_path), ("", "-2", "-3")), (other, ("", "-2", "-3")))
        for number in numbers
    ]
    aside = tmp_path / "set_aside" / "cafe"
    assert sorted(folder.name for folder in aside.iterdir()) == sorted(names)


def test_parts_that_only_one_fingerprint_has_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store(tmp_path, spans="x").finish(result(), None)
    with caplog.at_level(logging.WARNING):
        made = store(tmp_path, data="y", code="def")
    target = tmp_path / "set_aside" / "cafe"
    (moved,) = target.iterdir()
    assert [record.getMessage() for record in caplog.records] == [
        "cafe/r0f0: the earlier record differs in code, data, spans; set aside as "
        f"{moved} and trained anew"
    ]
    assert not hasattr(caplog.records[0], "told")
    assert made.folder.is_dir()


def test_predictions_that_are_missing_are_told_and_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = store(tmp_path)
    made.finish(result(), np.float32([[0.25]]))
    file = made.folder / "predictions-00003.npy"
    file.unlink()
    assert made.result(3) is None
    assert [record.getMessage() for record in caplog.records] == [
        f"{file} is missing and made again"
    ]
    assert caplog.records[0].told  # type: ignore[attr-defined]


def test_what_is_damaged_is_told_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = store(tmp_path)
    made.finish(result(), np.float32([[0.25]]))
    predictions, answer = (made.folder / f for f in ("predictions-00003.npy", "result-00003.json"))
    content = bytearray(predictions.read_bytes())
    content[-1] ^= 1
    predictions.write_bytes(content)
    assert made.result(3) is None
    shutil.copy(answer, made.folder / "result-00004.json")
    assert made.result(4) is None
    assert [record.getMessage() for record in caplog.records] == [
        f"{predictions} is damaged (its checksum is wrong); set aside as {predictions.name}.damaged"
        ", and made again",
        f"{made.folder / 'result-00004.json'} is damaged (it is of 3 epochs); set aside as "
        "result-00004.json.damaged, and made again",
    ]


def test_a_failure_is_told_until_the_trial_has_an_answer(tmp_path: Path) -> None:
    made = store(tmp_path)
    assert made.failure() is None
    assert made.failed_at() is None
    before = time.time() - 5
    found = made.fail(3, TrialFailure("error", "no", "Traceback"), {"seconds": 1.5})
    assert (found.status, found.epochs, found.kind, found.reason) == ("failed", 3, "error", "no")
    assert found.usage == {"seconds": 1.5}
    told = made.failure()
    assert told is not None
    assert (told[0].kind, told[0].reason, told[0].detail) == ("error", "no", "Traceback")
    assert told[1] == {"seconds": 1.5}
    when = made.failed_at()
    assert when is not None
    assert before < when < time.time() + 5
    made.forget_failure()
    assert made.failure() is None
    made.forget_failure()


def test_folders_in_the_place_of_files_are_set_aside(tmp_path: Path) -> None:
    made = store(tmp_path)
    names = ("result-00003.json", "predictions-00003.npy", "failure.json")
    for name in names:
        (made.folder / name).mkdir()
    made.finish(result(), np.float32([[0.25]]))
    assert made.result(3) is not None
    for name in names:
        assert (made.folder / f"{name}.damaged").is_dir()
    assert not (made.folder / "failure.json").exists()


def saved(made: TrialStore, epoch: int) -> None:
    Checkpoint(epoch, [np.zeros(2)], [], None, {}, made.identity).save(made.folder)


def test_what_was_trained_in_part_by_other_code_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = store(tmp_path)
    saved(made, 1)
    saved(made, 2)
    assert checkpoints.newest(store(tmp_path).folder, 3, made.identity) is not None
    assert not (tmp_path / "set_aside").exists()
    with caplog.at_level(logging.WARNING):
        other = store(tmp_path, code="def")
    assert "differs in one of code, settings, versions; set aside" in caplog.text
    assert list(other.folder.iterdir()) == []
    (aside,) = (tmp_path / "set_aside" / "cafe").iterdir()
    assert aside.name == f"r0f0-{made.owner['fingerprint_digest'][:12]}"
    assert len(list(aside.iterdir())) == 2


def test_a_trial_that_has_lost_its_result_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    made = store(tmp_path)
    saved(made, 3)
    made.finish(result(), np.float32([[1]]))
    (made.folder / "result-00003.json").unlink()
    again = store(tmp_path)
    assert again.result(3) is None
    assert checkpoints.newest(again.folder, 3, again.identity) is not None
    assert not (tmp_path / "set_aside").exists()


@pytest.mark.parametrize("epochs", [1, 5])
def test_one_record_of_this_fingerprint_is_enough(tmp_path: Path, epochs: int) -> None:
    elsewhere = store(tmp_path / "elsewhere", code="def")
    elsewhere.finish(result(epochs=epochs), None)
    made = store(tmp_path)
    made.finish(result(), None)
    name = f"result-{epochs:05d}.json"
    shutil.copy(elsewhere.folder / name, made.folder)
    assert store(tmp_path).result(3) is not None
    # Nobody takes it for an answer.
    assert store(tmp_path).result(epochs) is None
    assert (made.folder / f"{name}.damaged").exists()


def test_records_of_another_trial_say_nothing_of_this_one(tmp_path: Path) -> None:
    other = TrialStore(
        tmp_path / "runs" / "cafe" / "r0f1", tmp_path / "set_aside", {**FINGERPRINT, "code": "x"}
    )
    other.open()
    other.finish(result(), None)
    saved(other, 3)
    shutil.copytree(other.folder, other.folder.with_name("r0f0"))
    made = store(tmp_path)
    assert made.result(3) is None
    assert checkpoints.newest(made.folder, 3, made.identity) is None
    assert not (tmp_path / "set_aside").exists()


def test_results_that_say_the_digest_alone_are_as_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = store(tmp_path)
    made.finish(result(), None)
    file = made.folder / "result-00003.json"
    content = unsealed(json.loads(file.read_text()))
    del content["fingerprint"]
    file.write_text(json.dumps(sealed(content)))
    assert store(tmp_path).result(3) is not None
    with caplog.at_level(logging.WARNING):
        assert store(tmp_path, code="def").result(3) is None
    assert "differs in one of code, settings, versions" in caplog.text


def test_a_file_in_the_place_of_the_folder_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "runs" / "cafe").mkdir(parents=True)
    (tmp_path / "runs" / "cafe" / "r0f0").write_text("what is this")
    with caplog.at_level(logging.WARNING):
        assert store(tmp_path).folder.is_dir()
    assert "cafe/r0f0: the earlier record is no folder; set aside as" in caplog.text
    assert caplog.records[0].told  # type: ignore[attr-defined]
    assert (tmp_path / "set_aside" / "cafe" / "r0f0-file").read_text() == "what is this"


def test_what_a_killed_process_was_writing_is_cleared_away(tmp_path: Path) -> None:
    made = store(tmp_path)
    (made.folder / ".checkpoint-00002.4711.npz").write_bytes(b"half")
    store(tmp_path)
    assert list(made.folder.iterdir()) == []
    assert not (tmp_path / "set_aside").exists()


def test_a_trial_has_at_most_three_files(tmp_path: Path) -> None:
    made = store(tmp_path)
    for epoch in (1, 2, 3):
        saved(made, epoch)
    made.fail(3, TrialFailure("killed", "out of memory"))
    assert len(list(made.folder.iterdir())) == 3
    made.finish(result(), np.float32([[1]]))
    assert sorted(f.name for f in made.folder.iterdir()) == [
        "checkpoint-00003.npz",
        "predictions-00003.npy",
        "result-00003.json",
    ]


def test_a_crash_is_recorded_but_is_no_answer(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.fail(3, TrialFailure("error", "ValueError: no", "Traceback ..."))
    assert made.result(3) is None
    record = json.loads((made.folder / "failure.json").read_text())
    assert record["reason"] == "ValueError: no"
    assert record["detail"] == "Traceback ..."
    made.finish(result(), None)
    assert not (made.folder / "failure.json").exists()


def test_divergence_is_an_answer(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.fail(3, TrialFailure("diverged", "loss is nan in epoch 2"))
    found = made.result(3)
    assert found is not None
    assert (found.status, found.kind) == ("failed", "diverged")


def test_a_torn_result_is_no_answer(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.finish(result(), None)
    file = made.folder / "result-00003.json"
    file.write_text(file.read_text()[:-30])
    assert made.result(3) is None

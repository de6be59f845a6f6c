"""Notes on the requests that jobs have answered."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest

from gridfold.store import request_notes
from gridfold.store.request_notes import answers, settle, unseen, write


def test_a_note_tells_which_request_a_job_has_answered(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "train" / "s0001.log"
    log.parent.mkdir(parents=True)
    assert answers(log, "one") is None
    write(str(log), "one")
    assert list(unseen(tmp_path / "logs")) == [log]
    assert answers(log, "one") is True
    settle(tmp_path / "logs")
    assert not unseen(tmp_path / "logs")
    assert (answers(log, "one"), answers(log, "other")) == (True, False)
    # What nobody has seen yet is newer.
    write(str(log), "other")
    assert answers(log, "other") is True


def test_what_is_hidden_or_no_file_is_no_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(str(tmp_path / "one.log"), "one")
    (tmp_path / ".two.request").write_text("half")
    (tmp_path / "three.request").mkdir()
    assert unseen(tmp_path) == {tmp_path / "one.log": hashlib.sha256(b"one").hexdigest()}
    assert answers(tmp_path / "three.log", "three") is None
    (tmp_path / "one.answered").mkdir()
    with caplog.at_level(logging.WARNING):
        settle(tmp_path)
    assert answers(tmp_path / "one.log", "one") is True
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'one.answered'} is damaged (a folder where a note should be); set aside as "
        "one.answered.damaged, and the note put there"
    ]
    assert (tmp_path / ".two.request").exists()


def test_notes_that_nobody_has_seen_tell_of_outputs_too(tmp_path: Path) -> None:
    table, other = tmp_path / "table.csv", tmp_path / "other.csv"
    for file in (table, other):
        file.write_text("a,b")
    write(str(tmp_path / "one.log"), "one", [table])
    write(str(tmp_path / "two.log"), "two", [other])
    settle(tmp_path)
    write(str(tmp_path / "one.log"), "one", [table])
    assert request_notes.altered_outputs(tmp_path) == set()
    table.write_text("a,c")
    assert request_notes.altered_outputs(tmp_path) == {table}

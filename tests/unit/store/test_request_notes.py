"""Notes on the requests that jobs have answered."""

from __future__ import annotations

from pathlib import Path

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

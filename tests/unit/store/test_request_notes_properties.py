"""Notes of jobs against a model: two dictionaries."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gridfold.store import request_notes

LOGS = ["train/s0001", "train/s0002.1", "prepare_data", "train/d0001"]
REQUESTS = ["", "{}", '{"trials":["é"]}']


class NotesMachine(RuleBasedStateMachine):
    """Jobs end, and Snakemake sees it or not."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.logs = Path(self.folder.name)
        (self.logs / "train").mkdir()
        self.unseen: dict[Path, str] = {}
        self.seen: dict[Path, str] = {}

    def teardown(self) -> None:
        self.folder.cleanup()

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    @rule(name=st.sampled_from(LOGS), request=st.sampled_from(REQUESTS))
    def end(self, name: str, request: str) -> None:
        request_notes.write(str(self.log(name)), request)
        self.unseen[self.log(name)] = request

    @rule()
    def settle(self) -> None:
        request_notes.settle(self.logs)
        self.seen |= self.unseen
        self.unseen = {}

    @invariant()
    def notes_tell_the_last_request(self) -> None:
        for name in LOGS:
            last = {**self.seen, **self.unseen}.get(self.log(name))
            for request in REQUESTS:
                expected = None if last is None else last == request
                assert request_notes.answers(self.log(name), request) is expected

    @invariant()
    def what_nobody_has_seen_is_listed(self) -> None:
        expected = {log: request_notes.digest(r) for log, r in sorted(self.unseen.items())}
        assert list(request_notes.unseen(self.logs).items()) == list(expected.items())


TestNotes = NotesMachine.TestCase

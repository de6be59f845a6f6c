"""The lock of a trial against a model, by the file system's clock that the test sets."""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gridfold.store.locks import STALE_SECONDS, Holder, TrialLock, held_by_other

FREE, DEAD, FAR, TORN = "free", "dead", "far", "torn"
CONTENDERS = st.integers(0, 2)
SILENT = st.sampled_from([0, 60, 120, STALE_SECONDS - 30, STALE_SECONDS + 30])


class LockMachine(RuleBasedStateMachine):
    """Three contenders of this process, and holders of whom only the file is left."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.trial = Path(self.folder.name) / "cafe" / "r0f0"
        self.file = self.trial.with_name(".r0f0.lock")
        self.file.parent.mkdir()
        self.locks = [TrialLock(self.trial) for _ in range(3)]
        self.state: int | str = FREE
        self.silent = 0.0
        # Those that hold the lock as far as they know.
        self.believe: set[int] = set()

    def teardown(self) -> None:
        self.folder.cleanup()

    def leave(self, state: str, content: str, silent: float) -> None:
        self.file.write_text(content)
        then = time.time() - silent
        os.utime(self.file, (then, then))
        self.state, self.silent = state, silent

    def is_free(self) -> bool:
        limit = {FREE: -1.0, DEAD: -1.0, TORN: 90.0, FAR: STALE_SECONDS}
        return isinstance(self.state, str) and self.silent > limit[self.state]

    @rule(one=CONTENDERS)
    def acquire(self, one: int) -> None:
        expected = self.is_free()
        assert self.locks[one].acquire() is expected
        if expected:
            self.state = one
            self.believe.add(one)

    @rule(one=CONTENDERS)
    def release(self, one: int) -> None:
        self.locks[one].release()
        if self.state == one and one in self.believe:
            self.state, self.silent = FREE, 0.0
        self.believe.discard(one)

    @rule(one=CONTENDERS)
    def beat(self, one: int) -> None:
        self.locks[one].beat()
        if one in self.believe and self.state != FREE:
            self.silent = 0.0
        if self.state not in (one, TORN):
            self.believe.discard(one)

    @rule(silent=SILENT)
    def die(self, silent: float) -> None:
        """A process of this machine is gone; its number is higher than any."""
        gone = replace(Holder.me(), pid=2**22 + 1)
        self.leave(DEAD, json.dumps(asdict(gone)), silent)

    @rule(silent=SILENT)
    def fall_silent(self, silent: float) -> None:
        far = replace(Holder.me(), host="far", machine="far", job="")
        self.leave(FAR, json.dumps(asdict(far)), silent)

    @rule(silent=SILENT, length=st.integers(0, 20))
    def tear(self, silent: float, length: int) -> None:
        self.leave(TORN, json.dumps(asdict(Holder.me()))[:length], silent)

    @rule()
    def remove(self) -> None:
        """Somebody clears away what is none of their business."""
        self.file.unlink(missing_ok=True)
        self.state, self.silent = FREE, 0.0

    @invariant()
    def the_holder_is_told(self) -> None:
        for one, lock in enumerate(self.locks):
            is_free = self.is_free() or (self.state == one and one in self.believe)
            assert (lock.live_holder() is None) is is_free
        expects_other = self.state in (FAR, TORN) and not self.is_free()
        assert (held_by_other(self.trial) is not None) is expects_other

    @invariant()
    def nothing_is_left_beside_the_lock(self) -> None:
        expected = [] if self.state == FREE else [self.file]
        assert list(self.file.parent.iterdir()) == expected


TestLock = LockMachine.TestCase

"""The ledger against a model: whatever a grid does, and whatever happens to the file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gridfold.plan.shards import DISTRIBUTED, SINGLE, Ledger, TrialKey

TRIALS = st.builds(TrialKey, st.sampled_from(["a", "b", "c", "d"]), st.sampled_from(["r0f0", "x"]))


class LedgerMachine(RuleBasedStateMachine):
    """One study whose grid grows and shrinks; a run reads the ledger, assigns and appends."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "shards" / "ledger.jsonl"
        # Where each trial is; what no damage has touched since it was written.
        self.placed: dict[TrialKey, str] = {}
        self.used: set[str] = set()

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(
        wanted=st.lists(TRIALS, max_size=6),
        size=st.integers(1, 4),
        kind=st.sampled_from([SINGLE, DISTRIBUTED]),
    )
    def run_study(self, wanted: list[TrialKey], size: int, kind: str) -> None:
        before = Ledger.read(self.file)
        ledger = before.assign(wanted, size, kind)
        ledger.append_to(self.file)
        serving = ledger.serving(wanted)
        where = {trial: shard for shard, members in ledger.shards.items() for trial in members}
        new = {shard: m for shard, m in ledger.shards.items() if shard not in before.shards}
        # Each trial has one place, and keeps it.
        assert len(where) == sum(map(len, ledger.shards.values()))
        assert set(wanted) <= set(where)
        assert self.placed.items() <= where.items()
        # New shards are full but the last, in the order of the grid, with names of their own.
        assert [len(members) for members in new.values()][:-1] == [size] * (len(new) - 1)
        assert [t for m in new.values() for t in m] == [
            t for t in dict.fromkeys(wanted) if t not in self.placed
        ]
        assert not self.used & set(new)
        assert all(shard.startswith(kind) for shard in new)
        assert set(serving) == {where[trial] for trial in wanted}
        self.placed = where
        self.used |= set(new)

    @rule(data=st.data())
    def tear(self, data: st.DataObject) -> None:
        """A crash cuts the last line short: its trials are without a place again."""
        content = self.file.read_bytes() if self.file.exists() else b""
        start = content.rfind(b"\n", 0, -1) + 1
        if not content.endswith(b"\n") or len(content) - start < 3:
            return
        self.file.write_bytes(content[: data.draw(st.integers(start, len(content) - 2))])
        self.remember()

    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        """A byte changes: the line may be lost, the ledger may not."""
        if not self.placed:
            return
        content = bytearray(self.file.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
        self.file.write_bytes(content)
        self.remember()

    @rule()
    def lose(self) -> None:
        self.file.unlink(missing_ok=True)
        self.placed, self.used = {}, set()

    def remember(self) -> None:
        """Take what is left after damage, and what it is mistaken for, as the truth."""
        shards = Ledger.read(self.file).shards
        self.placed = {trial: shard for shard, members in shards.items() for trial in members}
        self.used = set(shards)

    @invariant()
    def file_remembers(self) -> None:
        shards = Ledger.read(self.file).shards
        assert {t: s for s, members in shards.items() for t in members} == self.placed


TestLedger = LedgerMachine.TestCase

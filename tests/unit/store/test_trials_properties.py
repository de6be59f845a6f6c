"""The run store of one trial against a model: dictionaries of what it must know."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gridfold.errors import TrialFailure
from gridfold.store import checkpoints
from gridfold.store.checkpoints import Checkpoint
from gridfold.store.trials import DIVERGED, TrialResult, TrialStore

EPOCHS = st.integers(1, 4)
FINGERPRINTS = [{"code": "a", "units": 1}, {"code": "b", "units": 1}, {"code": "a", "units": 2.5}]
OWN_CODE = [{}, {"cost": "1"}, {"cost": "2"}]


class TrialMachine(RuleBasedStateMachine):
    """One trial that is asked for by studies that change; it ends well, fails, and is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        # Answers by epochs, and for what threshold and code; predictions; epochs of the checkpoints
        # that are sound; why the latest attempt has failed.
        self.fingerprint: object = None
        self.answers: dict[int, tuple[TrialResult, float, dict[str, str]]] = {}
        self.predictions: dict[int, float] = {}
        self.checkpoints: set[int] = set()
        self.failure: TrialFailure | None = None
        self.aside = 0
        self.count = 0.0

    def teardown(self) -> None:
        self.folder.cleanup()

    @initialize()
    def first(self) -> None:
        self.open(FINGERPRINTS[0], 0.5, {})

    @rule(
        fingerprint=st.sampled_from(FINGERPRINTS),
        threshold=st.sampled_from([0.5, 0.3]),
        own_code=st.sampled_from(OWN_CODE),
    )
    def open(self, fingerprint: dict[str, object], threshold: float, own_code: dict) -> None:
        """A new job asks; a study whose code or settings differ starts anew."""
        self.threshold, self.own_code = threshold, own_code
        root = Path(self.folder.name)
        self.set_aside = root / "set_aside"
        self.store = TrialStore(
            root / "runs" / "cafe" / "r0f0", self.set_aside, fingerprint, own_code, threshold
        )
        self.store.open()
        if self.fingerprint not in (None, fingerprint):
            # Where there is nothing to go on from, nothing is moved.
            self.aside += bool(self.answers or self.checkpoints)
            self.answers, self.predictions, self.checkpoints = {}, {}, set()
            self.failure = None
        self.fingerprint = fingerprint

    @rule(epochs=EPOCHS)
    def checkpoint(self, epochs: int) -> None:
        values = [np.float32([epochs, self.count])]
        made = Checkpoint(epochs, values, values, None, {"epoch": epochs}, self.store.identity)
        made.save(self.store.folder)
        before = [epoch for epoch in self.checkpoints if epoch < epochs]
        self.checkpoints -= {*sorted(before)[:-1]}
        self.checkpoints.add(epochs)

    @rule(epochs=EPOCHS)
    def damage_a_checkpoint(self, epochs: int) -> None:
        if epochs in self.checkpoints:
            file = self.store.folder / f"checkpoint-{epochs:05d}.npz"
            file.write_bytes(file.read_bytes()[:-20])
            self.checkpoints.remove(epochs)

    @rule()
    def kill(self) -> None:
        """What a killed process was writing is no part of anything."""
        (self.store.folder / ".result-00001.4711.json").write_text("{")
        self.open(self.fingerprint, self.threshold, self.own_code)  # type: ignore[arg-type]

    @rule(epochs=EPOCHS)
    def finish(self, epochs: int) -> None:
        self.count += 1
        result = TrialResult("finished", epochs, scores={"accuracy": self.count}, parameters=7)
        self.store.finish(result, np.float32([[self.count]]))
        self.predictions[epochs] = self.count
        self._answered(replace(result, own_code=self.own_code, threshold=self.threshold))

    @rule(epochs=EPOCHS)
    def diverge(self, epochs: int) -> None:
        result = self.store.fail(epochs, TrialFailure(DIVERGED, "loss is nan"), {"seconds": 1.0})
        self._answered(replace(result, own_code=self.own_code, threshold=self.threshold))

    def _answered(self, result: TrialResult) -> None:
        self.answers[result.epochs] = (result, self.threshold, self.own_code)
        self.checkpoints = {*sorted(self.checkpoints)[-1:]}
        self.failure = None

    @rule(epochs=EPOCHS, kind=st.sampled_from(["error", "killed"]))
    def fail(self, epochs: int, kind: str) -> None:
        self.failure = TrialFailure(kind, "no", "Traceback")
        self.store.fail(epochs, self.failure, {"seconds": None})

    @rule()
    def forget(self) -> None:
        self.store.forget_failure()
        self.failure = None

    @invariant()
    def answers_are_those_that_were_asked_for(self) -> None:
        for epochs in range(1, 5):
            result, unscored = map(
                _without_checksum, (self.store.result(epochs), self.store.unscored(epochs))
            )
            if epochs not in self.answers:
                assert (result, unscored) == (None, None)
                continue
            answer, threshold, own_code = self.answers[epochs]
            fits = threshold == self.threshold and self.own_code.items() <= own_code.items()
            if fits or answer.status == "failed":
                assert (result, unscored) == (answer, None)
            else:
                assert result is None
                assert unscored is not None
                assert unscored[0] == answer
                assert unscored[1].tolist() == [[self.predictions[epochs]]]

    @invariant()
    def training_goes_on_at_the_newest_sound_checkpoint(self) -> None:
        for epochs in range(1, 5):
            found = checkpoints.newest(self.store.folder, epochs)
            sound = [epoch for epoch in self.checkpoints if epoch <= epochs]
            assert (found and found.epoch) == max(sound, default=None)
            if found is not None:
                assert found.variables[0][0] == found.optimizer[0][0] == found.epoch

    @invariant()
    def failures_are_told_until_there_is_an_answer(self) -> None:
        told = self.store.failure()
        if self.failure is None:
            assert told is None
        else:
            assert told is not None
            assert vars(told[0]) == vars(self.failure)
            assert told[1] == {"seconds": None}

    @invariant()
    def files_are_few_and_nothing_is_lost(self) -> None:
        allowed = 1 + len(self.checkpoints) + 2 * len(self.answers | self.predictions)
        kept = [file for file in self.store.folder.iterdir() if file.suffix != ".damaged"]
        assert len(kept) <= allowed
        assert len(list(self.set_aside.glob("cafe/*"))) == self.aside


def _without_checksum(found: Any) -> Any:
    """Return a result, alone or with its predictions, without what the store adds to it."""
    if isinstance(found, tuple):
        return (_without_checksum(found[0]), *found[1:])
    return found and replace(found, predictions="")


TestTrial = TrialMachine.TestCase

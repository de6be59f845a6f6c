"""The log of what an asynchronous search has decided: one line for each decision, only appended.

Jobs on several nodes decide in turns: who holds the lock beside the log reads what the others have
decided, decides, and appends a line. A line that a crash has cut short, or that is damaged, is
dropped: its decision is made again, and what was trained for it is in the run store.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gridfold.atomic import make_folder, remove_abandoned
from gridfold.store.locks import waiting_for

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decision:
    """A configuration is trained in a rung of a bracket.

    Attributes
    ----------
    bracket, rung : int
    config_id : str
    """

    bracket: int
    rung: int
    config_id: str


class DecisionLog:
    """The decisions of a search, read by many jobs and appended to by one at a time.

    Parameters
    ----------
    file : Path
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0
        self._is_swept = False

    def news(self) -> list[Decision]:
        """Return the decisions that were not read yet, in the order in which they were made."""
        try:
            with self._file.open("rb") as stream:
                if os.fstat(stream.fileno()).st_size < self._read:
                    # Somebody has removed it, and others have begun it anew.
                    self._read = 0
                stream.seek(self._read)
                content = stream.read()
        except FileNotFoundError:
            return []
        # What stands behind the last end of a line is being written, or was never finished.
        whole, end, _ = content.rpartition(b"\n")
        self._read += len(whole) + len(end)
        found = []
        for text in whole.split(b"\n"):
            try:
                found.append(msgspec.json.decode(text, type=Decision))
            except msgspec.DecodeError:
                if text:
                    log.warning("%s: a damaged line is left out", self._file)
        return found

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until nobody else decides; nobody does while the block runs."""
        lock = self._file.with_name(f".{self._file.name}.lock")
        with waiting_for(lock):
            if not self._is_swept:
                # What was killed while it made a lock.
                remove_abandoned(lock.parent, f"{lock.name}.")
                self._is_swept = True
            yield

    def append(self, decision: Decision) -> None:
        """Write a decision down, to be called in one's turn; it is on disk afterwards."""
        make_folder(self._file.parent)
        with self._file.open("a+b") as stream:
            size = stream.seek(0, os.SEEK_END)
            is_torn = False
            if size:
                stream.seek(size - 1)
                is_torn = stream.read(1) != b"\n"
            stream.write(b"\n" * is_torn + msgspec.json.encode(decision) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())

"""What trials print goes into the log of their job, but no more of it than a log can hold."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection, wait

# Bytes of what one trial prints that the log of its job holds. A line for each of 10,000 batches
# takes less.
MOST_PRINTED = 4 * 2**20
# Of what a trial prints, so much is remembered for the case that it dies.
_LAST_WORDS = 4000
_PIECE = 2**16
# Pieces that a pipe may hold when nobody writes into it any more.
_REST = 16


class Printed:
    """What one trial prints.

    Parameters
    ----------
    output : Connection
        The end of a pipe into which the trial prints.
    most : int
        Bytes that go into the log.
    """

    def __init__(self, output: Connection, most: int = MOST_PRINTED) -> None:
        self.output = output
        self._most = most
        self.begin()

    def begin(self) -> None:
        """Forget what the trial before has printed: another one begins."""
        self._left = self._most
        self._last = b""

    def relay(self) -> None:
        """Print one piece of what is there: into the log of the job."""
        if self.output.closed or not wait([self.output], timeout=0):
            return
        text = os.read(self.output.fileno(), _PIECE)
        if not text:
            self.output.close()
            return
        self._last = (self._last + text)[-_LAST_WORDS:]
        if self._left > 0:
            _write(text[: self._left])
            self._left -= len(text)
            if self._left <= 0:
                megabytes = self._most / 2**20
                _write(f"\n[gridfold] {megabytes:g} MB of one trial: no more is kept\n".encode())

    def relay_rest(self) -> None:
        """Print what is left when the trial has ended.

        A process that it has started may hold the other end for ever, and print for ever.
        """
        self.relay_all()
        self.output.close()

    def relay_all(self) -> None:
        """Print what is there."""
        for _ in range(_REST):
            self.relay()

    def last_words(self) -> str:
        """Return the last lines that the trial has printed."""
        lines = self._last.decode(errors="replace").splitlines()
        # The first one may have lost its beginning.
        return "\n".join(lines[1:] if len(self._last) == _LAST_WORDS else lines)


def _write(text: bytes) -> None:
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(2, rest) :]

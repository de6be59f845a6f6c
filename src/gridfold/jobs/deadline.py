"""A deadline ends a process whose own work does not end."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import threading
from collections.abc import Iterator

from gridfold.errors import TOLD, out_of_time

log = logging.getLogger(__name__)


@contextlib.contextmanager
def deadline(seconds: float | None, what: str) -> Iterator[None]:
    """End this process if the block has not ended after so many seconds; None gives it all time.

    Parameters
    ----------
    seconds : float or None
    what : str
        Does the work; for the message.

    Notes
    -----
    The log says where it was. An exception would not end what TensorFlow computes, or a loop of
    users that catches all of them.
    """
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, _end, [seconds, what])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(seconds: float, what: str) -> None:
    faulthandler.dump_traceback()
    log.error("%s: %s; the log says where", what, out_of_time(seconds, ""), extra=TOLD)
    os._exit(1)

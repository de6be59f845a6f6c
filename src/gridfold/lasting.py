"""Imports whose objects stay until the process ends, and of which the garbage collector is told."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Keep what is made in the block out of every garbage collection.

    Importing TensorFlow makes a million objects and no garbage, but makes Python look for garbage
    a hundred times, which is a quarter of its time. What is frozen is not looked through again
    either; in processes forked from this one, looking would copy the memory that they share
    (see :func:`gc.freeze`).
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()

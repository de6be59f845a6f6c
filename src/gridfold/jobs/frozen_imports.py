"""Import heavy libraries without garbage collection (a fifth faster), and freeze their objects.

Forks then share the memory of those objects.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Keep what is made in the block out of every garbage collection.

    Importing TensorFlow makes half a million objects and hardly any garbage, yet Python looks for
    it a thousand times meanwhile, which is a fifth of the time. What is frozen is not looked
    through later either; in processes forked from this one, that would copy the memory that they
    share (see :func:`gc.freeze`).
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()

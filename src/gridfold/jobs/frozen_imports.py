"""Import heavy libraries without garbage collection (a fifth faster), and freeze their objects.

Forks then share the memory of those objects.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import tempfile
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


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep what libraries write to the terminal from it, unless they end the block with an error.

    While it is imported, TensorFlow announces instruction sets whatever ``TF_CPP_MIN_LOG_LEVEL``
    says, which counts only later; it is set here, too.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(terminal, said.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)

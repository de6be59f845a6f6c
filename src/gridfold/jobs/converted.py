"""AutoGraph rewrites the training loop once, before trials are forked, and not in each of them.

``tf.function`` has AutoGraph rewrite Python code with loops over tensors, which takes a quarter of
the time that a small trial takes. TensorFlow keeps what it has rewritten for each code object, and
forks inherit that. Nothing is computed meanwhile: a GPU, or a thread, must not be touched before a
fork. This is TensorFlow's inside; where a version differs, trials rewrite the code themselves.
"""

from __future__ import annotations

import contextlib
import inspect
import tempfile
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType
from typing import Any

from gridfold.training.devices import Devices
from gridfold.training.feeds import Feed
from gridfold.training.loop import TrainingLoop

# Functions inside of this one: what ``tf.function`` is given, and what is called from there.
_LOOP = TrainingLoop._over_batches
_STARTS = ("batches",)
_CALLED = ("own_step", "step_on", "augmented")
_METHODS = (Feed.stream, Feed.positions, Feed.take, Devices.run)


def convert_loop() -> None:
    """Let AutoGraph rewrite the functions that every trial's loop is made of."""
    try:
        from tensorflow.python.autograph.core.converter import ConversionOptions, ProgramContext
        from tensorflow.python.autograph.impl.api import _convert_actual
    except ImportError:
        return
    inner = {code.co_name: code for code in _LOOP.__code__.co_consts if inspect.iscode(code)}
    functions = [(_function(inner[name]), True) for name in _STARTS]
    functions += [(_function(inner[name]), False) for name in _CALLED]
    functions += [(method, False) for method in _METHODS]
    with _no_files_left(), contextlib.suppress(Exception):
        for function, is_start in functions:
            options = ConversionOptions(
                recursive=True, user_requested=is_start, optional_features=()
            )
            _convert_actual(function, ProgramContext(options))


def _function(code: CodeType) -> Callable[..., Any]:
    """Return a function with a code object, of whose closure only the names are known."""
    closure = tuple(CellType(None) for _ in code.co_freevars)
    return FunctionType(code, _LOOP.__globals__, closure=closure)


@contextlib.contextmanager
def _no_files_left() -> Iterator[None]:
    """Remove the files from which AutoGraph has loaded what it wrote; nobody needs them again."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="gridfold-") as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before

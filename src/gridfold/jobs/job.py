"""Every job of the workflow runs in a block that keeps its log, errors and exit code."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from gridfold.errors import EXIT_CONTINUE, GridfoldError, Interrupted, NotWritten, summary_of
from gridfold.requests import Request
from gridfold.store import request_notes

R = TypeVar("R", bound=Request)


@contextlib.contextmanager
def job(log_file: str, request: str | None = None, outputs: Iterable[Path] = ()) -> Iterator[None]:
    """Run the work of one job with everything it prints in `log_file`.

    Snakemake does not redirect what a script prints, so the file descriptors themselves are
    redirected; what child processes and TensorFlow's C++ code print lands there too. The reason of
    a failure is repeated on the terminal, in one line for an error that the user can mend.

    Parameters
    ----------
    log_file : str
    request : str, optional
        What the job depends on. It is noted down when the work is done, for the case that no
        Snakemake watches by then, see :mod:`gridfold.workflow.earlier_run`. A process that is only
        a part of a job has none.
    outputs : iterable of Path
        The files that the job writes; what they hold is noted down, too.
    """
    terminal = os.dup(2)
    try:
        Path(log_file).parent.mkdir(parents=True, exist_ok=True)
        with open(log_file, "w", encoding="utf-8") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
    except OSError as error:
        _say(terminal, str(NotWritten(log_file, error)))
        sys.exit(1)
    # TensorFlow announces instruction sets and missing GPUs at every start.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    logging.getLogger("gridfold").addHandler(_Terminal(terminal))
    try:
        yield
        if request is not None:
            request_notes.write(log_file, request, outputs)
    except Interrupted as interruption:
        _say(terminal, f"{interruption} (log: {log_file})")
        sys.exit(EXIT_CONTINUE)
    except GridfoldError as error:
        _say(terminal, f"{error}\n(log: {log_file})")
        logging.error("%s", error)
        sys.exit(1)
    except (SystemExit, GeneratorExit) as error:
        # Else Snakemake would take the exit code of users' code for that of the job.
        traceback.print_exc()
        what = f"own code has ended the job by {summary_of(error)}; let it raise an exception"
        _say(terminal, f"{what} (traceback: {log_file})")
        sys.exit(1)
    except Exception as error:
        _say(terminal, f"{type(error).__name__}: {error} (traceback: {log_file})")
        # Where the disk is full, the log can't take it.
        with contextlib.suppress(OSError):
            traceback.print_exc()
        sys.exit(1)
    finally:
        # The process ends now, with all that it holds. Python would look through it once more:
        # a second where TensorFlow was imported.
        gc.freeze()


@contextlib.contextmanager
def script_job(snakemake: Any, kind: type[R]) -> Iterator[R]:
    """Run the work of a script of Snakemake as one job, see :func:`job`, and yield its request.

    Parameters
    ----------
    snakemake
        The object that Snakemake puts into every script.
    kind : type
        Of the request, which is the parameter `request` of the rule.
    """
    text = snakemake.params.request
    with job(str(snakemake.log[0]), text, map(Path, snakemake.output)):
        yield kind.parse(text)


class _Terminal(logging.Handler):
    """Repeats a warning on the terminal that a user must hear of at once, :data:`errors.TOLD`."""

    def __init__(self, terminal: int) -> None:
        super().__init__(logging.WARNING)
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "told", False):
            _say(self._terminal, record.getMessage())


def _say(terminal: int, text: str) -> None:
    os.write(terminal, f"[gridfold] {text}\n".encode())

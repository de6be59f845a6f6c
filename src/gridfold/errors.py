"""What can go wrong, as types that carry their explanation."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_NOT_LOADED, _WRAPPED = "could not be deserialized properly", "Exception encountered: "
_RAISED_BY_LAYER = re.compile(r"Exception encountered when calling (\S+)\.call\(\)\.")

KeyPath = tuple[str | int, ...]

# sysexits.h EX_TEMPFAIL: try again later. Everything up to the last epoch is in the run store.
EXIT_CONTINUE = 75

# `extra` of a warning that a job writes not only into its log, but on the terminal, too.
TOLD = {"told": True}


def format_path(path: KeyPath) -> str:
    """Write a key path the way a user would point at it, as in ``search.exclude[2]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif text and ("." in part or not part):
            text += f'["{part}"]'
        else:
            text += f".{part}" if text else part
    return text or "(top level)"


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a study file.

    Attributes
    ----------
    path : KeyPath
        Where in the study; empty for the file as a whole.
    found : str
        The offending value, as the user wrote it.
    allowed : str
        What would be accepted instead.
    line : int or None
        Line in the study file, counted from 1, when known.
    """

    path: KeyPath
    found: str
    allowed: str
    line: int | None = None

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line else []
        if self.path or not where:
            where.append(format_path(self.path))
        return f"{': '.join(where)}: {self.found}\n      {self.allowed}"


def summary_of(error: BaseException) -> str:
    """Return type and message of an exception in one line.

    TensorFlow wraps what was raised while a graph was traced or run; there the last line says it.
    Keras wraps what a layer raised; there a line in the middle says it. It also wraps what is wrong
    with a saved model once for each model around it; there the last one says it.
    """
    said_by_layer = _said_by_layer(error)
    if said_by_layer:
        return said_by_layer
    text = "".join(traceback.format_exception_only(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    kind, colon, first = lines[0].partition(":")
    if _NOT_LOADED in first and _WRAPPED in text:
        return f"{kind}: {text.rpartition(_WRAPPED)[2].splitlines()[0]}"
    if lines[0].endswith(("in user code:", "Graph execution error:")):
        said = next(line for line in reversed(lines) if not line.startswith("[["))
        return said if said.startswith(kind) else f"{kind}: {said}"
    if colon and not first and len(lines) > 1:
        # The message begins on a line of its own: its first paragraph.
        paragraph = str(error).strip().partition("\n\n")[0]
        return f"{lines[0]} {' '.join(paragraph.split())}"
    return lines[0]


def _said_by_layer(error: BaseException) -> str:
    # Of a KeyError, `str` is the text in quotes, on one line.
    text = str(error.args[0]) if error.args else ""
    wrapped = _RAISED_BY_LAYER.match(text)
    if wrapped is None:
        return ""
    plain = text[wrapped.end() :].replace("\x1b[1m", "").replace("\x1b[0m", "")
    lines = [line.strip() for line in plain.partition("Arguments received")[0].splitlines()]
    lines = [line for line in lines if line] or ["no message"]
    # Keras' own sentence before it says that it could not infer a shape.
    is_second = "Error encountered:" in lines[0] and len(lines) > 1
    return f"{type(error).__name__} in {wrapped[1]}: {lines[is_second]}"


class GridfoldError(Exception):
    """Base of every error that is the user's to fix; shown without a traceback."""


class StudyError(GridfoldError):
    """A study file that can't be run, with every problem found in it."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = sorted(
            set(problems), key=lambda p: (p.line or 0, format_path(p.path), p.found)
        )
        super().__init__(str(self))

    def __str__(self) -> str:
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return f"{self.source}: {count} {noun}; nothing was run.\n{lines}"


def not_run_yet(missing: str, command: str) -> GridfoldError:
    """Return the error of a verb that needs what only a run of the study, `command`, makes."""
    return GridfoldError(f"{missing}; run: {command}")


class DataError(GridfoldError):
    """Data that can't serve the study, found while reading it."""


class NotWritten(GridfoldError):
    """A file that can't be written, and why.

    Parameters
    ----------
    target : Path or str
    error : OSError
    """

    def __init__(self, target: Path | str, error: OSError) -> None:
        reason = error.strerror or str(error)
        if isinstance(error, FileExistsError | NotADirectoryError):
            # What the system says of it sounds like the opposite, or names a place below the file.
            place = Path(target)
            file = next((path for path in (place, *place.parents) if path.is_file()), place)
            reason = f"a folder is needed where the file {file} is"
        super().__init__(f"{target} can't be written: {reason}")


class Interrupted(GridfoldError):
    """The job was told to stop; running it again continues."""

    def __init__(self) -> None:
        super().__init__("told to stop; trials keep their checkpoints, run again to continue")


class BudgetSpent(BaseException):
    """A training must end after this epoch: the next one would go beyond the budget.

    No `Exception`, which a training function of the user might catch.

    Parameters
    ----------
    epoch : int
        That has just ended.
    """

    def __init__(self, epoch: int) -> None:
        super().__init__(epoch)
        self.epoch = epoch


class TrialFailure(GridfoldError):
    """A trial that has no score, and why.

    Parameters
    ----------
    kind : str
        ``diverged`` (a deterministic outcome of the configuration, never retried),
        ``error`` (an exception), ``killed`` (the process ended without a word) or ``timeout`` (it
        did not end in ``execution.trial_timeout``).
    reason : str
        One sentence for the report.
    detail : str, optional
        Traceback or the trial's last output.
    """

    def __init__(self, kind: str, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.detail = detail


def out_of_time(seconds: float, last_words: str) -> TrialFailure:
    """Return the failure of a trial that was killed because it had not ended in its time."""
    reason = f"not at its end after {seconds:g} s, the limit of execution.trial_timeout"
    return TrialFailure("timeout", reason, last_words)


class NotebookError(GridfoldError):
    """A notebook with a cell that failed."""


class BuildError(GridfoldError):
    """A Horovod that can't be built or installed here, and what would help."""

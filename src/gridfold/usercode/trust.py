"""Whose code a folder of results would have run: the user's own, or that of whoever made it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from gridfold.errors import GridfoldError


class NotTrusted(GridfoldError):
    """Results whose code nobody has said to trust."""


def require_trust(code: Iterable[Path], results: Path) -> None:
    """Refuse Python files that results name and that are not clearly the user's own.

    The user's own are those below the working folder, named from there without ``..``, as studies
    name them; but not those that lie with the results, which may have come with them.

    Parameters
    ----------
    code : iterable of Path
        As the results name them. Those that do not exist can't run.
    results : Path
        The folder of a study's results, or of its final model.

    Raises
    ------
    NotTrusted
        Names the files with their whole paths.
    """
    foreign = [file for file in code if os.path.isfile(file) and not _is_own(file, results)]
    if foreign:
        files = "\n".join(f"  {file.absolute()}" for file in dict.fromkeys(foreign))
        raise NotTrusted(
            f"{results} would run Python code that is not clearly yours:\n{files}\n"
            "Allowed without asking: files below this folder that the study names from here, and "
            "that do not lie with the results. Read them; if you trust them, and whoever made "
            "these results, say --trust."
        )


def _is_own(file: Path, results: Path) -> bool:
    if file.is_absolute() or ".." in file.parts:
        return False
    real = file.resolve()
    return real.is_relative_to(Path.cwd()) and not any(
        real.is_relative_to(folder) for folder in _of_results(results.resolve())
    )


def _of_results(results: Path) -> Iterator[Path]:
    """Yield the folders that may hold what came with results, from within to without."""
    # results/<study>/final, results/<study> and results; not the working folder or one around it.
    for folder in (results, *results.parents[:2]):
        if Path.cwd().is_relative_to(folder):
            return
        yield folder

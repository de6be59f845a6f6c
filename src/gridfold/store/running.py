"""What is said of a study that somebody runs already."""

from __future__ import annotations

import time

from gridfold.errors import GridfoldError
from gridfold.paths import ControllerPaths, StudyPaths
from gridfold.store.locks import STALE_SECONDS, RunHolder


class RunBusy(GridfoldError):
    """Another Snakemake runs this study.

    Parameters
    ----------
    paths : StudyPaths
    holder : RunHolder
        That one.
    """

    def __init__(self, paths: StudyPaths, holder: RunHolder) -> None:
        super().__init__(
            f"the study {paths.root.name} is being run already by {holder}; nothing was started."
            f"{_doubt(holder)}\n{what_to_do(paths)}"
        )


class RunCutOff(GridfoldError):
    """The last run of this study was cut off, and nobody has gone on with it.

    Parameters
    ----------
    paths : StudyPaths
    """

    def __init__(self, paths: StudyPaths) -> None:
        super().__init__(
            f"the last run of the study {paths.root.name} was cut off; nothing was changed. Give "
            "its command again: it goes on from there, and takes over what that run has left"
        )


def what_to_do(paths: StudyPaths) -> str:
    """Return how a run is looked at and stopped."""
    return (
        f"  look at it: gridfold status {paths.root} --watch, or gridfold attach {paths.root}\n"
        f"  stop it:    gridfold stop {paths.root}"
    )


def _doubt(holder: RunHolder) -> str:
    """Say what is not known: nobody can be asked about a process of another machine."""
    if holder.is_here or holder.process.job:
        return ""
    return (
        f" Its last sign of life is {round(holder.silence)} s old; it gives one every half minute, "
        f"and after {STALE_SECONDS / 60:.0f} minutes without any it counts as gone."
    )


def clock(seconds: float) -> str:
    """Return a Unix time as people write it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def run_names(files: ControllerPaths) -> list[str]:
    """Return the names that jobs of the study have in Slurm's queue."""
    if not files.slurm_runs.exists():
        return []
    return files.slurm_runs.read_text(encoding="utf-8").split()

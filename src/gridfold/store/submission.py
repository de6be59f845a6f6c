"""What `gridfold submit` has started for a study, and how it has ended."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from gridfold.store.records import Record


@dataclass(frozen=True)
class Submission(Record):
    """A controller that was submitted: Snakemake, and who starts it again when it dies.

    Attributes
    ----------
    study : str
    submitted : float
        Unix time.
    folder : str
        Where Snakemake runs.
    words : list of str
        What it is started with.
    host : str
        Where it was submitted; without Slurm, also where it runs.
    then : str
        Command of the user's for the end; empty for none.
    options : list of str
        Options of `sbatch`; empty without Slurm.
    job : str
        Number of the Slurm job; empty without Slurm.
    """

    study: str
    submitted: float
    folder: str
    words: list[str]
    host: str
    then: str = ""
    options: list[str] = field(default_factory=list)
    job: str = ""


# How a controller ends.
FINISHED, FAILED, STOPPED = "finished", "failed", "stopped"


@dataclass(frozen=True)
class Outcome(Record):
    """How a submitted controller has ended.

    Attributes
    ----------
    how : str
        `FINISHED`, `FAILED` or `STOPPED`.
    code : int
        Exit code of Snakemake.
    ended : float
        Unix time.
    """

    how: str
    code: int
    ended: float

    def environment(self, submission: Submission, results: os.PathLike[str]) -> dict[str, str]:
        """Return what the user's command for the end is told."""
        return {
            "GRIDFOLD_STUDY": submission.study,
            "GRIDFOLD_RESULTS": os.fspath(results),
            "GRIDFOLD_OUTCOME": self.how,
        }

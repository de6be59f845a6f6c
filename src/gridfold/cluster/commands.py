"""Run a command of Slurm, with a time limit and one way to say that Slurm does not answer."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from gridfold.advice import NO_CONTROLLER, reason_in, recognise
from gridfold.errors import GridfoldError

# By these two Slurm is recognised on a machine: who submits jobs, and who starts their processes.
SBATCH, SRUN = "sbatch", "srun"

# Slurm itself gives up after some ten seconds without a controller.
_SECONDS = 60


class SlurmSilent(GridfoldError):
    """Slurm does not answer: not at all, not in time, or it isn't installed here."""


@dataclass(frozen=True)
class CommandOutput:
    """What a command of Slurm has said.

    Attributes
    ----------
    text : str
        Its answer.
    error : str
        Its messages, without space around them.
    is_good : bool
        Whether it ended well.
    """

    text: str
    error: str
    is_good: bool

    @property
    def reason(self) -> str:
        """Its messages in one line, without its name."""
        return reason_in(self.error)


def ask(*command: str, seconds: float | None = None) -> CommandOutput:
    """Run a command of Slurm, for a minute or for `seconds` at most, and return what it says.

    Raises
    ------
    SlurmSilent
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds or _SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlurmSilent(f"Slurm does not answer: {error}") from error
    answer = CommandOutput(done.stdout, done.stderr.strip(), done.returncode == 0)
    if not answer.is_good and recognise(answer.error) is NO_CONTROLLER:
        raise SlurmSilent(f"Slurm does not answer: {answer.error}")
    return answer


def version_in(text: str) -> str | None:
    """Return the version of Slurm as its commands say it with ``--version``; None in other text."""
    found = re.search(r"^slurm\S* (\d[\w.-]*)", text, re.M)
    return f"Slurm {found[1]}" if found else None

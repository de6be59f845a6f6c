"""Start what a Slurm job does without the variables that describe the job to Slurm's commands.

``python -m gridfold.cluster.step COMMAND...`` becomes the command. `sbatch` leaves the whole job's
cores, memory and GPUs in the environment, where `srun` and launchers of MPI take them for options
of their own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

# Which job and cluster this is; all else that Slurm says is about the job as a whole.
_KEPT = frozenset(
    {
        "SLURM_CLUSTER_NAME",
        "SLURM_CONF",
        "SLURM_JOB_ID",
        "SLURM_JOBID",
        "SLURM_SUBMIT_DIR",
        "SLURM_SUBMIT_HOST",
    }
)


def environment_of_step(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a job without those that would set options of Slurm's commands."""
    return {
        name: value
        for name, value in environment.items()
        if name in _KEPT or not name.startswith(("SLURM_", "SRUN_", "SBATCH_"))
    }


def main() -> None:
    """Become the command of the command line."""
    command = sys.argv[1:]
    os.execvpe(command[0], command, environment_of_step(os.environ))


if __name__ == "__main__":
    main()

"""What runs in a Slurm job does not see what the whole job has asked for."""

from __future__ import annotations

import os
import subprocess
import sys


def test_a_step_has_the_variables_that_say_which_job_it_is_and_no_options() -> None:
    job = {
        "SLURM_JOB_ID": "17",
        "SLURM_CONF": "/etc/elsewhere/slurm.conf",
        "SLURM_CPUS_PER_TASK": "4",
        "SLURM_MEM_PER_NODE": "2000",
        "SRUN_CPUS_PER_TASK": "4",
        "SBATCH_PARTITION": "gpu",
        "CUDA_VISIBLE_DEVICES": "1",
    }
    show = f"import os; print(sorted(n for n in os.environ if n in {list(job)!r}))"
    answer = subprocess.run(
        [sys.executable, "-P", "-m", "gridfold.cluster.step", sys.executable, "-c", show],
        env={**os.environ, **job},
        capture_output=True,
        text=True,
        check=True,
    )
    kept = ["CUDA_VISIBLE_DEVICES", "SLURM_CONF", "SLURM_JOB_ID"]
    assert answer.stdout.strip() == str(kept)


def test_the_exit_code_is_that_of_the_command() -> None:
    words = ["-P", "-m", "gridfold.cluster.step", "sh", "-c", "exit 75"]
    assert subprocess.run([sys.executable, *words]).returncode == 75

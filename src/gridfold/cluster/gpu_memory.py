"""What there is of the memory of a GPU, and which part of it a trial may take that shares it.

Without a part of its own, the first trial that needs much leaves those beside it without any, and
it is they that fail.
"""

from __future__ import annotations

import subprocess

# CUDA's context, its kernels, and the workspaces of cuDNN and cuBLAS, in each process. An estimate:
# 300 to 600 MB have been reported, depending on the card and the libraries.
_CONTEXT_MB = 600
_PATIENCE_SECONDS = 60


def gpu_memory_mb(gpu: str) -> int | None:
    """Return the memory of a GPU in MB; None where the driver does not tell.

    Parameters
    ----------
    gpu : str
        As ``CUDA_VISIBLE_DEVICES`` names it: a number, or a UUID. Of parts of a GPU
        (MIG), and of a GPU that is shared out in parts, it can't be told.
    """
    asked = ["nvidia-smi", f"--id={gpu}", "--query-gpu=memory.total,mig.mode.current"]
    try:
        answer = subprocess.run(
            [*asked, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    memory, _, parts = answer.stdout.strip().partition(",")
    if answer.returncode or not memory.isdigit() or parts.strip() == "Enabled":
        return None
    return int(memory)


def part_of_memory(total_mb: int, trials: int) -> int:
    """Return the MB that each of some trials on a GPU may take for its numbers.

    Parameters
    ----------
    total_mb : int
        Of the GPU.
    trials : int
        At a time.
    """
    part = total_mb / trials
    return int(max(part - _CONTEXT_MB, part / 2))

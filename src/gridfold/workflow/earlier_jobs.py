"""Finds the jobs that an earlier Snakemake has submitted and that still run, and waits for them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from gridfold.cluster.slurm import can_list_jobs, is_down, snakemake_jobs
from gridfold.terminal import say

# A controller that is well answers in a moment; Slurm's own commands try for a minute and more.
_FIRST_SECONDS = 5.0
# Between questions to Slurm, which other users ask too.
_QUESTION_SECONDS = 10.0


def wait_for_jobs(workflow: Any) -> None:
    """Wait until the jobs that an earlier Snakemake has submitted from this folder have ended.

    Otherwise they would be submitted again while they run. What they make counts: the jobs that
    have ended well are not repeated.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    if (
        not workflow.is_main_process
        or workflow.nodes is None
        or workflow.output_settings.dryrun
        or not can_list_jobs()
    ):
        return
    silent = is_down(_FIRST_SECONDS)
    if silent:
        say(
            "Slurm does not answer: no controller is up (`scontrol ping`). This run waits until "
            "one is; Ctrl-C ends it."
        )
    # A locked folder has a living Snakemake, or waits for `--unlock`; Snakemake says so itself.
    if any(Path(".snakemake/locks").glob("*")):
        return
    told: set[str] = set()
    while (jobs := snakemake_jobs(Path.cwd())) or jobs is None:
        if jobs is None and not silent:
            silent = True
            say(
                "Slurm does not answer whether jobs of an earlier Snakemake still run. "
                "Waiting until it does."
            )
        elif jobs and not told.issuperset(jobs):
            told.update(jobs)
            say(
                f"waiting for {len(jobs)} jobs that an earlier Snakemake has submitted "
                f"from this folder and that are not over: {', '.join(sorted(jobs))}. "
                "To do without them: Ctrl-C, then scancel with these numbers."
            )
        try:
            time.sleep(_QUESTION_SECONDS)
        except KeyboardInterrupt:
            sys.exit(130)

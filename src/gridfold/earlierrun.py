"""What a Snakemake that was killed has left behind: jobs that still run, and jobs it saw no end of.

Snakemake records with which parameters an output was made when it sees the job end. A job on a
cluster outlives its Snakemake; its outputs then look complete, have no record, and no later change
of the study would be noticed. So every job leaves beside its log a note of the request that it
answered (:mod:`gridfold.requestnote`). A Snakemake that ends in good order takes the notes away;
the next one looks at those that are left.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snakemake.io import apply_wildcards, regex_from_filepattern

from gridfold import requestnote
from gridfold.advice import NO_CONTROLLER, recognise

# Between questions to Slurm, which other users ask too.
_QUESTION_SECONDS = 10.0


def drop_outdated(workflow: Any, logs: Path) -> None:
    """Delete what unwatched jobs have made for a request that is no longer the study's.

    It is made again then, from the run store where it can be. A dry run only says so.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        With all its rules.
    logs : Path
        Folder of the logs of the study.
    """
    if not workflow.is_main_process:
        return
    outdated = [
        file
        for log, note in requestnote.read_all(logs).items()
        for wanted, outputs in _answers(workflow, log)
        if note != requestnote.digest(wanted)
        for file in outputs
        if file.exists()
    ]
    if not outdated:
        return
    print(
        f"[gridfold] {len(outdated)} files were made after the last Snakemake was killed, and the "
        f"study has changed since; they are made again, the first is {outdated[0]}",
        file=sys.stderr,
    )
    if not workflow.output_settings.dryrun:
        for file in outdated:
            file.unlink()


def _answers(workflow: Any, log: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield the request, as it is now, and the outputs of the job with this log."""
    for rule in workflow.rules:
        request = dict(rule.params.items()).get("request")
        match = rule.log and re.fullmatch(regex_from_filepattern(str(rule.log[0])), str(log))
        if not (match and request):
            continue
        wildcards = match.groupdict()
        try:
            wanted = request(SimpleNamespace(**wildcards))
        except (KeyError, IndexError):
            # A job that the study no longer has.
            continue
        yield wanted, [Path(apply_wildcards(str(output), wildcards)) for output in rule.output]


def wait_for_jobs(workflow: Any) -> None:
    """Wait until the jobs that an earlier Snakemake has submitted from this folder have ended.

    Otherwise they would be submitted again while they run. What they make counts: the jobs that
    have ended well are not repeated.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    # A locked folder has a living Snakemake, or waits for `--unlock`; Snakemake says so itself.
    if (
        not workflow.is_main_process
        or workflow.nodes is None
        or workflow.output_settings.dryrun
        or shutil.which("squeue") is None
        or any(Path(".snakemake/locks").glob("*"))
    ):
        return
    told: set[str] = set()
    silent = False
    while (jobs := _jobs_of(Path.cwd())) or jobs is None:
        if jobs is None and not silent:
            silent = True
            _say(
                "Slurm does not answer whether jobs of an earlier Snakemake still run. "
                "Waiting until it does."
            )
        elif jobs and not told.issuperset(jobs):
            told.update(jobs)
            _say(
                f"waiting for {len(jobs)} jobs that an earlier Snakemake has submitted "
                f"from this folder and that are not over: {', '.join(sorted(jobs))}. "
                "To do without them: Ctrl-C, then scancel with these numbers."
            )
        try:
            time.sleep(_QUESTION_SECONDS)
        except KeyboardInterrupt:
            sys.exit(130)


def _say(text: str) -> None:
    print(f"[gridfold] {text}", file=sys.stderr, flush=True)


def _jobs_of(folder: Path) -> set[str] | None:
    """Return the ids of this user's jobs that Snakemake has submitted from a folder.

    None where Slurm does not answer.
    """
    answer = subprocess.run(
        ["squeue", "--me", "--noheader", "--format=%i|%Z|%k"],
        capture_output=True,
        text=True,
        check=False,
    )
    if recognise(answer.stderr) is NO_CONTROLLER:
        return None
    jobs = (line.strip().split("|", 2) for line in answer.stdout.splitlines())
    return {
        job[0]
        for job in jobs
        if len(job) == 3 and Path(job[1]) == folder and job[2].startswith("rule_")
    }

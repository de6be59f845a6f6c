"""Checks a study and starts its controller: as a job of Slurm, or detached on this machine."""

from __future__ import annotations

import ast
import contextlib
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridfold.atomic import write_text
from gridfold.cluster import controller_job
from gridfold.controller.looking import Controller
from gridfold.errors import GridfoldError
from gridfold.paths import ControllerPaths
from gridfold.plan.plan import Plan
from gridfold.store.running import RunBusy, what_to_do
from gridfold.store.submission import Submission

# As long as a controller asks for where a partition allows it, in minutes. It goes on beyond.
_USUAL_MINUTES = 2 * 24 * 60
_SLURM = "slurm"
_BEFORE_ERRORS = "Building DAG of jobs...\n"
# From one look whether it has begun to the next.
_LOOK_SECONDS = 0.05
# Starts the supervisor again that was killed, and hands on to it what Slurm tells the job.
_SCRIPT = """\
#!/bin/bash
# Written by `gridfold submit`: runs a study, see `gridfold status`.
cd {folder} || exit 1
trap 'kill -USR1 $child' USR1
trap 'kill -TERM $child' TERM
for start in $(seq 50); do
    {command} &
    child=$!
    while wait $child; code=$?; kill -0 $child 2>/dev/null; do :; done
    [ $code -eq 137 ] || break
done
exit $code
"""


@dataclass(frozen=True)
class Wishes:
    """What `gridfold submit` was told besides the study.

    Attributes
    ----------
    profile : str or None
        Profile of Snakemake. None for `slurm` where there is Slurm, and for none elsewhere.
    is_local : bool
        Whether the controller runs on this machine even so.
    cores : int or None
        Cores of this machine for jobs that run on it.
    minutes : int or None
        Time limit of the controller's job.
    partition, account : str or None
        Of the controller's job; None for those of the profile.
    mail : str or None
        Address that Slurm writes to at the end.
    then : str
        Command for the end.
    sbatch, snakemake : sequence of str
        Further options.
    """

    profile: str | None = None
    is_local: bool = False
    cores: int | None = None
    minutes: int | None = None
    partition: str | None = None
    account: str | None = None
    mail: str | None = None
    then: str = ""
    sbatch: Sequence[str] = ()
    snakemake: Sequence[str] = ()


def submit(plan: Plan, wishes: Wishes) -> str:
    """Submit the controller of a study; return what to tell.

    Raises
    ------
    RunBusy
        When the study is being run.
    GridfoldError
        When it can't be run, or Slurm does not take its controller.
    """
    _refuse_second(plan)
    has_slurm = controller_job.can_submit()
    profile = wishes.profile or (_SLURM if has_slurm and not wishes.is_local else None)
    words = _words(plan, wishes, profile)
    options = _options(words)
    is_slurm = options.executor == _SLURM and not wishes.is_local
    if is_slurm and not has_slurm:
        raise GridfoldError(
            f"the profile {profile} submits to Slurm, and there is no sbatch here; nothing was "
            "run. Start it on a login node, or without --profile for this machine"
        )
    if not is_slurm:
        _refuse_for_slurm_only(wishes)
    return _to_slurm(plan, wishes, words, options) if is_slurm else _here(plan, wishes, words)


def _refuse_second(plan: Plan) -> None:
    controller = Controller.of(plan.paths)
    if controller.holder is not None and controller.holder.is_live:
        raise RunBusy(plan.paths, controller.holder)
    if controller.is_alive:
        raise GridfoldError(
            f"the study {plan.study.study} is submitted already: {controller.sentence}; nothing "
            f"was started.\n{what_to_do(plan.paths)}"
        )


def _refuse_for_slurm_only(wishes: Wishes) -> None:
    given = {
        "--time": wishes.minutes,
        "--partition": wishes.partition,
        "--account": wishes.account,
        "--mail": wishes.mail,
        "--sbatch": wishes.sbatch,
    }
    if names := [name for name, value in given.items() if value]:
        more = "; use --then COMMAND for the end of a run without it" * ("--mail" in names)
        raise GridfoldError(
            f"{', '.join(names)}: only where the controller is a job; nothing was run{more}"
        )


def _words(plan: Plan, wishes: Wishes, profile: str | None) -> list[str]:
    """Return the words that Snakemake is started with."""
    words = shlex.split(plan.command)[1:]
    if profile:
        words += ["--profile", profile]
    # What a killed Snakemake was making is made again.
    words += ["--rerun-incomplete"]
    if wishes.cores or not profile:
        words += ["--cores", str(wishes.cores or "all")]
    return [*words, *wishes.snakemake]


def _options(words: Sequence[str]) -> Any:
    """Return how Snakemake understands these words, its profiles included."""
    from snakemake.cli import parse_args

    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            return parse_args([*words])[1]
    except SystemExit:
        # Snakemake has said why into nowhere; said again by the dry run.
        _dry_run(words)
        raise


def _dry_run(words: Sequence[str]) -> None:
    """Let Snakemake plan the run, and refuse what it refuses."""
    # Options end where the targets begin.
    end = list(words).index("--") if "--" in words else len(words)
    asked = [*words[:end], "--dry-run", "--quiet", "all", *words[end:]]
    answer = subprocess.run(
        [sys.executable, "-m", "snakemake", *asked],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if answer.returncode:
        # Before it says what is wrong, Snakemake describes itself.
        said = f"{answer.stdout}{answer.stderr}".rpartition(_BEFORE_ERRORS)[2].strip()
        raise GridfoldError(f"Snakemake can't plan the run; nothing was run.\n{said}")


def _to_slurm(plan: Plan, wishes: Wishes, words: list[str], options: Any) -> str:
    files = plan.paths.controller
    partition = wishes.partition or _default(options, "slurm_partition")
    longest = controller_job.longest_minutes(partition)
    minutes = wishes.minutes or min(longest or _USUAL_MINUTES, _USUAL_MINUTES)
    if longest is not None and minutes > longest:
        raise GridfoldError(
            f"--time {minutes}: longer than the partition allows; nothing was run. Allowed: up to "
            f"{longest} minutes; the controller goes on in another job by itself"
        )
    asked = controller_job.JobWishes(
        f"gridfold-{plan.study.study}",
        files.output.absolute(),
        minutes,
        partition,
        wishes.account or _default(options, "slurm_account"),
        _default(options, "qos"),
        wishes.mail,
        [*wishes.sbatch, f"--chdir={Path.cwd()}"],
    ).options()
    _dry_run(words)
    _begin(files)
    command = shlex.join([*_supervisor(), str(plan.paths.root)])
    script = _SCRIPT.format(folder=shlex.quote(str(Path.cwd())), command=command)
    write_text(files.script, script)
    submission = _submission(plan, words, wishes, asked)
    # The controller may begin before the number of its job is known.
    submission.write(files.submission)
    job = controller_job.submit(asked, files.script)
    _submission(plan, words, wishes, asked, job).write(files.submission)
    return f"submitted: the controller of {plan.study.study} is Slurm job {job}\n" + what_to_do(
        plan.paths
    )


def _here(plan: Plan, wishes: Wishes, words: list[str]) -> str:
    files = plan.paths.controller
    _dry_run(words)
    _begin(files)
    _submission(plan, words, wishes, []).write(files.submission)
    with files.output.open("ab") as output:
        process = subprocess.Popen(
            [*_supervisor(), str(plan.paths.root)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    while not files.supervisor.exists() and process.poll() is None:
        time.sleep(_LOOK_SECONDS)
    host = platform.node()
    return (
        f"started: the controller of {plan.study.study} is process {process.pid} on {host}; it "
        f"goes on when you log out\n{what_to_do(plan.paths)}"
    )


def _supervisor() -> list[str]:
    # -P: modules of the user's, which may lie here, must not hide those of Python.
    return [sys.executable, "-P", "-m", "gridfold.controller.supervisor"]


def _begin(files: ControllerPaths) -> None:
    """Remove what the controller before has left; its output is kept."""
    files.folder.mkdir(parents=True, exist_ok=True)
    for file in (files.outcome, files.stop, files.successor, files.supervisor):
        file.unlink(missing_ok=True)
    files.output.touch()


def _submission(
    plan: Plan,
    words: list[str],
    wishes: Wishes,
    options: list[str],
    job: str = "",
) -> Submission:
    return Submission(
        plan.study.study,
        time.time(),
        str(Path.cwd()),
        words,
        platform.node(),
        wishes.then,
        options,
        job,
    )


def _default(options: Any, name: str) -> str | None:
    """Return what a profile asks for all jobs; None where it says nothing."""
    resources = options.default_resources
    if resources is None or name not in resources:
        return None
    said = resources[name].raw
    try:
        # Names that Python knows stand in quotes.
        return str(ast.literal_eval(said))
    except (ValueError, SyntaxError):
        return str(said)

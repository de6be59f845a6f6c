"""The bridge from Snakemake's workflow object to the plan; read while the Snakefile is parsed."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError

from gridfold.advice import advice_in_log
from gridfold.answer import answer
from gridfold.errors import StudyError
from gridfold.placement import Site
from gridfold.plan import Plan
from gridfold.progress import Monitor
from gridfold.searchplan import SearchPlan
from gridfold.searchstatus import counts, finished_shards
from gridfold.yamlfile import typed

DEFAULT_STUDY = "config/demo.yaml"


def load_plan(workflow: Any) -> Plan:
    """Return the plan of the study that Snakemake was started with.

    A dry run prints the plan; a real run says what earlier runs have found. A study that can't be
    run ends Snakemake with its problems and without a traceback.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    settings = workflow.config_settings
    files = [_as_typed(file) for file in settings.configfiles] or [Path(DEFAULT_STUDY)]
    try:
        plan = Plan.load(files, typed(settings.config))
    except StudyError as error:
        sys.exit(str(error))
    if workflow.is_main_process:
        if workflow.output_settings.dryrun:
            print(plan.describe(available_cores(workflow)), file=sys.stderr)
        else:
            _greet(plan)
    return plan


def _as_typed(file: Path) -> Path:
    """Undo Snakemake's absolute paths, so that reports name files as on any other machine."""
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def _greet(plan: Plan) -> None:
    """Say what is known already; where nothing is left to do, this is all that a run says."""
    done, total = counts(plan)
    print(
        f"[gridfold] study {plan.study.study}: {len(plan.configurations)} configurations, "
        f"{done} of {total} trials done before",
        file=sys.stderr,
    )
    if done == total:
        say_answer(plan, "Found before: ")


def say_answer(plan: Plan, before: str = "") -> None:
    """Print the answer of a study, if it is complete; a run may have been asked for a part."""
    try:
        print(f"{before}{answer(plan.paths)}", file=sys.stderr)
    except FileNotFoundError:
        return


def say_what_is_left(plan: Plan) -> None:
    """Say, after jobs have failed in all their attempts, what is kept and how it goes on."""
    (done, total), retries = counts(plan), plan.study.execution.retries
    if done < total:
        print(
            f"[gridfold] stopped with {done} of {total} trials done. A training job "
            f"gets {retries + 1} attempts (execution.retries: {retries}); each goes on where the "
            "last one was, and so does the same command now: every finished epoch is kept. Where "
            "jobs reached their time limit, raise execution.retries or the resource runtime first.",
            file=sys.stderr,
        )


def say_advice(logs: str | Iterable[str]) -> None:
    """Say what to do about what Slurm has said in Snakemake's own logs of a run that failed."""
    text = ""
    # Older versions of Snakemake hand over one path.
    for file in [logs] if isinstance(logs, str) else logs:
        with contextlib.suppress(OSError):
            text += Path(file).read_text(encoding="utf-8", errors="replace")
    for line in advice_in_log(text):
        print(f"[gridfold] {line}", file=sys.stderr)


def study_arguments(plan: Plan) -> str:
    """Return the options that tell a command which study it works for, quoted for a shell."""
    options = ["--study", *map(str, plan.files)]
    if plan.overrides:
        options += ["--set", json.dumps(plan.overrides)]
    # Braces would be taken for Snakemake's own.
    return shlex.join(options).replace("{", "{{").replace("}", "}}")


def available_cores(workflow: Any) -> int | None:
    """Return the number of ``--cores``; None on a cluster, where it says nothing about a job.

    There every Snakemake that reads the rules, on the login node and inside a job, must come to the
    same number, or a job would ask for other threads than it was given.
    """
    if workflow.remote_exec or workflow.nodes is not None:
        return None
    try:
        return int(workflow.cores)
    except WorkflowError:
        return None


def site(workflow: Any, rule: str) -> Site:
    """Return what the profile says about the nodes that a rule's jobs run on.

    Resources of a rule can't be computed from each other, so what `set-resources` says is read
    from where Snakemake keeps it; Snakemakes inside jobs are told the same.
    """
    said = workflow.resource_settings.overwrite_resources.get(rule, {})
    # Other values may be expressions, which have no value yet; `raw` is what was written.
    return Site.of({name: getattr(r, "raw", r) for name, r in said.items()})


def monitor(plan: Plan) -> Monitor:
    """Return the progress monitor of a plan."""
    labels = {c.id: c.label for c in plan.configurations}
    shards, (_, total) = SearchPlan(plan).all_shards, counts(plan)
    return Monitor(plan.paths.progress, shards, total, finished_shards(plan), labels)

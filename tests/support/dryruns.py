"""Dry runs of Snakemake, and what each job, a group of rules included, would ask a cluster for.

As a program: command lines as a JSON list on standard input, for each of them a line of JSON back.
Snakemake is imported once; each run is in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import ROOT

# Without an engine for containers, that of Expanse's profile is left out.
PROFILES: dict[str, tuple[str, ...]] = {
    "default": (),
    "slurm": ("--profile", f"{ROOT}/profiles/slurm"),
    "expanse": ("--profile", f"{ROOT}/profiles/expanse", "--sdm", "env-modules"),
}


@dataclass(frozen=True)
class DryRun:
    """What a dry run has said.

    Attributes
    ----------
    ended : bool
        Well.
    said : str
    jobs : list of mapping
        ``group`` (None outside of one), ``asked``, its resources with ``_cores``, and ``rules``,
        those of each of its rules.
    limits : list of str
        Resources of which jobs share a limited amount.
    """

    ended: bool
    said: str
    jobs: list[dict[str, Any]]
    limits: list[str]

    def asked(self, group: str) -> dict[str, Any]:
        """Return what the one job of a group asks for."""
        (job,) = (job for job in self.jobs if job["group"] == group)
        return dict(job["asked"])


def dry_runs(folder: Path, *command_lines: Sequence[str], **environment: str) -> list[DryRun]:
    """Run Snakemake in `folder`, dry, with the Snakefile of the project."""
    answer = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(command_lines),
        cwd=folder,
        env={**os.environ, "EXPANSE_ACCOUNT": "abc123", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [DryRun(**json.loads(line)) for line in answer.stdout.splitlines()]


def _run(words: Sequence[str], said: Path) -> dict[str, Any]:
    """Run Snakemake's command line in this process and return what it would submit."""
    from snakemake.cli import args_to_api, parse_args
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    plugin = ExecutorPluginRegistry().get_plugin("dryrun")
    jobs: list[dict[str, Any]] = []
    limits: set[str] = set()

    class Listing(plugin.executor):  # type: ignore[misc]
        def printjob(self, job: Any) -> None:
            limits.update(self.workflow.global_resources)
            if job.is_group():
                rules = {member.rule.name: _plain(member.resources) for member in job.jobs}
                # A dry run would say the sum of what would run on this machine.
                asked = _plain(_submitted(job))
            else:
                rules = {job.rule.name: _plain(job.resources)}
                asked = rules[job.rule.name]
            group = job.groupid if job.is_group() else None
            jobs.append({"group": group, "asked": asked, "rules": rules})

    plugin.executor = Listing
    # Profiles look at the command line. A dry run would say one core of every job.
    sys.argv = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--dry-run"]
    sys.argv += ["--cores", "64", *words]
    parser, args = parse_args(sys.argv[1:])
    try:
        ended = bool(args_to_api(args, parser))
    except SystemExit as refused:
        print(refused)
        ended = False
    sys.stdout.flush()
    sys.stderr.flush()
    return {"ended": ended, "said": said.read_text(), "jobs": jobs, "limits": sorted(limits)}


def _plain(resources: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resources.items() if isinstance(value, int | str)}


def _submitted(group: Any) -> Mapping[str, Any]:
    """Return what Snakemake asks for when it submits a group, as `GroupJob.resources` does."""
    from snakemake.resources import GroupResources

    asked: Mapping[str, Any] = GroupResources.basic_layered(
        toposorted_jobs=group.toposorted,
        constraints=group.global_resources,
        run_local=False,
        additive_resources=["runtime"],
        sortby=["runtime"],
    )
    return asked


def main() -> None:
    """Answer for each command line of standard input."""
    # With what Snakemake imports while it reads rules.
    import nbformat  # noqa: F401
    import smart_open  # noqa: F401
    import snakemake.cli  # noqa: F401

    import gridfold.workflow.bridge  # noqa: F401

    for number, words in enumerate(json.load(sys.stdin)):
        if child := os.fork():
            os.waitpid(child, 0)
            continue
        said = Path(f"dry-run-{number}.log").absolute()
        answers = os.dup(1)
        with said.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.write(answers, f"{json.dumps(_run(words, said))}\n".encode())
        os._exit(0)


if __name__ == "__main__":
    main()

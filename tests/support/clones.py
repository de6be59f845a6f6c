"""Users of a cluster: fresh clones of the project, in which Snakemake submits jobs."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import slurmcluster
import yaml
from needs import lacking
from workbench import ROOT, fork_addresses, wait_for
from workspaces import LEAN, Workspace, tiny

from gridfold.jobs.fork_server import TABLES, TRAINING

# What a user would not say: these tests should wait for their jobs no longer than the jobs take.
IMPATIENT = ("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "20")
# The plugin waits 10 s longer after each look at its jobs that has found none ended: kind to a
# cluster of many users, and most of the time that these tests would take.
LOOK_OFTEN = """

import asyncio

from gridfold.cluster.executor import LastingExecutor


async def _sleep(self):
    await asyncio.sleep(self.workflow.executor_settings.init_seconds_before_status_checks)


LastingExecutor.sleep = _sleep
"""


# In seconds; other tests run at the same time, on few cores.
PATIENCE = 900
# In seconds, between two questions to Slurm, each of which starts a process.
PAUSE = 0.5


@contextlib.contextmanager
def new_cluster(
    *, accounting: bool, cpus: int = slurmcluster.CPUS
) -> Iterator[slurmcluster.SlurmCluster]:
    if missing := slurmcluster.missing():
        lacking(f"{missing}; so gridfold was NOT tested on Slurm")
    # Not below pytest's folder: sockets must have short paths.
    folder = Path(tempfile.mkdtemp(prefix="gridfold-slurm-"))
    try:
        with slurmcluster.running(folder / "cluster", accounting=accounting, cpus=cpus) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """See to it that Snakemake and its jobs do not outlive the block, whatever happens in it."""
    try:
        yield process
    finally:
        if process.poll() is None:
            # As with Ctrl-C: the jobs are cancelled.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


class Clone:
    """A fresh clone of the project on the shared file system of a cluster.

    Parameters
    ----------
    folder : Path
    cluster : SlurmCluster
    shares_forks : bool
        Whether jobs take TensorFlow and the libraries of tables from where these tests have them.
        On a cluster each job imports its own; where the test is of what Slurm and Snakemake do with
        jobs, this takes most of the time.
    """

    def __init__(
        self, folder: Path, cluster: slurmcluster.SlurmCluster, *, shares_forks: bool = False
    ) -> None:
        self.folder = folder
        self.environment = cluster.environment
        self._login = cluster.login(folder)
        if shares_forks:
            self.environment |= fork_addresses(TRAINING, TABLES)
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\0")
        for name in filter(None, names):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).exists():
                # A link stays a link, as in git.
                shutil.copy2(ROOT / name, target, follow_symlinks=False)
        with (folder / "Snakefile").open("a") as snakefile:
            snakefile.write(LOOK_OFTEN)
        cluster.give(folder)

    def start(self, study: dict[str, Any], *options: str) -> subprocess.Popen[str]:
        self.write(study)
        snakemake = [sys.executable, "-m", "snakemake", "--configfile", "study.yaml"]
        return subprocess.Popen(
            [*self._login, *snakemake, *options],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def write(self, study: dict[str, Any]) -> None:
        """Write the study's file."""
        (self.folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))

    def gridfold(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call a verb of gridfold, as a user on the login node does."""
        program = str(Path(sys.executable).parent / "gridfold")
        return subprocess.run(
            [*self._login, program, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def prepare(self, study: dict[str, Any]) -> None:
        """Make data and splits here, so that no jobs are needed for them."""
        here = Workspace(self.folder, self.folder / "Snakefile", is_lean=False)
        results = self.results(study["study"])
        here.snakemake(study, "--", str(results.relative_to(self.folder) / "splits.npz"))
        # What this run was asked for is not what the next one is.
        shutil.rmtree(results / "request")

    def spoil_study(self, study: str = "tiny") -> None:
        """Make the study file unreadable once the run that has just been started has its own copy.

        From then on all jobs of the cluster, each a Snakemake that reads the study, depend on that.
        """
        wait_for(lambda: [*self.results(study).glob("request/*/request.json")])
        (self.folder / "study.yaml").write_text("study: [\n")

    def snakemake(self, study: dict[str, Any], *options: str) -> str:
        with ended(self.start(study, *options)) as process:
            output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, output
        return output

    def results(self, study: str = "tiny") -> Path:
        return self.folder / "results" / study

    def scores(self, study: str = "tiny") -> pd.DataFrame:
        return scores_below(self.results(study))


def scores_below(results: Path) -> pd.DataFrame:
    """Return the rows of all training jobs of a study."""
    shards = sorted((results / "shards").glob("*.trials.parquet"))
    table = pd.concat(map(pd.read_parquet, shards), ignore_index=True)
    return table.sort_values(["config_id", "split"], ignore_index=True)


def submissions(output: str, clone: Clone) -> dict[str, str]:
    """Return the `sbatch` command of each job by its comment, as the plugin has logged it.

    What differs from run to run is replaced; the command that is wrapped is Snakemake's affair.
    """
    found = {}
    for line in re.findall(r"^sbatch call: (.*)$", output, re.M):
        line = line.partition(" --wrap=")[0].replace(str(clone.folder), "CLONE")
        line = re.sub(r"--job-name ('[^']*'|\S+)", "--job-name RUN", line)
        line = re.sub(r" +", " ", line)
        found[flag(line, "--comment")] = line
    return found


def flag(line: str, name: str, default: str | None = None) -> str:
    """Return the value of an option of a command line, of several words the first."""
    match = re.search(rf" {name}[ =]'?([^\s']+)", line)
    assert match or default is not None, f"{name} is not in: {line}"
    return match[1] if match else str(default)


GOLDEN = ROOT / "tests" / "cluster" / "golden" / "sbatch.txt"


def last_job(cluster: slurmcluster.SlurmCluster) -> int:
    return max((int(row["JobIDRaw"]) for row in cluster.jobs("JobIDRaw")), default=0)


def submitted(cluster: slurmcluster.SlurmCluster, since: int, rule: str) -> list[str]:
    """Return the comment of every job of a rule after job number `since`."""
    return sorted(
        row["Comment"]
        for row in cluster.jobs("JobIDRaw", "Comment")
        if int(row["JobIDRaw"]) > since and row["Comment"].startswith(f"rule_{rule}_")
    )


def check_golden(name: str, lines: dict[str, str]) -> None:
    """Compare the submissions of one run with the recorded ones, or record them."""
    sections = dict(re.findall(r"^# (.*)\n((?:sbatch .*\n)*)", GOLDEN.read_text(), re.M))
    text = "".join(f"{line}\n" for _, line in sorted(lines.items()))
    if os.environ.get("GRIDFOLD_RECORD"):
        sections[name] = text
        GOLDEN.write_text("".join(f"# {n}\n{t}" for n, t in sections.items()))
    assert text == sections[name], "if this is meant: GRIDFOLD_RECORD=1 pytest tests/cluster"


def parallel(backend: str, world_size: int) -> dict[str, Any]:
    """One trial on several replicas."""
    return tiny(
        training={
            "epochs": 2,
            "batch_size": 64,
            "distribution": {"backend": backend, "world_size": world_size},
        },
        search={"space": {"mlp.units": [8]}},
        resampling={"method": "holdout"},
        execution={"start_timeout": 300},
        report=LEAN,
    )

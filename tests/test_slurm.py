"""Studies on a real Slurm, from a fresh clone to the report, and through everything in between."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import slurmcluster
import yaml
from workbench import ROOT

pytestmark = [pytest.mark.slurm, pytest.mark.workflow]

GOLDEN = ROOT / "tests" / "golden" / "sbatch.txt"
# What a user would not: these tests should not wait for their jobs longer than the jobs take.
IMPATIENT = ("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "20")


@pytest.fixture(scope="module")
def cluster() -> Iterator[slurmcluster.SlurmCluster]:
    missing = slurmcluster.missing()
    if missing:
        reason = f"{missing}; so gridfold was NOT tested on Slurm"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    # Not below pytest's folder: sockets must have short paths.
    folder = Path(tempfile.mkdtemp(prefix="gridfold-slurm-"))
    try:
        with slurmcluster.running(folder / "cluster") as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tiny(**changes: Any) -> dict[str, Any]:
    return {
        "study": "tiny",
        "data": {"source": "digits", "subset": 300, "normalise": "global"},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {"units": 16}},
        "training": {"epochs": 3, "learning_rate": 0.01},
        "search": {"space": {"mlp.units": [8, 16]}},
        "resampling": {"method": "stratified", "folds": 2},
    } | changes


class Clone:
    """A fresh clone of the project on the shared file system of a cluster."""

    def __init__(self, folder: Path, cluster: slurmcluster.SlurmCluster) -> None:
        self.folder = folder
        self.environment = cluster.environment
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

    def start(self, study: dict[str, Any], *options: str) -> subprocess.Popen[str]:
        (self.folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--configfile", "study.yaml", *options],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def snakemake(self, study: dict[str, Any], *options: str) -> str:
        process = self.start(study, *options)
        output, _ = process.communicate(timeout=400)
        assert process.returncode == 0, output
        return output

    def results(self, study: str = "tiny") -> Path:
        return self.folder / "results" / study

    def scores(self, study: str = "tiny") -> pd.DataFrame:
        shards = sorted((self.results(study) / "shards").glob("*.trials.parquet"))
        table = pd.concat(map(pd.read_parquet, shards), ignore_index=True)
        return table.sort_values(["config_id", "split"], ignore_index=True)


def submissions(output: str, clone: Clone) -> dict[str, str]:
    """Return the `sbatch` command of each job by its comment, as the plugin has logged it.

    What differs from run to run is replaced; the command that is wrapped is Snakemake's affair.
    """
    found = {}
    for line in re.findall(r"^sbatch call: (.*)$", output, re.M):
        line = line.partition(" --wrap=")[0].replace(str(clone.folder), "CLONE")
        line = re.sub(r"--job-name \S+", "--job-name RUN", line)
        line = re.sub(r" +", " ", line)
        comment = re.search(r"--comment (\S+)", line)
        assert comment, line
        found[comment[1]] = line
    return found


def last_job(cluster: slurmcluster.SlurmCluster) -> int:
    return max((int(row["JobIDRaw"]) for row in cluster.jobs("JobIDRaw")), default=0)


@pytest.fixture(scope="module")
def runs(
    cluster: slurmcluster.SlurmCluster, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Three users at once: one trains on CPUs, one on a GPU, one with Expanse's profile."""
    options = {
        "CPU trials": ("--profile", "slurm"),
        "one-GPU trials": (
            *("--profile", "slurm"),
            *("--set-resources", "train:gpu=1", "train:slurm_partition=gpu"),
        ),
        # No engine for containers here: the image is the one thing of this profile left out.
        "Expanse": ("--profile", "profiles/expanse", "--sdm", "env-modules"),
    }
    since = last_job(cluster)
    clones, started = {}, {}
    for name, words in options.items():
        clone = clones[name] = Clone(tmp_path_factory.mktemp("clone"), cluster)
        if name == "Expanse":
            clone.environment |= {"EXPANSE_ACCOUNT": slurmcluster.ACCOUNT}
        # One of them to its end is enough.
        target = [] if name == "CPU trials" else ["results/tiny/shards/s0001.trials.parquet"]
        started[name] = clone.start(tiny(), *words, *IMPATIENT, "--verbose", "--", *target)
    outputs = {}
    for name, process in started.items():
        outputs[name], _ = process.communicate(timeout=400)
        assert process.returncode == 0, f"{name}: {outputs[name]}"
    return {
        "clones": clones,
        "outputs": outputs,
        "submissions": {n: submissions(outputs[n], clones[n]) for n in options},
        "since": since,
    }


def test_the_promised_command_reaches_its_report_from_a_fresh_clone(runs: dict[str, Any]) -> None:
    clone = runs["clones"]["CPU trials"]
    assert (clone.results() / "report.html").stat().st_size > 10_000
    assert list(clone.scores()["status"]) == ["finished"] * 4
    assert "Best of 2 configurations" in runs["outputs"]["CPU trials"]


def test_the_commands_of_sbatch_are_as_recorded(runs: dict[str, Any]) -> None:
    text = "".join(
        f"# {name}\n" + "".join(f"{line}\n" for _, line in sorted(lines.items()))
        for name, lines in runs["submissions"].items()
    )
    if os.environ.get("GRIDFOLD_RECORD"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), (
        "if this is meant: GRIDFOLD_RECORD=1 pytest tests/test_slurm.py"
    )


def test_accounting_saw_what_was_asked_for(
    runs: dict[str, Any], cluster: slurmcluster.SlurmCluster
) -> None:
    asked = [
        {
            "comment": flag(line, "--comment"),
            "partition": flag(line, "-p"),
            "minutes": flag(line, "-t"),
            "cpu": flag(line, "--cpus-per-task"),
            "mem": flag(line, "--mem") + "M",
            "gpu": flag(line, "--gpus", "0"),
            "account": flag(line, "-A", "root"),
        }
        for lines in runs["submissions"].values()
        for line in lines.values()
    ]
    fields = ("JobIDRaw", "Comment", "State", "ReqTRES", "TimelimitRaw", "Partition", "Account")
    seen = []
    for row in cluster.jobs(*fields):
        if int(row["JobIDRaw"]) > runs["since"]:
            assert row["State"] == "COMPLETED", row
            amounts = dict(item.split("=") for item in row["ReqTRES"].split(","))
            seen.append(
                {
                    "comment": row["Comment"],
                    "partition": row["Partition"],
                    "minutes": row["TimelimitRaw"],
                    "cpu": amounts["cpu"],
                    "mem": amounts["mem"],
                    "gpu": amounts.get("gres/gpu", "0"),
                    "account": row["Account"],
                }
            )
    assert sorted(map(str, seen)) == sorted(map(str, asked))


def flag(line: str, name: str, default: str | None = None) -> str:
    """Return the value of an option of a command line."""
    match = re.search(rf" {name}[ =](\S+)", line)
    assert match or default is not None, f"{name} is not in: {line}"
    return match[1] if match else str(default)

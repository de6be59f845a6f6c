"""Folders in which a user runs studies through Snakemake."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import warm
import yaml
from workbench import ROOT, shared_forks, wait_for

from gridfold.jobs.fork_server import TABLES, TRAINING

# Most tests ask for something else, and these take a third of the time of a study of seconds.
LEAN = {"baselines": False, "chance_level": False}


def tiny(**changes: Any) -> dict[str, Any]:
    """Return a study of seconds."""
    return {
        "study": "tiny",
        "data": {"source": "digits", "subset": 300, "normalise": "global"},
        "problem": {"type": "multiclass"},
        "model": {"mlp": {"units": 16}},
        "training": {"epochs": 3, "learning_rate": 0.01},
        "search": {"space": {"mlp.units": [8, 16]}},
        "resampling": {"method": "stratified", "folds": 2},
    } | changes


class Workspace:
    """A folder in which a user runs studies.

    Attributes
    ----------
    environment : dict of str to str
        Variables beside those of the tests; where there are some, a Python of its own is started.
    shares_forks : bool
        Whether TensorFlow is imported once for all such folders of this process, and not once for
        each run.
    is_lean : bool
        Whether studies that say nothing of baselines and chance level have none.
    """

    def __init__(
        self,
        folder: Path,
        snakefile: Path = ROOT / "Snakefile",
        *,
        shares_forks: bool = True,
        is_lean: bool = True,
    ) -> None:
        self.folder = folder
        self.snakefile = snakefile
        self.shares_forks = shares_forks
        self.is_lean = is_lean
        self.environment: dict[str, str] = {}

    def write(self, study: dict[str, Any]) -> Path:
        file = self.folder / "study.yaml"
        if self.is_lean:
            study = {**study, "report": LEAN | study.get("report", {})}
        file.write_text(yaml.safe_dump(study, sort_keys=False))
        return file

    def snakemake(
        self, study: dict[str, Any], *options: str, expect: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        words = [*self._words(study), "--cores", "2", *options]
        own = self.environment or not self.shares_forks
        with nullcontext() if own else shared_forks(TRAINING, TABLES):
            answer = warm.snakemake(self.folder, words, self.environment)
        if expect is not None:
            assert answer.returncode == expect, answer.stdout + answer.stderr
        return answer

    def killed(self, study: dict[str, Any], reached: Callable[[], bool]) -> None:
        """Run Snakemake until `reached()`, and kill it with all that it has started."""
        words = [*self._words(study), "--cores", "1", "--quiet"]
        with shared_forks(TRAINING, TABLES):
            process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *words],
                cwd=self.folder,
                start_new_session=True,
                stderr=subprocess.DEVNULL,
            )
        wait_for(reached, seconds=500)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _words(self, study: dict[str, Any]) -> list[str]:
        words = ["--snakefile", str(self.snakefile), "--directory", str(self.folder)]
        return [*words, "--configfile", str(self.write(study))]

    def planned_jobs(self, study: dict[str, Any], *targets: str) -> dict[str, int]:
        """Return how many jobs of each rule a dry run would start."""
        answer = self.snakemake(study, "--dry-run", *targets)
        jobs: dict[str, int] = {}
        for rule, count in re.findall(r"^(\w+)\s+(\d+)$", answer.stdout + answer.stderr, re.M):
            jobs[rule] = int(count)
        jobs.pop("total", None)
        return jobs

    def table(self, study: str = "tiny") -> pd.DataFrame:
        return pd.read_parquet(self.folder / "results" / study / "tables" / "trials.parquet")

    def trainings(self, study: str = "tiny") -> dict[str, int]:
        """Return the inode of every trial's result, which a new training would replace."""
        runs = self.folder / "results" / study / "runs"
        return {str(f.relative_to(runs)): f.stat().st_ino for f in runs.glob("*/r*/result-*.json")}
